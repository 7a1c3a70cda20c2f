"""C: sessions, cookies, pages of other origins, WebSockets."""

from __future__ import annotations

import secrets

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from .conftest import PASSWORD, Served, code

pytestmark = pytest.mark.security

LOGIN = "/api/core/auth/login"
ME = "/api/core/auth/me"
COOKIE = "ph_session"


def test_c01_a_session_id_of_the_clients_choice_is_never_used(served: Served) -> None:
    chosen = secrets.token_urlsafe(32)
    with served.client(cookie=f"{COOKIE}={chosen}") as browser:
        answer = browser.post(LOGIN, json={"username": "root", "password": PASSWORD})
        assert answer.status_code == 200
        assert answer.cookies[COOKIE] != chosen
        assert code(browser.get(ME)) == (401, "not_signed_in")


def test_c02_what_was_signed_in_is_out_at_the_next_request(served: Served) -> None:
    with served.signed_in() as browser:
        kept = dict(browser.cookies)
        assert browser.post("/api/core/auth/logout").status_code == 204
    with served.client() as thief:
        thief.cookies.update(kept)
        assert thief.get(ME).status_code == 401
    tokens = served.app()
    with served.bearer(tokens["access_token"]) as app:
        assert app.get(ME).status_code == 200
        assert app.post("/api/core/auth/logout").status_code == 204
        assert app.get(ME).status_code == 401
    with served.client() as caller:
        said = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]}
        answer = caller.post("/api/core/auth/token", data=said)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_c03_who_is_disabled_is_out_everywhere(served: Served) -> None:
    user_id, name = served.person()
    with served.signed_in(name) as browser:
        token = browser.post("/api/core/auth/tokens", json={"name": "script"}).json()["token"]
    access = served.app(name)["access_token"]
    cookie = "; ".join(f"{key}={value}" for key, value in browser.cookies.items())
    address = f"ws://127.0.0.1:{served.port}/api/probe/chat"
    with connect(address, additional_headers={"cookie": cookie}, origin=served.address) as line:
        line.send("hello")
        assert line.recv(timeout=5) == "hello"
        with served.signed_in() as root:
            assert root.patch(f"/api/core/users/{user_id}", json={"status": "disabled"}).status_code == 200
        with served.client(cookie=cookie) as browser:
            assert browser.get(ME).status_code == 401
        for credential in (token, access):
            with served.bearer(credential) as caller:
                assert caller.get(ME).status_code == 401
        with pytest.raises(ConnectionClosed) as closed:
            line.recv(timeout=4)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401


def test_c04_a_role_that_is_taken_away_is_gone_at_once(served: Served) -> None:
    user_id, name = served.person("probe.viewer")
    with served.bearer(served.app(name)["access_token"]) as app:
        assert app.get("/api/probe/guarded").status_code == 200
        with served.signed_in() as root:
            assert root.put(f"/api/core/users/{user_id}/roles", json={"roles": []}).status_code == 200
        assert code(app.get("/api/probe/guarded")) == (403, "forbidden")


@pytest.mark.parametrize(
    ("headers", "good"),
    [
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://evil.test"}, False),
        ({"sec-fetch-site": "same-origin"}, True),
    ],
)
def test_c07_a_page_of_another_site_changes_nothing(served: Served, headers: dict[str, str], good: bool) -> None:  # noqa: FBT001
    check_page(served, headers, good=good)


@pytest.mark.parametrize("headers", [{"origin": "null"}, {"origin": "http://evil.test"}, {}])
def test_c08_a_sandboxed_frame_changes_nothing(served: Served, headers: dict[str, str]) -> None:
    check_page(served, headers, good=False)


@pytest.mark.parametrize("site", ["same-site", "cross-origin", "rubbish"])
def test_c09_a_sibling_domain_changes_nothing(served: Served, site: str) -> None:
    check_page(served, {"sec-fetch-site": site}, good=False)


