from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from plugin_host.plugins import activation, importing
from plugin_host.plugins.activation import Relay, load, with_object
from plugin_host.plugins.discovery import discover, folder_candidate
from plugin_host.plugins.manifests import read
from plugin_host.plugins.plan import Found
from plugin_host.sdk import hookimpl
from plugin_host.sdk.errors import PluginFault, Reason

from .building import CORE, HOOKS, make_distribution, make_folder_plugin, make_package, manifest_keys

CODE = "from plugin_host.sdk import hookimpl\n"


def written(tmp_path: Path, code: str = "", files: Mapping[str, str] | None = None, **keys: Any) -> Found:
    """Write and read a folder plugin; its import name is host_hello."""
    package = make_folder_plugin(tmp_path, "hello", code, package="host_hello", files=files or {}, **keys)
    found = read(folder_candidate(package))
    assert found.fault is None, found.fault
    return found


def refused(found: Found) -> Reason:
    with pytest.raises(PluginFault) as caught:
        load(found)
    return caught.value.reason


def of_object(obj: object) -> Found:
    (candidate,) = (one for one in discover(core=CORE, objects=[obj]) if one.source == "object")
    return read(candidate)


# -- importing ---------------------------------------------------------------------------------------------------


def test_a_folder_plugin_is_imported_under_its_folders_name(tmp_path: Path) -> None:
    before = list(sys.path)
    relay = load(written(tmp_path, HOOKS))
    assert relay.obj is sys.modules["host_hello"]
    assert sys.path == before


def test_modules_of_a_folder_plugin_import_each_other(tmp_path: Path) -> None:
    hooks = "from host_hello import other\nfrom .deep.more import WORD\n" + HOOKS
    files = {"hooks.py": hooks, "other.py": "", "deep/__init__.py": "", "deep/more.py": "WORD = 'x'\n"}
    relay = load(written(tmp_path, files=files, entry="host_hello.hooks"))
    assert relay.obj.WORD == "x"


def test_an_attribute_may_be_the_plugin(tmp_path: Path) -> None:
    code = CODE + "class Plugin:\n    @hookimpl\n    def register_routes(self):\n        return [1]\n"
    relay = load(written(tmp_path, code, entry="host_hello:Plugin"))
    assert relay.call("register_routes", context=None) == [1]


def test_a_wheel_is_imported_as_python_finds_it(site_packages: Path) -> None:
    make_distribution(site_packages, {"hello": "host_hello.hooks"})
    make_package(site_packages / "host_hello", {"hooks.py": HOOKS}, **manifest_keys("hello"))
    (found,) = (read(one) for one in discover(core=CORE) if one.id == "hello")
    assert load(found).hooks == ("register_routes",)


class Hello:
    manifest = manifest_keys("hello")

    @hookimpl
    def register_routes(self) -> list[str]:
        return ["route"]


@pytest.mark.parametrize("obj", [Hello(), Hello])
def test_an_object_is_the_plugin_and_a_class_is_instantiated(obj: object) -> None:
    relay = load(of_object(obj))
    assert isinstance(relay.obj, Hello)
    assert relay.call("register_routes", context=None) == ["route"]


def test_a_module_may_be_the_object() -> None:
    module = types.ModuleType("host_hello.plugin")
    module.manifest = manifest_keys("hello")  # type: ignore[attr-defined]
    assert load(of_object(module)).obj is module


def test_an_object_at_hand_stands_for_the_entry() -> None:
    core = read(discover(core=CORE).candidates[0])
    hello = Hello()
    assert load(with_object(core, hello)).obj is hello


