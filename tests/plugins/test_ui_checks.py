from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugin_host.plugins.discovery import discover, folder_candidate
from plugin_host.plugins.manifests import read
from plugin_host.sdk.errors import Reason

from .building import CORE, make_folder_plugin, manifest_keys

PERMISSIONS = {"permissions": [{"name": "hello.view", "title": "See"}]}
FILES = {"ui/a.js": "", "ui/a.css": "", "ui/cells.js": ""}


def screen(**keys: Any) -> dict[str, Any]:
    return {"id": "all", "title": "All", "kind": "module", "entry": "ui/a.js", "permission": "hello.view", **keys}


def item(**keys: Any) -> dict[str, Any]:
    whole = {"id": "hello.all", "title": "All", "to": "/hello", "permission": "hello.view", **keys}
    return {key: value for key, value in whole.items() if value is not None}


def with_ui(tmp_path: Path, *screens: dict[str, Any], **ui: Any) -> Reason | None:
    keys: dict[str, Any] = {"ui": {"screens": list(screens), **ui}, "permissions": PERMISSIONS, "files": FILES}
    return read(folder_candidate(make_folder_plugin(tmp_path, "hello", **keys))).fault


def with_menu(tmp_path: Path, *items: dict[str, Any], **keys: Any) -> Reason | None:
    keys = {"ui": {"screens": [screen()]}, "permissions": PERMISSIONS, "files": FILES, **keys}
    return read(folder_candidate(make_folder_plugin(tmp_path, "hello", menu={"items": list(items)}, **keys))).fault


# -- screens -----------------------------------------------------------------------------------------------------

DECLARED = {
    "id": "list",
    "title": "List",
    "kind": "declared",
    "path": "list",
    "permission": "signed-in",
    "operations": {"list": "list_notes"},
    "parts": {"cell:state": "./cells.js#state"},
}


def test_sound_screens_and_slots_are_fine(tmp_path: Path) -> None:
    frame = screen(id="frame", kind="iframe", path="frame/{id}", permission="public")
    slot = {"slot": "core.home", "kind": "module", "entry": "ui/a.js", "permission": "hello.view"}
    assert with_ui(tmp_path, screen(styles=["ui/a.css"]), frame, DECLARED, slots=[slot]) is None


@pytest.mark.parametrize(
    ("screens", "expected"),
    [
        ([screen(entry="ui/b.js")], "at $.ui.screens[0].entry: there is no file 'ui/b.js' in the package"),
        ([screen(entry="ui")], "at $.ui.screens[0].entry: there is no file 'ui' in the package"),
        ([screen(entry="a.js")], "at $.ui.screens[0].entry: 'a.js' is no file in the package's folder ui/"),
        ([screen(entry="ui/../plugin.json")], "'ui/../plugin.json' is no file in the package's folder ui/"),
        ([screen(entry="/ui/a.js")], "'/ui/a.js' is no file in the package's folder ui/"),
        ([screen(styles=["ui/a.css", "ui/b.css"])], "at $.ui.screens[0].styles[1]: there is no file 'ui/b.css'"),
        (
            [{**DECLARED, "parts": {"cell:x": "./no.js#x"}}],
            "at $.ui.screens[0].parts.cell:x: there is no file 'ui/no.js'",
        ),
        ([screen(), screen(path="b")], "at $.ui.screens[1].id: 'all' stands there twice"),
        ([screen(path="a"), screen(id="b", path="/a/")], "at $.ui.screens[1].path: the path 'a' is another screen's"),
        ([screen(path="../a")], "at $.ui.screens[0].path: '../a' is no path below /hello/"),
        ([screen(path="a b")], "at $.ui.screens[0].path: 'a b' is no path below /hello/"),
    ],
)
def test_a_screen_that_cannot_be_shown_is_a_fault(tmp_path: Path, screens: list[dict[str, Any]], expected: str) -> None:
    reason = with_ui(tmp_path, *screens)
    assert reason is not None
    assert reason.code == "ui_invalid"
    assert expected in reason.text


@pytest.mark.parametrize(
    ("name", "code"),
    [("hello.vew", "permission_unknown"), ("admin", "permission_unknown"), ("other.view", "permission_foreign")],
)
def test_a_screen_names_a_permission_that_is_there(tmp_path: Path, name: str, code: str) -> None:
    reason = with_ui(tmp_path, screen(permission=name))
    assert reason is not None
    assert (reason.code, "at $.ui.screens[0].permission" in reason.text) == (code, True)