def check_page(served: Served, headers: dict[str, str], *, good: bool) -> None:
    """Sign out from a page; the session shows whether the handler ran."""
    with served.signed_in() as browser:
        cookies = browser.cookies
    with httpx.Client(base_url=served.address, headers=headers, cookies=cookies, trust_env=False) as page:
        answer = page.post("/api/core/auth/logout")
        assert answer.status_code == 204 if good else code(answer) == (403, "cross_origin")
        assert page.get(ME).status_code == (401 if good else 200)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_c11_json_in_the_disguise_of_a_form_is_refused(served: Served, kind: str) -> None:
    with served.signed_in() as root:
        answer = root.post("/api/probe/echo", content=b'{"name": "x"}', headers={"content-type": kind})
    assert code(answer) == (415, "unsupported_media_type")


def test_c13_two_credentials_are_ambiguous(served: Served) -> None:
    _, name = served.person()
    token = served.app(name)["access_token"]
    with served.signed_in() as root:
        assert code(root.get(ME, headers={"authorization": f"Bearer {token}"})) == (400, "ambiguous_credentials")


def test_c14_a_token_in_the_address_is_ignored(served: Served) -> None:
    token = served.app()["access_token"]
    with served.client() as caller:
        for name in ("access_token", "token", "authorization", "ph_session"):
            assert code(caller.get(ME, params={name: token})) == (401, "not_signed_in")


@pytest.mark.parametrize("origin", ["https://evil.test", "null", "http://127.0.0.1", None])
def test_c15_a_socket_from_another_origin_is_refused_at_the_handshake(served: Served, origin: str | None) -> None:
    with served.signed_in() as browser:
        cookie = "; ".join(f"{key}={value}" for key, value in browser.cookies.items())
    address = f"ws://127.0.0.1:{served.port}/api/probe/chat"
    headers = {"cookie": cookie} | ({} if origin is None else {"origin": origin})
    with pytest.raises(InvalidStatus) as refused, connect(address, additional_headers=headers):
        pass
    answer = refused.value.response
    assert answer.status_code == 403
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("origin", ["https://evil.test", "https://good.example.evil.test", "null", "http://127.0.0.1"])
def test_c18_a_preflight_allows_nothing_and_runs_nothing(served: Served, origin: str) -> None:
    asked = {"origin": origin, "access-control-request-method": "DELETE", "sec-fetch-site": "cross-site"}
    with served.client(**asked) as page:
        for path in (ME, "/api/probe/guarded", "/api/probe/open"):
            answer = page.options(path)
            assert answer.status_code in (204, 404, 405)
            assert not [name for name in answer.headers if name.startswith("access-control-allow")]


def test_c20_somebody_elses_session_is_not_there(served: Served) -> None:
    _, name = served.person()
    with served.signed_in() as root, served.signed_in(name) as other:
        theirs = root.get("/api/core/auth/sessions").json()["items"]
        for session in theirs[:3]:
            assert code(other.delete(f"/api/core/auth/sessions/{session['id']}")) == (404, "not_found")
        assert root.get(ME).status_code == 200


def test_c06_the_cookie_cannot_be_read_sent_or_set_by_others(tmp_path: object) -> None:
    from plugin_host.auth.sessions import Sessions

    cookie = Sessions(https=True).set_cookie({"scheme": "http"}, "x")
    name, *attributes = cookie.split("; ")
    assert name == "__Host-ph_session=x"
    assert set(attributes) == {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"}


def test_c05_a_session_that_is_too_old_says_so(served: Served) -> None:
    _, name = served.person()
    for column, value in (("last_seen_at", "2020-01-01 00:00:00.000000"), ("expires_at", "2020-01-01 00:00:00.000000")):
        with served.signed_in(name) as browser:
            assert browser.get(ME).status_code == 200
            session = browser.get("/api/core/auth/sessions").json()["items"]
            current = next(each["id"] for each in session if each["current"])
            served.execute(f"UPDATE core_session SET {column} = ? WHERE id = ?", value, current)  # noqa: S608 - a table
            served.execute("UPDATE core_revision SET auth = auth + 1")
            assert code(browser.get(ME)) == (401, "session_expired")


@pytest.mark.parametrize(
    "said",
    [
        "https://evil.test",
        "//evil.test",
        "/\\evil.test",
        "/%09/evil",
        "/\t/evil",
        "javascript:alert(1)",
        "/%5cevil",
        "",
    ],
)
def test_c19_one_is_sent_back_to_this_host_only(said: str) -> None:
    from plugin_host.core.provider_sign_in import safe_return

    assert safe_return(said) == "/"
