"""The three files of a plugin: what is taken, what is refused, and what is meant where nothing is said."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from plugin_host.sdk.manifest import (
    CORE_VERSION,
    FILES,
    RESERVED_IDS,
    MenuFile,
    MenuItem,
    PermissionsFile,
    PluginManifest,
    PublicRoute,
)
from plugin_host.sdk.screens import UI_CONTRACTS, DeclaredScreen, FederationScreen, IframeScreen, ModuleScreen, Screen

LEAST: dict[str, Any] = {"id": "contacts", "name": "Contacts", "requires": {"core": ">=1.0,<2"}}
SCREEN: dict[str, Any] = {"id": "people", "title": "People", "permission": "contacts.view"}
COMMAND_WORDS = (
    "serve check plan plugins new migrate makemigration migrations users groups roles access jobs events worker "
    "audit auth openapi schema config doctor ui"
).split()


def manifest(**keys: Any) -> PluginManifest:
    return msgspec.convert({**LEAST, **keys}, PluginManifest)


def screen(kind: str, **keys: Any) -> Screen:
    (found,) = msgspec.convert([{**SCREEN, "kind": kind, **keys}], tuple[Screen, ...])
    return found


def test_least_manifest() -> None:
    found = manifest()
    assert (found.id, found.name, found.requires) == ("contacts", "Contacts", {"core": ">=1.0,<2"})


def test_what_a_manifest_means_without_saying_it() -> None:
    found = manifest()
    assert (found.manifest, found.isolation, found.state, found.data.database) == (
        1,
        ("inprocess",),
        "stable",
        "default",
    )
    assert (found.version, found.ui, found.entry) == (None, None, None)
    assert (found.asks, found.optional, found.conflicts, found.links, found.extra) == ((), {}, (), {}, {})


@pytest.mark.parametrize("key", ["id", "name", "requires"])
def test_manifest_needs(key: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=f"missing required field `{key}`"):
        msgspec.convert({name: value for name, value in LEAST.items() if name != key}, PluginManifest)


@pytest.mark.parametrize("plugin_id", ["c2", "contacts", "a" * 31])
def test_word_that_is_an_id(plugin_id: str) -> None:
    assert manifest(id=plugin_id).id == plugin_id


@pytest.mark.parametrize(
    "plugin_id", ["", "c", "Contacts", "2contacts", "my_contacts", "my-contacts", "kontäkte", "contacts\n", "a" * 32]
)
def test_word_that_is_no_id(plugin_id: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"at `\$\.id`"):
        manifest(id=plugin_id)


@pytest.mark.parametrize("name", ["", "x" * 81])
def test_title_that_nobody_could_read(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"at `\$\.name`"):
        manifest(name=name)


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_unknown_key_is_refused(file: type[Any]) -> None:
    keys = LEAST if file is PluginManifest else {}
    with pytest.raises(msgspec.ValidationError, match="unknown field `heading`"):
        msgspec.convert({**keys, "heading": "x"}, file)


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_keys_for_tools_are_taken_in_each_file(file: type[Any]) -> None:
    keys = LEAST if file is PluginManifest else {}
    found = msgspec.convert({**keys, "$schema": "./plugin.schema.json", "extra": {"mine": [1]}}, file)
    assert (found.schema, found.extra) == ("./plugin.schema.json", {"mine": [1]})


@pytest.mark.parametrize("file", FILES.values(), ids=FILES)
def test_each_file_has_a_json_schema(file: type[Any]) -> None:
    assert msgspec.json.schema(file)["$defs"][file.__name__]["additionalProperties"] is False


def test_files_are_frozen() -> None:
    with pytest.raises(AttributeError):
        manifest().id = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("manifest", 2),
        ("state", "old"),
        ("isolation", ["thread"]),
        ("data", {"database": "mine"}),
        ("links", {"blog": "https://example.org"}),
        ("events", {"publish": []}),
        ("requires", ["core"]),
    ],
)
def test_value_that_the_contract_does_not_know(key: str, value: Any) -> None:
    with pytest.raises(msgspec.ValidationError, match=rf"`\$\.{key}"):
        manifest(**{key: value})


@pytest.mark.parametrize("word", ["", "People", "2people", "people\n", "my people"])
def test_word_that_is_no_id_of_a_screen(word: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"\.id`"):
        screen("module", id=word, entry="ui/people.js")


@pytest.mark.parametrize(
    ("kind", "keys", "cls"),
    [
        ("module", {"entry": "ui/people.js"}, ModuleScreen),
        ("federation", {"entry": "ui/remote.js", "name": "contacts", "expose": "./people"}, FederationScreen),
        ("iframe", {"entry": "ui/index.html", "capabilities": ["notify"]}, IframeScreen),
        ("declared", {"operations": {"list": "list_people"}, "columns": ["name", {"name": "email"}]}, DeclaredScreen),
    ],
)
def test_kind_of_a_screen_says_what_it_needs(kind: str, keys: dict[str, Any], cls: type[Screen]) -> None:
    assert isinstance(screen(kind, **keys), cls)


def test_screen_of_unknown_kind() -> None:
    with pytest.raises(msgspec.ValidationError, match="Invalid value 'flash'"):
        screen("flash", entry="ui/people.swf")


def test_screen_with_the_key_of_another_kind() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `operations`"):
        screen("module", entry="ui/people.js", operations={"list": "list_people"})


def test_screen_without_a_permission() -> None:
    with pytest.raises(msgspec.ValidationError, match="missing required field `permission`"):
        msgspec.convert({"id": "people", "title": "People", "kind": "module", "entry": "x.js"}, Screen)


def test_ui_speaks_contract_1_unless_it_says_otherwise() -> None:
    found = manifest(ui={"screens": [{**SCREEN, "kind": "module", "entry": "ui/people.js"}]})
    assert found.ui is not None
    assert found.ui.contract in UI_CONTRACTS


def test_permission_is_of_the_plugin_as_a_whole_unless_it_says_otherwise() -> None:
    raw = {"permissions": [{"name": "contacts.view", "title": "Open contacts"}]}
    (found,) = msgspec.convert(raw, PermissionsFile).permissions
    assert (found.scope, found.implies, found.description) == ("type", (), "")


def test_role_grants_with_and_without_a_condition() -> None:
    where = {"==": [{"row": "owner_id"}, {"actor": "id"}]}
    grants = [{"permission": "contacts.view"}, {"permission": "contacts.person.edit", "where": where}]
    raw = {"roles": [{"name": "contacts.editor", "title": "Editor", "grants": grants}]}
    (role,) = msgspec.convert(raw, PermissionsFile).roles
    assert [grant.where for grant in role.grants] == [None, where]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "WS", "*"])
def test_method_of_a_public_route(method: str) -> None:
    found = msgspec.convert({"method": method, "path": "/hook", "reason": "Signed by the sender."}, PublicRoute)
    assert found.method == method


@pytest.mark.parametrize("change", [{"method": "HEAD"}, {"method": "get"}, {"reason": ""}])
def test_public_route_that_says_too_little(change: dict[str, str]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"method": "GET", "path": "/hook", "reason": "Signed.", **change}, PublicRoute)


def test_menu_item_may_take_all_from_its_screen() -> None:
    raw = {"items": [{"id": "contacts.people", "screen": "people"}]}
    assert msgspec.convert(raw, MenuFile).items == (MenuItem(id="contacts.people", screen="people"),)


def test_files_by_word() -> None:
    assert FILES == {"plugin": PluginManifest, "permissions": PermissionsFile, "menu": MenuFile}


@pytest.mark.parametrize(
    "word", [*COMMAND_WORDS, *"core api app host health metrics setup login logout static well".split()]
)
def test_word_that_no_plugin_may_take(word: str) -> None:
    assert word in RESERVED_IDS


def test_version_of_the_contract() -> None:
    assert CORE_VERSION == "1.0"
