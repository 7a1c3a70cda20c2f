from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from plugin_host.plugins.activation import Contributions, Declared, contribute, declare, load
from plugin_host.plugins.discovery import folder_candidate
from plugin_host.plugins.manifests import read
from plugin_host.plugins.plan import Candidate, Found
from plugin_host.plugins.relay import Relay
from plugin_host.sdk import hookspecs
from plugin_host.sdk.contributions import Service
from plugin_host.sdk.errors import PluginFault, Reason
from plugin_host.sdk.manifest import MenuItem, Permission, PluginManifest

from .building import make_folder_plugin

HEAD = "import msgspec\nfrom plugin_host.sdk import *\nfrom plugin_host.sdk import hookimpl\n"
VIEW: dict[str, Any] = {"name": "hello.view", "title": "See"}
MANIFEST = PluginManifest(id="hello", name="Hello", requires={"core": ""})
ITEM: dict[str, Any] = {"id": "hello.all", "title": "All", "to": "/hello", "permission": "hello.view"}


def activated(tmp_path: Path, code: str, **keys: Any) -> tuple[Relay, Found]:
    files = {"permissions": {"permissions": [VIEW]}, "menu": {"items": [ITEM]}}
    package = make_folder_plugin(tmp_path, "hello", HEAD + code, package="host_hello", **{**files, **keys})
    found = read(folder_candidate(package))
    return load(found), found


def hook(name: str, returned: str, arguments: str = "") -> str:
    return f"\n@hookimpl\ndef {name}({arguments}):\n    return {returned}\n"


def declared(tmp_path: Path, code: str, config: Mapping[str, Any] | None = None, **keys: Any) -> Declared:
    return declare(*activated(tmp_path, code, **keys), config or {})


def refused(tmp_path: Path, code: str, config: Mapping[str, Any] | None = None, **keys: Any) -> Reason:
    with pytest.raises(PluginFault) as caught:
        declared(tmp_path, code, config, **keys)
    return caught.value.reason


# -- permissions and menu ----------------------------------------------------------------------------------------


def test_without_hooks_the_files_say_all(tmp_path: Path) -> None:
    assert declared(tmp_path, "") == Declared((Permission(**VIEW),), (MenuItem(**ITEM),))


def test_what_hooks_add_stands_beside_the_files_and_is_told(tmp_path: Path) -> None:
    code = hook("register_permissions", "[Permission(name='hello.edit', title='Edit', implies=('hello.view',))]")
    code += hook(
        "register_menu", "[MenuItem(id='hello.more', title='More', to='/hello/more', permission='hello.edit')]"
    )
    result = declared(tmp_path, code)
    assert [one.name for one in result.permissions] == ["hello.view", "hello.edit"]
    assert [one.id for one in result.menu] == ["hello.all", "hello.more"]
    assert result.beyond == (
        "register_permissions adds 'hello.edit', which host_hello/permissions.json does not say: a plan cannot show it",
        "register_menu adds 'hello.more', which host_hello/menu.json does not say: a plan cannot show it",
    )


def test_the_same_saying_in_both_places_is_one(tmp_path: Path) -> None:
    code = hook("register_permissions", "[Permission(name='hello.view', title='See')]")
    result = declared(tmp_path, code)
    assert (len(result.permissions), result.beyond) == (1, ())


def test_two_different_sayings_name_both_places(tmp_path: Path) -> None:
    reason = refused(tmp_path, hook("register_permissions", "[Permission(name='hello.view', title='Look')]"))
    assert reason.code == "hook_invalid"
    assert "'hello.view' is said in two ways, by host_hello/permissions.json and by register_permissions" in reason.text