def test_a_slot_is_held_to_the_same(tmp_path: Path) -> None:
    slot = {"slot": "core.home", "kind": "module", "entry": "ui/b.js", "permission": "hello.vew"}
    reason = with_ui(tmp_path, slots=[slot])
    assert reason is not None
    assert "at $.ui.slots[0].permission" in reason.text
    assert "at $.ui.slots[0].entry" in reason.text


def test_an_unknown_browser_contract_is_a_fault(tmp_path: Path) -> None:
    reason = with_ui(tmp_path, screen(entry="nowhere.js"), contract=2)
    assert reason is not None
    assert (reason.code, "the host speaks browser contract 1, not 2" in reason.text) == ("ui_contract_unknown", True)


def test_an_object_without_a_folder_has_no_screens() -> None:
    console = type(
        "Hello", (), {"manifest": manifest_keys("hello", ui={"screens": [screen()]}), "__module__": "nowhere"}
    )
    (candidate,) = (one for one in discover(core=CORE, objects=[console()]) if one.source == "object")
    reason = read(candidate).fault
    assert reason is not None
    assert "there is no file 'ui/a.js' in the package" in reason.text


# -- menu --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "items",
    [
        [item()],
        [item(permission="public", to="/hello/a/b?tab=1")],
        [item(permission="core.plugins.view")],
        [{"id": "hello.all", "screen": "all"}],
        [{"id": "hello.all", "screen": "all", "permission": "signed-in"}],
        [item(to=None), item(id="hello.sub", parent="hello.all", after=["other.thing"])],
        [item(parent="other.menu")],
        [item(), item(id="hello.two", after=["hello.all"])],
    ],
)
def test_sound_items_are_fine(tmp_path: Path, items: list[dict[str, Any]]) -> None:
    assert with_menu(tmp_path, *items) is None


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([item(id="other.all")], "at $.items[0].id: 'other.all' is no id of a menu item of hello"),
        ([item(id="hello.All")], "at $.items[0].id: 'hello.All' is no id of a menu item of hello"),
        ([item(), item()], "at $.items[1].id: 'hello.all' stands there twice"),
        ([item(title=None)], "at $.items[0]: 'hello.all' has no 'title'"),
        ([item(permission=None)], "at $.items[0]: 'hello.all' has no 'permission'"),
        ([item(to=None)], "at $.items[0]: 'hello.all' has no 'to'"),
        ([{"id": "hello.all", "screen": "al"}], "at $.items[0].screen: there is no screen 'al' in plugin.json"),
        ([item(to="/other")], "at $.items[0].to: '/other' is no page of hello"),
        ([item(to="hello")], "at $.items[0].to: 'hello' is no page of hello"),
        ([item(to="//hello")], "at $.items[0].to: '//hello' is no page of hello"),
        ([item(to="/hello/../core")], "at $.items[0].to: '/hello/../core' is no page of hello"),
        ([item(to="javascript:alert(1)")], "is no page of hello"),
        ([item(parent="hello.non")], "at $.items[0].parent: there is no menu item 'hello.non'"),
        ([item(after=["core.x", "hello.non"])], "at $.items[0].after[1]: there is no menu item 'hello.non'"),
        ([item(parent="hello.all")], "at $.items: 'parent' goes in a circle: hello.all → hello.all"),
        (
            [item(after=["hello.two"]), item(id="hello.two", after=["hello.all"])],
            "at $.items: 'after' goes in a circle: ",
        ),
    ],
)
def test_an_item_that_cannot_be_shown_is_a_fault(tmp_path: Path, items: list[dict[str, Any]], expected: str) -> None:
    reason = with_menu(tmp_path, *items)
    assert reason is not None
    assert reason.code == "manifest_invalid"
    assert expected in reason.text


@pytest.mark.parametrize(
    ("name", "code"),
    [("hello.vew", "permission_unknown"), ("other.view", "permission_foreign")],
)
def test_an_item_names_a_permission_that_is_there(tmp_path: Path, name: str, code: str) -> None:
    reason = with_menu(tmp_path, item(permission=name))
    assert reason is not None
    assert reason.code == code


def test_an_item_names_a_screen_only_where_there_are_some(tmp_path: Path) -> None:
    reason = with_menu(tmp_path, {"id": "hello.all", "screen": "all"}, ui=None)
    assert reason is not None
    assert reason.way_out == "There are no screens: remove it."