def test_the_time_of_the_import_is_kept(tmp_path: Path) -> None:
    assert load(written(tmp_path, HOOKS)).timings.keys() == {"import", "register"}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise RuntimeError('no such luck')", "RuntimeError: no such luck (host_hello/__init__.py:1)"),
        ("\nimport sys\nsys.exit(3)", "SystemExit: 3 (host_hello/__init__.py:3)"),
        ("raise GeneratorExit", "GeneratorExit (host_hello/__init__.py:1)"),
        ("x = 1\ny = (", "SyntaxError: '(' was never closed (__init__.py, line 2) (host_hello/__init__.py:2)"),
        ("import json\njson.loads('{')", "(host_hello/__init__.py:2)"),
        ("from . import other", "ZeroDivisionError: division by zero (host_hello/other.py:2)"),
    ],
)
def test_an_import_that_fails_tells_what_and_where(tmp_path: Path, code: str, expected: str) -> None:
    reason = refused(written(tmp_path, code, {"other.py": "\n1 / 0"}))
    assert reason.code == "import_failed"
    assert reason.text.startswith("hello: importing host_hello failed: ")
    assert expected in reason.text
    assert reason.culprits == ("hello",)
    assert reason.way_out == "Correct the plugin and restart, or disable it."


def test_an_interrupt_that_the_plugin_raises_is_a_failed_import(tmp_path: Path) -> None:
    assert refused(written(tmp_path, "raise KeyboardInterrupt")).code == "import_failed"


def test_a_missing_dependency_is_named(tmp_path: Path) -> None:
    reason = refused(written(tmp_path, "import nowhere_to_be_found.deep"))
    assert reason.culprits == ("hello", "nowhere_to_be_found")
    assert reason.way_out == "Install what brings 'nowhere_to_be_found', and name it among the plugin's dependencies."


def test_a_missing_module_of_its_own_is_no_dependency(tmp_path: Path) -> None:
    reason = refused(written(tmp_path, "import host_hello.gone"))
    assert reason.way_out == "Correct the plugin and restart, or disable it."


@pytest.mark.parametrize(
    ("entry", "way_out"),
    [("host_hello:Plugni", "Did you mean 'Plugin'?"), ("host_hello:zzzzzz", "Correct the plugin and restart")],
)
def test_an_attribute_that_is_not_there_is_told_with_the_nearest(tmp_path: Path, entry: str, way_out: str) -> None:
    reason = refused(written(tmp_path, "Plugin = object()", entry=entry))
    assert (reason.code, reason.way_out.startswith(way_out)) == ("import_failed", True)


def test_a_class_that_cannot_be_instantiated_is_a_fault(tmp_path: Path) -> None:
    reason = refused(written(tmp_path, "class Plugin:\n    def __init__(self, x): ...\n", entry="host_hello:Plugin"))
    assert "TypeError" in reason.text


def test_what_was_found_at_fault_is_not_imported() -> None:
    fault = Reason(code="package_missing", text="gone")
    found = msgspec.structs.replace(of_object(Hello()), fault=fault)
    assert refused(found) == fault


# -- folders of one name, one after the other --------------------------------------------------------------------


def test_another_folder_of_the_same_name_is_imported_anew(tmp_path: Path) -> None:
    load(written(tmp_path / "one", "from . import part\nWORD = 1\n" + HOOKS, {"part.py": "WORD = 1"}))
    relay = load(written(tmp_path / "two", "from . import part\nWORD = 2\n" + HOOKS, {"part.py": "WORD = 2"}))
    assert (relay.obj.WORD, relay.obj.part.WORD) == (2, 2)


def test_the_same_folder_is_imported_once(tmp_path: Path) -> None:
    found = written(tmp_path, HOOKS)
    assert load(found).obj is load(found).obj


def test_after_a_failed_import_it_is_tried_again(tmp_path: Path) -> None:
    found = written(tmp_path, "import sys\nif not hasattr(sys, 'second_time'):\n    raise OSError\n" + HOOKS)
    refused(found)
    sys.second_time = True  # type: ignore[attr-defined]
    try:
        assert load(found).hooks == ("register_routes",)
    finally:
        del sys.second_time  # type: ignore[attr-defined]