@pytest.mark.parametrize(
    ("code", "reason_code", "text"),
    [
        (
            hook("register_permissions", "[Permission(name='other.view', title='x')]"),
            "manifest_invalid",
            "register_permissions: at $.permissions[1].name: 'other.view' is no name",
        ),
        (
            hook("register_menu", "[MenuItem(id='hello.x', title='x', to='/hello', permission='hello.vew')]"),
            "permission_unknown",
            "register_menu: at $.items[1].permission: 'hello.vew' is no permission of hello",
        ),
        (
            hook("register_menu", "[MenuItem(id='hello.x', title='x', to='/core', permission='hello.view')]"),
            "manifest_invalid",
            "register_menu: at $.items[1].to",
        ),
    ],
)
def test_what_hooks_add_is_held_to_the_rules_of_files(tmp_path: Path, code: str, reason_code: str, text: str) -> None:
    reason = refused(tmp_path, code)
    assert reason.code == reason_code
    assert text in reason.text


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (
            hook("register_permissions", "['hello.view']"),
            "register_permissions returns 'hello.view' (item 0), which is not",
        ),
        (hook("register_menu", "{'a': 1}"), "register_menu returns {'a': 1} (item 0), which is not a MenuItem"),
        (hook("register_permissions", f"['{'x' * 100}']"), f"returns '{'x' * 79}… (item 0)"),
        (
            hook("register_settings", "dict"),
            "register_settings returns <class 'dict'> (item 0), which is not a msgspec",
        ),
        (hook("migrations", "'migrations'"), "migrations returns 'migrations' (item 0), which is not a Migrations"),
        (
            "class Odd:\n    def __repr__(self): raise RuntimeError\n" + hook("register_menu", "[Odd()]"),
            "register_menu returns something of type Odd (item 0)",
        ),
    ],
)
def test_a_thing_of_another_type_is_refused(tmp_path: Path, code: str, text: str) -> None:
    reason = refused(tmp_path, code)
    assert reason.code == "hook_invalid"
    assert text in reason.text


def test_a_plugin_without_a_manifest_declares_nothing(tmp_path: Path) -> None:
    relay = Relay("hello", object(), hookspecs)
    with pytest.raises(PluginFault) as caught:
        declare(relay, Found(candidate=Candidate(id="hello", source="object", place="x")), {})
    assert caught.value.reason.code == "manifest_invalid"


# -- migrations --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("init", [True, False], ids=["package", "folder"])
def test_the_hook_may_repeat_where_the_migrations_are(tmp_path: Path, *, init: bool) -> None:
    files = {"migrations/0001_x.py": "", **({"migrations/__init__.py": ""} if init else {})}
    declared(tmp_path, hook("migrations", "Migrations(package='host_hello.migrations')"), files=files)


@pytest.mark.parametrize(
    ("package", "text"),
    [
        ("host_hello.revisions", "this release finds revisions only in "),
        ("host_hello.nowhere", "this release finds revisions only in "),
        ("nowhere_to_be_found.migrations", "looking for 'nowhere_to_be_found.migrations' failed: ModuleNotFoundError"),
    ],
)
def test_migrations_in_another_place_are_refused(tmp_path: Path, package: str, text: str) -> None:
    reason = refused(
        tmp_path, hook("migrations", f"Migrations(package={package!r})"), files={"revisions/0001_x.py": ""}
    )
    assert reason.code == "hook_invalid"
    assert text in reason.text


def test_migrations_of_an_object_without_a_folder_are_refused() -> None:
    class Hello:
        @hookspecs.hookimpl
        def migrations(self) -> Any:
            from plugin_host.sdk import Migrations

            return Migrations(package="json")

    relay = Relay("hello", Hello(), hookspecs)
    with pytest.raises(PluginFault) as caught:
        declare(relay, Found(candidate=Candidate(id="hello", source="object", place="x"), manifest=MANIFEST), {})
    assert "finds revisions only in None" in caught.value.reason.text


# -- settings ----------------------------------------------------------------------------------------------------

SETTINGS = (
    "class Inner(msgspec.Struct):\n    deep: int = 1\n"
    "class S(msgspec.Struct):\n    limit: int = 5\n    inner: Inner = msgspec.field(default_factory=Inner)\n"
    + hook("register_settings", "S")
)


def test_without_a_struct_there_are_no_settings(tmp_path: Path) -> None:
    assert declared(tmp_path, "").settings is None


@pytest.mark.parametrize(("config", "limit"), [({}, 5), ({"limit": 7}, 7)])
def test_settings_are_one_of_the_struct(tmp_path: Path, config: dict[str, Any], limit: int) -> None:
    assert declared(tmp_path, SETTINGS, config).settings.limit == limit


