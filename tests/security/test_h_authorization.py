"""H: who may call a plugin's routes, however they are declared, spelled, or asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest

from plugin_host import PluginHost, Settings

from .conftest import Served, code, outcome, request, write_plugin

pytestmark = pytest.mark.security

ROUTE: Final = "@get('{path}', permission={permission}{more})\nasync def h({arguments}) -> str: return ''"


def route(path: str = "/x", permission: str | None = "bad.view", more: str = "", arguments: str = "") -> str:
    return ROUTE.format(path=path, permission=repr(permission), more=more, arguments=arguments)


# What a plugin does, and the code that it is refused for; None: it is not to be refused.
TRIED: Final[dict[str, tuple[str, str | None]]] = {
    "h01 a route": ("@get('/x')\nasync def h() -> str: return ''", "permission_undeclared"),
    "h02 a socket": (
        "@websocket('/x')\nasync def h(socket: WebSocket) -> None: pass",
        "permission_undeclared",
    ),
    "h02 an ASGI handler": (
        (
            "from litestar import asgi\nfrom litestar.types import Receive, Scope, Send\n"
            "@asgi('/x')\nasync def h(scope: Scope, receive: Receive, send: Send) -> None: pass"
        ),
        "permission_undeclared",
    ),
    "h02 an application": ("async def app(scope, receive, send): pass\nh = AsgiApp(app)", "permission_undeclared"),
    "h02 files": (
        (
            "from litestar.static_files import create_static_files_router\n"
            "h = create_static_files_router('/x', directories=['.'])"
        ),
        "permission_undeclared",
    ),
    "h02 options": (
        (
            "from litestar import route, HttpMethod\n"
            "@route('/x', http_method=[HttpMethod.OPTIONS])\nasync def h() -> str: return ''"
        ),
        "permission_undeclared",
    ),
    "h02 head": ("from litestar import head\n@head('/x')\nasync def h() -> None: pass", "permission_undeclared"),
    "h03 opt": (route(more=", opt={'exclude_from_auth': True}"), "hook_invalid"),
    "h03 keyword": (route(more=", exclude_from_auth=True"), "hook_invalid"),
    "h03 ours": (route(more=", opt={'plugin_host.need': None}"), "hook_invalid"),
    "h04 unknown": (route(permission="bad.nothing"), "permission_unknown"),
    "h04 foreign": (route(permission="good.view"), "permission_foreign"),
    "h05 unlisted": (route(permission="public"), "public_unlisted"),
    "h06 dots": (route("/../core/x"), "hook_invalid"),
    "h06 encoded": (route("/%2e%2e/core"), "hook_invalid"),
    "h06 inside": (route("/x/../../core/y"), "hook_invalid"),
    "h06 semicolon": (route("/x;y"), "hook_invalid"),
    "h06 core": (route("/api/core/users"), None),
    "h06 well known": (route("/.well-known/jwks.json"), None),
    "h06 root": (route("/"), None),
    "h06 everything": (route("/{rest:path}", arguments="rest: str"), None),
    "h06 upper case": (route("/API/CORE"), "hook_invalid"),
    "h06 double": (route("//core/x"), None),
}
CODE: Final = (
    "from litestar import WebSocket\nfrom plugin_host.sdk import AsgiApp, get, post, hookimpl, websocket\n{code}\n"
    "@hookimpl\ndef register_routes(): return [h]\n"
)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Run a host with all of them, and a good one."""
    folder = tmp_path_factory.mktemp("tried")
    for number, (python, _) in enumerate(TRIED.values()):
        name = f"bad{number}"
        rules = {"permissions": [{"name": f"{name}.view", "title": "See"}]}
        write_plugin(folder / "plugins", name, CODE.format(code=python.replace("bad.", f"{name}.")), rules)
    good = CODE.format(code=route(permission="good.view"))
    write_plugin(folder / "plugins", "good", good, {"permissions": [{"name": "good.view", "title": "See"}]})
    return outcome(folder)


