"""J: upgrades, manifests, files, and what a page may do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import pytest

from .conftest import Served, code, outcome, request, write_plugin

pytestmark = pytest.mark.security

CODE: Final = (
    "from plugin_host.sdk import get, hookimpl\n"
    "@get('/x', permission='{permission}')\nasync def h() -> str: return ''\n"
    "@hookimpl\ndef register_routes(): return [h]\n"
)


def test_j01_what_an_upgrade_asks_for_is_off_until_somebody_agrees(tmp_path: Path) -> None:
    view = {"name": "shop.view", "title": "See"}
    write_plugin(tmp_path / "plugins", "shop", CODE.format(permission="shop.view"), {"permissions": [view]})
    assert outcome(tmp_path)[0]["shop"].state == "active"
    folder = tmp_path / "plugins" / "shop"
    more = {
        "permissions": [view, {"name": "shop.edit", "title": "Change"}],
        "public": [{"method": "GET", "path": "/x", "reason": "new"}],
    }
    (folder / "permissions.json").write_text(json.dumps(more))
    (folder / "__init__.py").write_text(CODE.format(permission="public"))
    entry = outcome(tmp_path, "ask")[0]["shop"]
    assert entry.state == "active"
    assert "shop.edit" in str(entry.awaiting)
    assert "/x" in str(entry.awaiting)


MANIFESTS: Final = {
    "huge": '{"id": "bad0", "name": "B", "requires": {"core": ">=1.0"}, "extra": "' + "a" * 5_000_000 + '"}',
    "deep": '{"id": "bad1", "name": ' + "[" * 100_000 + "]" * 100_000 + "}",
    "a wrong type": '{"id": "bad2", "name": 7, "version": "1.0", "requires": {"core": ">=1.0"}}',
    "an unknown field": '{"id": "bad3", "name": "B", "version": "1.0", "requires": {"core": ">=1.0"}, "unknown": 1}',
    "a bad range": '{"id": "bad4", "name": "B", "version": "1.0", "requires": {"core": "newer than yesterday"}}',
    "no json": "not json",
    "no text": "\ufffd\x00",
    "empty": "",
}


def test_j05_a_bad_manifest_refuses_its_plugin_only(tmp_path: Path) -> None:
    write_plugin(tmp_path / "plugins", "good", "")
    for number, text in enumerate(MANIFESTS.values()):
        write_plugin(tmp_path / "plugins", f"bad{number}", "")
        (tmp_path / "plugins" / f"bad{number}" / "plugin.json").write_text(text)
    entries, _ = outcome(tmp_path)
    assert entries["good"].state == "active"
    for number in range(len(MANIFESTS)):
        why = entries[f"bad{number}"].reason
        assert why.code == "manifest_invalid"
        assert "plugin.json" in why.text
        assert len(why.text) < 2000


def bundle(served: Served) -> str:
    """Give the address of a file of the shell."""
    with served.client() as caller:
        page = caller.get("/").text
    found = re.search(r'"(/ui/core/[^"/]+/[^"]+\.js)"', page)
    assert found is not None, page
    return found[1]


@pytest.mark.parametrize(
    "path",
    [
        "../../plugin.json",
        "..%2f..%2fplugin.json",
        "%2e%2e/%2e%2e/plugin.json",
        "..\\..\\plugin.json",
        "..%5c..%5cplugin.json",
        "%00",
        ".env",
        "x.py",
        "__init__.py",
        "",
        "/etc/passwd",
        "..;/plugin.json",
    ],
)
def test_j06_files_beside_those_that_are_served_are_not_there(served: Served, path: str) -> None:
    folder = bundle(served).rsplit("/", 1)[0]
    raw, _ = served.talk(request(f"{folder}/{path}", b"Connection: close"))
    assert int(raw.split(b" ")[1]) in (400, 401, 404)


def test_j06_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    from plugin_host.shell.assets import Assets

    ui = tmp_path / "ui"
    ui.mkdir()
    (tmp_path / "secret.js").write_text("secret")
    (ui / "x.js").symlink_to(tmp_path / "secret.js")
    (ui / ".hidden.js").write_text("hidden")
    (ui / "code.py").write_text("code")
    (ui / "good.js").write_text("good")
    assets = Assets.scan("shop", ui)
    assert [assets.find(name) is not None for name in ("x.js", ".hidden.js", "code.py", "good.js")] == [
        False,
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("verb", ["enable", "disable", "consent", "retry"])
def test_j07_plugins_are_switched_by_who_may(served: Served, verb: str) -> None:
    _, name = served.person("contacts.editor")
    with served.client() as nobody, served.signed_in(name) as somebody:
        assert nobody.post(f"/api/core/plugins/contacts/{verb}").status_code == 401
        assert code(somebody.post(f"/api/core/plugins/contacts/{verb}")) == (403, "forbidden")


def test_j08_a_frame_of_a_plugin_cannot_call_the_api(served: Served) -> None:
    with served.signed_in() as root:
        cookies = root.cookies
    with served.client(**{"origin": "null", "sec-fetch-site": "cross-site"}) as frame:
        frame.cookies.update(cookies)
        assert code(frame.post("/api/probe/echo", json={"name": "x"})) == (403, "cross_origin")
        answer = frame.get("/api/probe/open")
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_j10_what_people_write_is_text(served: Served) -> None:
    script = "<script>alert(1)</script>"
    with served.signed_in() as root:
        made = root.post("/api/contacts/people", json={"name": script, "email": "a@example.org"})
        answer = root.get(f"/api/contacts/people/{made.json()['id']}")
        page = root.get("/contacts")
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.json()["name"] == script
    policy = page.headers["content-security-policy"]
    assert script not in page.text
    assert "unsafe-inline" not in re.sub(r"style-src[^;]*", "", policy)
    assert "unsafe-eval" not in policy


ALWAYS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
ODD: Final[dict[str, bytes]] = {
    "ok": request("/api/probe/open"),
    "not there": request("/api/nobody"),
    "not there at all": request("/static/x"),
    "another method": request("/health/live", method="DELETE"),
    "not signed in": request("/api/core/users"),
    "an error": request("/api/probe/crash"),
    "a file": request("/ui/core/x/y.js"),
    "a page": request("/"),
    "no host": request("/", host=None),
    "a wrong host": request("/", host="evil.test"),
    "headers too large": request("/", b"X-A: " + b"a" * 70_000),
    "no http": b"rubbish\r\n\r\n",
    "no handshake": request("/api/probe/chat", b"Connection: Upgrade", b"Upgrade: websocket"),
    "a refused handshake": request(
        "/api/probe/chat",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"Origin: http://evil.test",
    ),
    "a body too large": request(
        "/api/probe/small", b"Content-Length: 5000", b"Content-Type: application/json", method="POST"
    )
    + b"a" * 5000,
}


@pytest.mark.parametrize("kind", ODD)
def test_j12_every_answer_has_the_security_headers(served: Served, kind: str) -> None:
    raw, _ = served.talk(ODD[kind], patience=1.0)
    head = raw.partition(b"\r\n\r\n")[0].decode("latin-1")
    headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:])
    assert {name: headers.get(name) for name in ALWAYS} == ALWAYS
    assert "content-security-policy" in headers
    assert "x-request-id" in headers
    assert "server" not in headers
    status = int(head.split(" ")[1])
    if status >= 400:
        assert headers["content-type"] == "application/problem+json"
        members: dict[str, Any] = json.loads(raw.partition(b"\r\n\r\n")[2])
        assert {"type", "title", "status", "detail", "instance"} <= set(members)
        assert members["instance"] == headers["x-request-id"]
