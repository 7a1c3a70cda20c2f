"""K: the edge and operations, by bytes on the wire."""

from __future__ import annotations

import secrets
import socket

import pytest

from .conftest import Served, code, problem, request

pytestmark = pytest.mark.security

KNOWN, UNKNOWN = "/health/live", "/api/nobody/nothing"


@pytest.mark.parametrize("path", [KNOWN, UNKNOWN, "/", "/api/probe/open"])
@pytest.mark.parametrize(
    ("host", "good"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:8000", True),
        ("LOCALHOST", True),
        ("localhost.", True),
        ("localhost.:80", True),
        ("[::1]:8000", True),
        ("evil.test", False),
        ("127.0.0.1.evil.test", False),
        ("evil.test:127.0.0.1", False),
        ("localhost@evil.test", False),
        ("localhost evil.test", False),
        ("", False),
        (None, False),
    ],
)
def test_k01_a_host_name_is_judged_alike_at_every_path(
    served: Served,
    path: str,
    host: str | None,
    good: bool,  # noqa: FBT001 - a table
) -> None:
    raw, _ = served.talk(request(path, b"Connection: close", host=host))
    status = int(raw.split(b" ")[1])
    assert (status != 400) is good
    if not good:
        assert problem(raw)[2]["type"] == "urn:plugin-host:problem:bad_host"


def test_k01_two_host_names_are_refused_and_end_the_connection(served: Served) -> None:
    raw, closed = served.talk(request(KNOWN, b"Host: localhost"))
    assert problem(raw)[0] == 400
    assert closed


@pytest.mark.parametrize(
    "headers",
    [
        [b"X-Long: " + b"a" * 70_000],
        [b"X-%d: a" % number for number in range(1000)],
        [b"X-%d: " % number + b"a" * 900 for number in range(90)],
    ],
    ids=["one that is long", "a thousand", "many that are long together"],
)
def test_k02_headers_over_the_limit_are_refused(served: Served, headers: list[bytes]) -> None:
    raw, closed = served.talk(request(KNOWN, *headers))
    status, _, members = problem(raw)
    assert (status, members["type"]) == (431, "urn:plugin-host:problem:headers_too_large")
    assert closed


def test_k02_a_header_that_does_not_end_is_not_kept(served: Served) -> None:
    raw, closed = served.talk(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ", *[b"a" * 16_384] * 20)
    assert closed
    assert not raw or problem(raw)[0] == 431


@pytest.mark.parametrize("path", ["/api/probe/small", "/api/core/auth/login"])
@pytest.mark.parametrize("announced", [True, False])
def test_k02_a_body_over_the_limit_is_refused(served: Served, path: str, announced: bool) -> None:  # noqa: FBT001
    limit = 100 if path.endswith("small") else 100_000
    body = b'{"name": "' + b"a" * limit + b'"}'
    length = b"Content-Length: %d" % len(body) if announced else b"Transfer-Encoding: chunked"
    sent = body if announced else b"%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
    raw, closed = served.talk(
        request(path, length, b"Content-Type: application/json", b"Sec-Fetch-Site: none", method="POST"), sent
    )
    assert problem(raw)[0] == 413
    assert closed


@pytest.mark.parametrize(
    "lengths",
    [
        [b"Content-Length: 3", b"Transfer-Encoding: chunked"],
        [b"Transfer-Encoding: chunked", b"Content-Length: 3"],
        [b"Content-Length: 3", b"Content-Length: 4"],
        [b"Transfer-Encoding: xchunked"],
        [b"Content-Length: -1"],
    ],
)
def test_k02_a_body_with_two_lengths_is_refused(served: Served, lengths: list[bytes]) -> None:
    raw, closed = served.talk(request("/api/probe/small", *lengths, method="POST"), b"0\r\n\r\n")
    assert problem(raw)[0] == 400
    assert raw.count(b"HTTP/1.1 ") == 1
    assert closed


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\nX-A: "])
def test_k03_headers_that_do_not_come_end_the_connection(served: Served, sent: bytes) -> None:
    raw, closed = served.talk(sent)
    assert closed
    assert not sent or problem(raw)[0] == 408


def test_k03_headers_byte_by_byte_end_the_connection(served: Served) -> None:
    _, closed = served.talk(*[b"%c" % byte for byte in request(KNOWN)], pause=0.1)
    assert closed


def test_k03_a_body_byte_by_byte_ends_the_connection(served: Served) -> None:
    head = request("/api/probe/small", b"Content-Length: 60", b"Content-Type: application/json", method="POST")
    raw, closed = served.talk(head, *[b" "] * 45, pause=0.1)
    assert closed
    assert problem(raw)[0] == 408


def test_k03_two_thousand_idle_connections_keep_nobody_out_and_end(served: Served) -> None:
    lines = [socket.create_connection(("127.0.0.1", served.port), timeout=10) for _ in range(2000)]
    try:
        with served.client() as caller:
            assert caller.get("/api/probe/open").status_code == 200
        assert [line.recv(10) for line in lines] == [b""] * 2000
    finally:
        for line in lines:
            line.close()


@pytest.mark.parametrize("path", ["/api/probe/crash", "/api/probe/crash-database"])
def test_k05_an_error_tells_its_id_and_nothing_else(served: Served, path: str) -> None:
    with served.client() as caller:
        answer = caller.get(path)
    assert code(answer) == (500, "internal_error")
    assert answer.json()["instance"] == answer.headers["x-request-id"]
    said = answer.text + str(answer.headers)
    for word in ("SELECT", "Traceback", "RuntimeError", "/srv", "core_", "plugin_host", "litestar", "uvicorn"):
        assert word not in said.replace("urn:plugin-host", "")


@pytest.mark.parametrize(
    "path",
    ["/schema", "/schema/openapi.json", "/metrics", "/debug", "/api/core/openapi.json", "/api/core/plan", "/docs"],
)
def test_k08_pages_for_developers_need_a_right(served: Served, path: str) -> None:
    _, name = served.person()
    with served.client() as nobody, served.signed_in(name) as somebody:
        refused, forbidden = nobody.get(path), somebody.get(path)
    shell = "<!doctype html>"  # any word may be a page of the shell, which then says that there is none
    assert refused.status_code in (401, 404) or refused.text.lower().startswith(shell)
    assert forbidden.status_code in (403, 404) or forbidden.text.lower().startswith(shell)


def test_k08_health_says_only_how_it_is(served: Served) -> None:
    with served.client() as caller:
        assert caller.get("/health/live").json() == {"status": "ok"}
        assert set(caller.get("/health/ready").json()) == {"status"}
        assert code(caller.get(f"/health/{secrets.token_hex(3)}")) == (404, "not_found")