def check(tried: tuple[dict[str, Any], dict[str, list[str]]], case: str) -> None:
    """See that all of a case were refused for what they did, or stayed below their own prefix."""
    entries, paths = tried
    assert entries["good"].state == "active"
    for number, (name, (_, why)) in enumerate(TRIED.items()):
        if name.startswith(case):
            entry = entries[f"bad{number}"]
            prefix = f"/api/bad{number}"
            assert (name, entry.reason and entry.reason.code) == (name, why)
            assert all(path == prefix or path.startswith(f"{prefix}/") for path in paths.get(entry.id, ()))


def test_h01_a_route_without_a_permission_refuses_its_plugin_only(tried: Any) -> None:
    check(tried, "h01")


def test_h02_nothing_else_answers_without_a_permission(tried: Any) -> None:
    check(tried, "h02")


def test_h03_a_plugin_cannot_leave_the_hosts_checks(tried: Any) -> None:
    check(tried, "h03")


def test_h04_a_permission_must_be_the_plugins_own(tried: Any) -> None:
    check(tried, "h04")


def test_h05_a_public_route_must_be_announced(tried: Any) -> None:
    check(tried, "h05")


def test_h05_public_routes_are_shown_to_who_looks_after_plugins(served: Served) -> None:
    with served.signed_in() as root:
        routes = root.get("/api/core/plugins/probe").json()["routes"]
    public = {route["path"] for route in routes if route["permission"] == "public"}
    assert {"/api/probe/open", "/api/probe/said"} <= public


def test_h06_a_path_stands_below_its_plugin_or_is_refused(tried: Any) -> None:
    check(tried, "h06")


@pytest.mark.parametrize(
    "path",
    [
        "/api/probe/%67uarded",
        "/api/probe/guarded/",
        "/api/probe//guarded",
        "//api/probe/guarded",
        "/api/probe/guarded;x=1",
        "/api/probe/./guarded",
        "/api/core/../probe/guarded",
        "/api/probe/open/../guarded",
        "/api/probe/%2e%2e/probe/guarded",
        "/api/probe/open%2f..%2fguarded",
        "/api/probe/GUARDED",
        "/API/probe/guarded",
        "/api/Probe/guarded",
        "/api/probe/guarded%00",
        "/api/probe/guarded%20",
        "/api/probe\\guarded",
        "/api/probe/%5cguarded",
        "/api/probeguarded",
        "/api/probe/guarded?/../open",
    ],
)
def test_h08_another_spelling_gets_the_same_decision_or_none(served: Served, path: str) -> None:
    raw, _ = served.talk(request(path, b"Connection: close"))
    assert int(raw.split(b" ")[1]) in (400, 401, 404) or b"<!doctype html>" in raw.lower()


def test_h09_another_method_is_no_way_around(served: Served) -> None:
    with served.client() as nobody:
        assert nobody.options("/api/probe/guarded").status_code == 401
        assert nobody.head("/api/probe/guarded").status_code == 401
        assert nobody.head("/api/probe/guarded").content == b""
        preflight = nobody.options(
            "/api/probe/guarded", headers={"origin": "http://evil.test", "access-control-request-method": "GET"}
        )
        assert preflight.status_code == 204


def test_h11_somebody_elses_object_is_not_there(served: Served) -> None:
    (_, owner), (_, other) = served.person("probe.writer"), served.person("probe.writer")
    with served.signed_in(owner) as browser:
        note = browser.post("/api/probe/notes", json={"name": "mine"}).json()["id"]
        assert browser.get(f"/api/probe/notes/{note}").status_code == 200
    with served.signed_in(other) as browser:
        answers = [browser.get(f"/api/probe/notes/{note}"), browser.delete(f"/api/probe/notes/{note}")]
        nobody = browser.get("/api/probe/notes/01890000000000000000000000")
    assert [code(each) for each in (*answers, nobody)] == [(404, "not_found")] * 3