def test_a_module_of_somebody_else_is_never_replaced(tmp_path: Path) -> None:
    package = make_folder_plugin(tmp_path, "hello", HOOKS, package="host_hello")
    found = read(folder_candidate(package))
    other = types.ModuleType("host_hello")
    sys.modules["host_hello"] = other
    try:
        reason = refused(found)
        assert sys.modules["host_hello"] is other
    finally:
        del sys.modules["host_hello"]
    assert (reason.code, reason.culprits) == ("name_clash", ("hello", "host_hello"))
    assert "not from a file" in reason.text


def test_a_folder_that_python_imported_by_itself_is_used_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = written(tmp_path, HOOKS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    module = importlib.import_module("host_hello")
    assert load(found).obj is module


def test_an_entry_without_a_folder_is_imported_as_python_finds_it() -> None:
    assert importing.import_entry("json:loads", None) is sys.modules["json"].loads


# -- hooks -------------------------------------------------------------------------------------------------------


def hook(name: str, arguments: str = "", mark: str = "@hookimpl", word: str = "def") -> str:
    return f"{CODE}\n{mark}\n{word} {name}({arguments}):\n    return []\n"


@pytest.mark.parametrize(
    ("code", "text", "way_out"),
    [
        (
            hook("register_route"),
            "register_route (host_hello/__init__.py:3) has @hookimpl, but 'register_route' is no hook.",
            "Did you mean 'register_routes'?",
        ),
        (hook("on_click"), "'on_click' is no hook.", "The hooks are: migrations, register_authenticators, "),
        (
            hook("routes", mark="@hookimpl(specname='register_route')"),
            "has @hookimpl, but 'register_route' is no hook.",
            "Did you mean 'register_routes'?",
        ),
        (
            hook("register_routes", mark=""),
            "register_routes (host_hello/__init__.py:4) is named like the hook 'register_routes', but has no @hookimpl",
            "Put @hookimpl above it",
        ),
        (hook("startup", mark=""), "is named like the hook 'startup', but has no @hookimpl", "Put @hookimpl above it"),
        (
            hook("register_health_checks", mark=""),
            "is named like a hook, and there is no such hook.",
            "Did you mean 'register_health'?",
        ),
    ],
)
def test_a_function_that_is_no_hook_but_should_be_is_told(tmp_path: Path, code: str, text: str, way_out: str) -> None:
    reason = refused(written(tmp_path, code))
    assert reason.code == "hook_unknown"
    assert text in reason.text
    assert reason.way_out.startswith(way_out)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (hook("register_routes", "kontext"), "Argument(s) {'kontext'} are declared in the hookimpl"),
        (hook("register_routes", word="async def"), "is asynchronous; only sample_data, shutdown, startup may be."),
        (hook("register_routes", mark="@hookimpl(wrapper=True)") + "    yield", "is a wrapper"),
        (hook("register_routes", mark="@hookimpl(hookwrapper=True)") + "    yield", "is a wrapper"),
        (f"{CODE}\n@hookimpl\nasync def register_routes():\n    yield 1\n", "is asynchronous"),
    ],
)
def test_a_hook_that_cannot_be_called_is_told(tmp_path: Path, code: str, text: str) -> None:
    reason = refused(written(tmp_path, code))
    assert reason.code == "hook_invalid"
    assert text in reason.text
    assert reason.way_out


def test_a_wrong_argument_is_told_with_the_right_ones(tmp_path: Path) -> None:
    reason = refused(written(tmp_path, hook("register_routes", "kontext")))
    assert reason.way_out == "Write `def register_routes(context)`: it may take fewer, not others."


@pytest.mark.parametrize(
    "code",
    [
        "from contextlib import ExitStack as register_stack\nfrom os import register_at_fork\n" + HOOKS,
        "def _register_nothing(): ...\n" + HOOKS,
        "register_me = 5\n" + HOOKS,
        hook("routes", mark="@hookimpl(specname='register_routes')"),
        hook("startup", "context", word="async def"),
    ],
    ids=["of a library", "private", "no function", "renamed", "asynchronous"],
)
def test_other_names_are_nobodys_business(tmp_path: Path, code: str) -> None:
    assert load(written(tmp_path, code)).hooks