@pytest.mark.parametrize(
    ("code", "config", "text", "way_out"),
    [
        ("", {"limit": 5}, "settings stand in [plugins.hello] (limit), but it takes none.", "Remove [plugins.hello]."),
        (SETTINGS, {"limt": 5}, "there is no setting plugins.hello.limt.", "Did you mean plugins.hello.limit?"),
        (SETTINGS, {"zzz": 5}, "there is no setting plugins.hello.zzz.", "It takes: inner, limit."),
        (
            "class S(msgspec.Struct): pass\n" + hook("register_settings", "S"),
            {"zzz": 5},
            "there is no setting plugins.hello.zzz.",
            "It takes: nothing.",
        ),
        (
            SETTINGS,
            {"limit": "x"},
            "plugins.hello.limit: expected `int`, got `str`.",
            "Correct it in the settings, in [plugins.hello].",
        ),
        (
            SETTINGS,
            {"inner": {"deep": "x"}},
            "plugins.hello.inner.deep: expected `int`, got `str`.",
            "Correct it in the settings, in [plugins.hello].",
        ),
        (
            "class S(msgspec.Struct):\n    key: str\n" + hook("register_settings", "S"),
            {},
            "plugins.hello: object missing required field `key`.",
            "Correct it in the settings, in [plugins.hello].",
        ),
        (
            "class S(msgspec.Struct):\n    def __post_init__(self):\n        1 / 0\n" + hook("register_settings", "S"),
            {},
            "[plugins.hello] was refused: ZeroDivisionError: division by zero (host_hello/__init__.py:6).",
            "Correct it in the settings, in [plugins.hello].",
        ),
    ],
)
def test_settings_that_do_not_fit_are_told_with_their_key(
    tmp_path: Path, code: str, config: dict[str, Any], text: str, way_out: str
) -> None:
    reason = refused(tmp_path, code, config)
    assert (reason.code, reason.text, reason.way_out) == ("settings_invalid", f"hello: {text}", way_out)


def test_there_is_one_struct_of_settings(tmp_path: Path) -> None:
    code = "class S(msgspec.Struct): pass\n" + hook("register_settings", "[S, S]")
    assert "register_settings returns several types." in refused(tmp_path, code).text


# -- contributions -----------------------------------------------------------------------------------------------


def contributed(tmp_path: Path, code: str) -> Contributions:
    relay, _ = activated(tmp_path, code)
    context: Any = None
    return contribute(relay, context)


def not_contributed(tmp_path: Path, code: str) -> Reason:
    with pytest.raises(PluginFault) as caught:
        contributed(tmp_path, code)
    return caught.value.reason


def test_a_plugin_may_contribute_nothing(tmp_path: Path) -> None:
    assert contributed(tmp_path, "") == Contributions()


def test_each_contribution_comes_by_its_kind(tmp_path: Path) -> None:
    code = "import click\nasync def check(*args): ...\n@click.command()\ndef greet(): ...\n"
    code += "KEY = ServiceKey('hello.x', 1)\n"
    code += hook("register_services", "[Service(KEY, 5)]", "context")
    code += hook("register_routes", "[check]")
    code += hook("register_commands", "[greet]")
    code += hook("register_health", "[check]")
    result = contributed(tmp_path, code)
    assert isinstance(result.services[0], Service)
    assert [command.name for command in result.commands] == ["greet"]
    assert (len(result.routes), len(result.health)) == (1, 1)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (hook("register_services", "[5]"), "register_services returns 5 (item 0), which is not a Service."),
        (hook("register_commands", "[print]"), "(item 0), which is not a click command."),
        (hook("register_health", "['ok']"), "register_health returns 'ok' (item 0), which is not a function."),
        (
            "import click\n" + hook("register_commands", "[click.Command('a'), click.Command('a')]"),
            "register_commands returns two commands 'a'.",
        ),
        (
            "import click\n" + hook("register_commands", "[click.Command(None)]"),
            "register_commands returns a command without a name.",
        ),
    ],
)
def test_a_contribution_of_another_type_is_refused(tmp_path: Path, code: str, text: str) -> None:
    reason = not_contributed(tmp_path, code)
    assert reason.code == "hook_invalid"
    assert text in reason.text