@pytest.mark.parametrize("place", ["contacts/people", "invoicing/invoices"])
def test_h11_objects_of_the_examples_are_for_those_with_a_role(served: Served, place: str) -> None:
    _, nobody = served.person()
    with served.signed_in(nobody) as browser:
        assert code(browser.get(f"/api/{place}/01890000000000000000000000"))[0] in (403, 404)


@pytest.mark.parametrize("name", ["id", "role", "is_admin", "tenant", "created_at", "nonsense"])
def test_h12_fields_that_are_not_the_callers_are_refused(served: Served, name: str) -> None:
    _, owner = served.person("contacts.editor")
    with served.signed_in(owner) as browser:
        made = browser.post("/api/contacts/people", json={"name": "Ann"}).json()
        answer = browser.patch(f"/api/contacts/people/{made['id']}", json={name: "1"})
        assert code(answer) == (422, "invalid")
        assert browser.get(f"/api/contacts/people/{made['id']}").json() == made


def test_h13_answers_have_nothing_that_is_secret(served: Served) -> None:
    with served.signed_in() as root:
        for path in ("/api/core/users", "/api/core/auth/me", "/api/core/shell", "/api/core/auth/sessions"):
            text = root.get(path).text
            for word in ("password_hash", "argon2", "secret", "token_hash"):
                assert word not in text


def test_h15_who_may_not_see_a_screen_does_not_hear_of_it(served: Served) -> None:
    _, name = served.person()
    with served.signed_in(name) as browser:
        shell = browser.get("/api/core/shell").json()
        menu = browser.get("/api/core/menu").text
    assert "contacts" not in menu
    assert not [item for item in shell["screens"] if item["plugin"] == "contacts"]
    with served.signed_in() as root:
        text = root.get("/api/core/shell").text
    bundles = sorted({part for part in text.split('"') if part.startswith("/ui/contacts/")})
    with served.signed_in(name) as browser:
        assert all(browser.get(bundle).status_code == 403 for bundle in bundles)


@pytest.mark.anyio
async def test_h16_a_policy_that_cannot_be_read_lets_nobody_in(tmp_path: Path) -> None:
    import httpx

    settings = Settings(data_dir=str(tmp_path / "d"))
    async with PluginHost(settings).lifespan() as host:
        await host.core.accounts.add("root", "correct-horse-battery", roles=["core.admin"])

        def fails(*_: object) -> bool:
            raise RuntimeError("the store is away")

        host._gate._holds = fails
        transport = httpx.ASGITransport(host.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as browser:
            said = {"username": "root", "password": "correct-horse-battery"}
            head = {"sec-fetch-site": "same-origin"}
            assert (await browser.post("/api/core/auth/login", json=said, headers=head)).status_code == 200
            answer = await browser.get("/api/core/users")
    assert code(answer) == (503, "unavailable")


@pytest.mark.parametrize(
    "name", ["admin, allow", "*", "p", 'x", "y', "a\nb", "..", "r.sub", "role:core.admin", "__import__('os')"]
)
def test_h10_a_name_is_a_name_and_no_policy(name: str) -> None:
    from plugin_host.access.judge import allows

    asked = ("probe.note", "1", "view")
    mine = ("role:" + name, "probe.note", "*", "view", "", "allow")
    assert allows([mine], frozenset({"role:" + name}), asked, frozenset())
    assert not allows([mine], frozenset({"role:x", "role:admin", "user:1"}), asked, frozenset())
    assert not allows([mine], frozenset({"role:" + name}), ("probe.note", "1", "edit"), frozenset())
    if name != "*":  # that is the one word that has a meaning, and only the host writes it
        odd = ("role:x", name, name, name, "", "allow")
        assert not allows([odd], frozenset({"role:x"}), asked, frozenset())