class _Base:
    """Stands for a library's class: its methods are not the plugin's."""

    def shutdown(self) -> None:
        pass


_Base.shutdown.__module__ = "some.library"


class Derived(_Base):
    manifest = manifest_keys("hello")

    @hookimpl
    def register_routes(self) -> None:
        pass


def test_what_is_inherited_from_a_library_is_no_hook() -> None:
    assert load(of_object(Derived())).hooks == ("register_routes",)


class Unready:
    manifest = manifest_keys("hello")

    @property
    def routes(self) -> Any:
        raise RuntimeError("not yet")


def test_an_object_that_cannot_be_looked_at_is_a_fault() -> None:
    reason = refused(of_object(Unready()))
    assert (reason.code, "RuntimeError: not yet" in reason.text) == ("hook_invalid", True)


def test_hooks_that_would_never_be_called_are_told(tmp_path: Path) -> None:
    reason = refused(written(tmp_path, files={"hooks.py": HOOKS}))
    assert reason.code == "hook_unknown"
    assert "its entry 'host_hello' implements no hook, but hooks.py lies in" in reason.text
    assert '"host_hello.hooks"' in reason.way_out


def test_a_plugin_needs_no_hooks(tmp_path: Path) -> None:
    assert load(written(tmp_path)).hooks == ()


# -- the relay ---------------------------------------------------------------------------------------------------


def relay_of(body: str, tmp_path: Path) -> Relay:
    return load(written(tmp_path, f"{CODE}\n@hookimpl\ndef register_routes(context):\n    {body}\n"))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return None", []),
        ("return []", []),
        ("return [1, 2]", [1, 2]),
        ("return (n for n in (1, 2))", [1, 2]),
        ("return 5", [5]),
        ("return 'word'", ["word"]),
        ("return {'a': 1}", [{"a": 1}]),
        ("return dict", [dict]),
        ("return [context]", ["the context"]),
        ("yield 1", [1]),
    ],
)
def test_what_a_hook_returns_comes_as_one_list(tmp_path: Path, body: str, expected: list[Any]) -> None:
    assert relay_of(body, tmp_path).call("register_routes", context="the context") == expected


@pytest.mark.parametrize("body", ["raise ValueError('boom')", "raise SystemExit('boom')", "yield 1 / 0"])
def test_a_hook_that_fails_is_told_with_its_place(tmp_path: Path, body: str) -> None:
    relay = relay_of(body, tmp_path)
    with pytest.raises(PluginFault) as caught:
        relay.call("register_routes", context=None)
    assert caught.value.reason.code == "hook_failed"
    assert "hello: hook register_routes failed: " in caught.value.reason.text
    assert "(host_hello/__init__.py:5)" in caught.value.reason.text


def test_a_fault_that_a_hook_raises_is_handed_on(tmp_path: Path) -> None:
    imports = "from plugin_host.sdk.errors import PluginFault, Reason"
    raising = f"{imports}\n    raise PluginFault(Reason(code='conflict', text='x'))"
    relay = relay_of(raising, tmp_path)
    with pytest.raises(PluginFault) as caught:
        relay.call("register_routes", context=None)
    assert caught.value.reason.code == "conflict"


def test_the_time_of_each_hook_is_kept(tmp_path: Path) -> None:
    relay = relay_of("return []", tmp_path)
    relay.call("register_routes", context=None)
    assert relay.timings.keys() == {"import", "register", "register_routes"}


def test_a_relay_tells_which_hooks_there_are(tmp_path: Path) -> None:
    relay = relay_of("return []", tmp_path)
    assert (relay.has("register_routes"), relay.has("startup")) == (True, False)


def test_the_face_names_what_it_offers() -> None:
    assert all(hasattr(activation, name) for name in activation.__all__)
