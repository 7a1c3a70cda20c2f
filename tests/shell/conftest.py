"""A small host in the place of the real one: the page and its files are real, the answers of the API are written."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

import plugin_host.shell
from plugin_host.shell.assets import Assets, send_asset
from plugin_host.shell.page import Page
from plugin_host.shell.screens import PlacedScreen, visible_screens
from plugin_host.shell.stripping import strip

STATIC = Path(plugin_host.shell.__file__).parent / "static"
UI = Path(__file__).parent / "ui"
THEME = {"name": "Acme Desk", "logo": None, "accent": None}
PASSWORD = "correct horse battery"
PEOPLE = [
    {
        "id": "1",
        "name": "Ada Byron",
        "company": "Analytical Ltd",
        "state": "active",
        "kind": "ok",
        "balance": "1250.00",
    },
    {"id": "2", "name": "Grace Hopper", "company": "Cobol & Co", "state": "late", "kind": "warn", "balance": "80.50"},
    {"id": "3", "name": "Alan Kay", "company": "Objects AG", "state": "lost", "kind": "danger", "balance": "0"},
    {
        "id": "4",
        "name": "Barbara Liskov",
        "company": "Abstract & Sons",
        "state": "new",
        "kind": "",
        "balance": "12999.99",
    },
]
MENU = [
    ("contacts.people", "People", "users", "/contacts/people", "CRM"),
    ("contacts.add", "Add person", "plus", "/contacts/people/new", "CRM"),
    ("faults.throws", "Throws", "shield", "/faults/throws", "Faults"),
    ("faults.mount", "Fails at mount", "alert", "/faults/mount", "Faults"),
    ("faults.late", "Fails late", "clock", "/faults/late", "Faults"),
    ("faults.missing", "Missing file", "file-text", "/faults/missing", "Faults"),
    ("faults.hangs", "Hangs", "no-such-icon", "/faults/hangs", "Faults"),
    ("core.users", "Users", "users", "/core/users", "Administration"),
    ("core.plugins", "Plugins", "puzzle", "/core/plugins", "Administration"),
    ("core.settings", "Settings", "settings", None, "Administration"),
]


class FakeHost:
    """An ASGI application with one user; what it was asked is kept in `calls`."""

    def __init__(self, base: str = "", theme: dict[str, str | None] | None = None) -> None:
        self.base = base
        self.theme = theme or THEME
        self.page = Page(Assets.scan("core", STATIC, prepare=strip), self.theme)
        self.files = {name: Assets.scan(name, UI / name) for name in ("contacts", "faults")}
        self.calls: list[str] = []
        self.signed_in = False
        self.empty = False
        self.setup_code: str | None = None
        self.login_problem: tuple[int, str] | None = None
        self.sign_in_url: str | None = None
        self.url = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        path = scope["path"]
        if path == self.base or path.startswith(f"{self.base}/"):
            path = path.removeprefix(self.base) or "/"
        self.calls.append(f"{scope['method']} {path}")
        if path.startswith("/ui/"):
            await self._send_file(path, scope, send)
        elif path.startswith("/api/"):
            body = (await receive())["body"]
            status, answer = self._api(scope["method"], path, json.loads(body) if body else None)
            await _send_json(send, status, answer)
        else:
            body, headers = self.page.render(self.base)
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    async def _send_file(self, path: str, scope: Any, send: Any) -> None:
        owner, folder, name = path.removeprefix("/ui/").split("/", 2)
        files = self.page.assets if owner == "core" else self.files[owner]
        asset = files.find(name) if folder == files.hash else None
        if asset is None:
            await _send_json(send, 404, _problem(404, "not_found", "There is no such file."))
        else:
            await send_asset(asset, scope, send, public=True)

    def _api(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        match method, path:
            case "GET", "/api/core/shell":
                return 200, self._shell()
            case "POST", "/api/core/auth/login":
                return self._login(body)
            case "POST", "/api/core/auth/logout":
                self.signed_in = False
                return 204, None
            case "POST", "/api/core/setup":
                return self._set_up(body)
            case _ if not self.signed_in:
                return 401, _problem(401, "not_signed_in", "Sign in first.")
            case "GET", "/api/core/changes":
                return 204, None  # nothing moves here: a browser does not ask again
            case "GET", "/api/contacts/people":
                return 200, {"items": PEOPLE, "next": None}
            case "POST", "/api/core/access/check":
                return 200, {"results": [check["object"] == "1" for check in body["checks"]], "revision": 1}
            case _:
                return 404, _problem(404, "not_found", "There is nothing here.")

    def _shell(self) -> dict[str, Any]:
        held = {"public", *(("signed-in",) if self.signed_in else ())}
        items = [dict(zip(("id", "title", "icon", "to", "group"), each, strict=True)) for each in MENU]
        mine = self.signed_in and not self.empty
        return {
            "user": {"id": "u1", "username": "ada", "display": "Ada Lovelace"} if self.signed_in else None,
            "permissions": ["contacts.create", "contacts.person.edit"] if self.signed_in else [],
            "menu": {"items": [{**item, "children": []} for item in items] if mine else []},
            "screens": visible_screens(self._screens(), held.__contains__),
            "slots": [],
            "theme": self.theme,
            "contract": 1,
            "plugins": {
                "contacts": {"name": "Contacts", "version": "1.2.0"},
                "faults": {"name": "Faulty plugin", "version": "0.1"},
            },
            "setup_required": self.setup_code is not None,
            "sign_in_url": self.sign_in_url,
        }

    def _screens(self) -> list[PlacedScreen]:
        contacts, faults = self.files["contacts"], self.files["faults"]
        styles = (contacts.url("contacts.css"),)
        entry = contacts.url("people.js")
        return [
            PlacedScreen("contacts", "people", "people", "module", "People", "signed-in", entry, styles),
            PlacedScreen("contacts", "hello", "hello", "module", "Hello", "public", contacts.url("hello.js")),
            *(
                PlacedScreen("faults", name, name, "module", name.title(), "signed-in", faults.url(f"{name}.js"))
                for name in ("throws", "mount", "late", "missing", "hangs", "evals")
            ),
        ]

    def _login(self, body: Any) -> tuple[int, Any]:
        if self.login_problem is not None:
            status, code = self.login_problem
            return status, _problem(status, code, "Not now.")
        if body != {"username": "ada", "password": PASSWORD, "client": "browser"}:
            return 401, _problem(401, "invalid_credentials", "Somebody else's words.")
        self.signed_in = True
        return 200, {"user": {"id": "u1", "username": "ada", "display": "Ada Lovelace"}}

    def _set_up(self, body: Any) -> tuple[int, Any]:
        if body["code"] != self.setup_code:
            error = {"pointer": "/code", "detail": "This is not the code that was printed."}
            return 403, {**_problem(403, "wrong_code", "Wrong code."), "errors": [error]}
        self.setup_code = None
        return 201, {"user": {"id": "u1", "username": body["username"], "display": body["username"]}}


def _problem(status: int, code: str, detail: str) -> dict[str, Any]:
    return {"type": f"urn:plugin-host:problem:{code}", "title": code, "status": status, "detail": detail}


async def _send_json(send: Any, status: int, answer: Any) -> None:
    kind = b"application/problem+json" if status >= 400 else b"application/json"
    headers = [(b"content-type", kind), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if answer is None else json.dumps(answer).encode()})


@pytest.fixture
def serve() -> Iterator[Callable[[FakeHost], FakeHost]]:
    """Serve hosts on ports of their own; all are stopped after the test."""
    running: list[tuple[uvicorn.Server, threading.Thread, socket.socket]] = []

    def start(host: FakeHost) -> FakeHost:
        listener = socket.create_server(("127.0.0.1", 0))
        host.url = f"http://127.0.0.1:{listener.getsockname()[1]}{host.base}"
        config = uvicorn.Config(host, log_level="error", lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        running.append((server, thread, listener))
        return host

    yield start
    for server, thread, listener in running:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture
def fake_host(serve: Callable[[FakeHost], FakeHost]) -> FakeHost:
    return serve(FakeHost())


@pytest.fixture
def make_host(serve: Callable[[FakeHost], FakeHost]) -> Callable[..., FakeHost]:
    return lambda **options: serve(FakeHost(**options))


class Watch:
    """What a page complained about, and whom it called."""

    def __init__(self) -> None:
        self.console: list[str] = []
        self.violations: list[str] = []
        self.requests: list[str] = []


@pytest.fixture
def watch(page: Any) -> Watch:
    """Listen to a page from its first moment."""
    seen = Watch()
    page.on("console", lambda m: seen.console.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: seen.console.append(str(error)))
    page.on("request", lambda request: seen.requests.append(request.url))
    page.expose_function("reportViolation", lambda text: seen.violations.append(text))  # noqa: PLW0108 - a method cannot carry what playwright hangs on it
    page.add_init_script(
        "addEventListener('securitypolicyviolation', (e) => reportViolation(`${e.violatedDirective} ${e.blockedURI}`))"
    )
    return seen


@pytest.fixture
def sign_in(page: Any) -> Callable[[FakeHost, str], None]:
    """Open an address of a host and sign in there."""

    page.set_default_timeout(10_000)

    def act(host: FakeHost, path: str = "/") -> None:
        page.goto(host.url + path)
        page.get_by_label("User name").fill("ada")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.locator("#view").wait_for()

    return act
