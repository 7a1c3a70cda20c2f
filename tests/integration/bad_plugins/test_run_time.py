"""Requests that plugins answer badly: whoever asked is told, the others notice nothing, too much of it ends it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from .conftest import Serve
from .run_time import BLOCKS, BROKEN, CALLS, CROWDED, DEAF, HANGS, LEAKS, OTHERS, SLEEPS, SOCKETS, THREADS, Call
from .serving import Asker, Host, healthy

pytestmark = pytest.mark.slow

LIMITS = {
    "request_timeout": 1,
    "concurrency": 5,
    "threads": 2,
    "errors_per_minute": 8,
    "error_share": 0.5,
    "timeouts_per_minute": 3,
    "startup_timeout": 2,
}
NEVER = 30
"""Requests after which something must have happened."""


def name(call: Call) -> str:
    return call.what


@pytest.fixture(scope="module")
def served(serve: Serve) -> Host:
    return serve([call.bad for call in (*CALLS, *OTHERS)], **LIMITS)


@pytest.fixture
def host(served: Host) -> Host:
    """Give the server; start it anew if the test before ended it, so that each fails for itself."""
    if served.process is None or served.process.poll() is not None:
        assert served.start(), served.printed[-3000:]
        served.sign_in()
    return served


@pytest.fixture
def watched(host: Host) -> Iterator[Asker]:
    """Ask the healthy plugin during the test, from before until after; it must have answered everything."""
    asker = Asker(host)
    assert healthy(host) == []
    with asker.asking():
        yield asker
    assert host.process is not None
    assert host.process.poll() is None, f"the host ended:\n{host.printed[-2000:]}"
    assert asker.failures == []
    assert healthy(host) == []


def call(host: Host, path: str) -> int:
    """Give the status of an answer, or `BROKEN`."""
    try:
        return host.get(path).status_code
    except httpx.ReadTimeout:
        raise
    except httpx.HTTPError:
        return BROKEN


@pytest.mark.parametrize("bad", CALLS, ids=name)
def test_a_bad_answer_harms_only_whoever_asked(bad: Call, host: Host, watched: Asker) -> None:
    assert call(host, f"/api/{bad.plugin}/") in bad.answers


@pytest.mark.parametrize("bad", [HANGS, DEAF, SLEEPS], ids=name)
def test_an_answer_that_never_begins_is_ended_in_its_place(bad: Call, host: Host, watched: Asker) -> None:
    answer = host.get(f"/api/{bad.plugin}/")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:plugin-host:problem:time_limit")


def test_too_many_time_outs_isolate_the_plugin(host: Host, watched: Asker) -> None:
    entry = until_parked(host, HANGS.plugin)
    assert (entry["state"], entry["reason"]["code"]) == ("quarantined", "runtime_errors")
    assert entry["reason"]["culprits"] == [HANGS.plugin]
    assert "retry" in entry["reason"]["way_out"]


def test_too_many_failures_isolate_the_plugin_until_it_is_tried_again(host: Host, watched: Asker) -> None:
    entry = until_parked(host, LEAKS.plugin)
    assert (entry["state"], entry["reason"]["code"]) == ("quarantined", "runtime_errors")
    assert entry["reason"]["culprits"] == [LEAKS.plugin]
    assert "retry" in entry["reason"]["way_out"]
    refused = host.get(f"/api/{LEAKS.plugin}/fine")
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:plugin-host:problem:runtime_errors")
    assert host.post(f"/api/core/plugins/{LEAKS.plugin}/retry").json()["state"] == "active"
    assert host.get(f"/api/{LEAKS.plugin}/fine").status_code == 200


def test_failures_among_many_good_answers_isolate_nobody(host: Host, watched: Asker) -> None:
    host.post(f"/api/core/plugins/{LEAKS.plugin}/retry")
    for n in range(NEVER):
        host.get(f"/api/{LEAKS.plugin}/{'' if n % 3 == 2 else 'fine'}")
    assert host.plugins()[LEAKS.plugin]["state"] == "active"


def test_who_blocks_the_event_loop_is_named_with_the_place(host: Host, watched: Asker) -> None:
    assert host.get(f"/api/{BLOCKS.plugin}/").status_code == 200
    eventually(lambda: host.plugins()[BLOCKS.plugin]["account"]["lag"]["count"])
    shown = host.plugins()[BLOCKS.plugin]
    assert shown["slow"] == ["event_loop"]
    assert shown["account"]["lag"]["place"].startswith(f"host_{BLOCKS.plugin}/hooks.py:")
    assert host.plugins()["good"]["account"]["lag"]["count"] == 0


def test_more_requests_at_once_than_allowed_are_turned_away(host: Host, watched: Asker) -> None:
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda _: host.get(f"/api/{CROWDED.plugin}/"), range(12)))
    turned_away = [answer for answer in answers if answer.status_code != 200]
    assert 0 < len(turned_away) < 12
    for answer in turned_away:
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:plugin-host:problem:overloaded")
        assert answer.headers["retry-after"] == "1"


def test_plain_handlers_of_one_plugin_do_not_take_the_threads_of_another(host: Host) -> None:
    begun = threading.Barrier(4)

    def sleep(_: int) -> None:
        begun.wait()
        host.get(f"/api/{THREADS.plugin}/")

    with ThreadPoolExecutor(3) as pool:
        waits = [pool.submit(sleep, n) for n in range(3)]
        begun.wait()
        time.sleep(0.1)
        assert host.get("/api/good/thread").json() == {"hello": "thread"}
        assert not all(wait.done() for wait in waits)


@pytest.mark.parametrize(
    ("path", "codes"), [("exits", (1006, 4500)), ("raises", (4500,)), ("twice", (1000,)), ("early", ())]
)
def test_a_bad_websocket_is_closed_and_harms_nobody(
    path: str, codes: tuple[int, ...], host: Host, watched: Asker
) -> None:
    from websockets.exceptions import ConnectionClosed, InvalidHandshake
    from websockets.sync.client import connect

    cookie = "; ".join(f"{key}={value}" for key, value in host.cookies.items())
    address = f"ws{host.address.removeprefix('http')}/api/{SOCKETS.plugin}/{path}"
    headers = {"cookie": cookie, "origin": host.address}
    code = None
    try:
        with connect(address, additional_headers=headers, open_timeout=10, close_timeout=5) as socket:
            socket.recv(timeout=10)
    except ConnectionClosed as closed:
        code = closed.rcvd.code if closed.rcvd is not None else 1006
    except InvalidHandshake:
        code = None
    assert (code in codes) if codes else (code is None or code >= 1000)


def test_the_host_ends_with_requests_that_never_end(host: Host) -> None:
    assert host.end() == 0


def until_parked(host: Host, plugin: str) -> dict[str, object]:
    """Call a plugin until it is more than it may fail, and wait until it does not run; give how it is shown."""
    for _ in range(NEVER):
        if host.get(f"/api/{plugin}/").json()["type"].endswith("runtime_errors"):
            break
    eventually(lambda: host.plugins()[plugin]["state"] != "active")
    return host.plugins()[plugin]


def eventually(ask: Callable[[], bool]) -> bool:
    until = time.monotonic() + 10
    while not (said := ask()) and time.monotonic() < until:
        time.sleep(0.1)
    return said
