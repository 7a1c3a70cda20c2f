"""The face of the sdk: all the names of the contract, each loaded when first used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from plugin_host import sdk

CONTRACT = (
    "hookimpl get post put patch delete websocket PluginContext Actor Identity Access Events Jobs Services Listing "
    "Page Permission MenuItem Migrations AsgiApp EventHandler Job Retry Discard DeadLetter Service ServiceKey USERS "
    "MAIL FILES Health Problem PluginBase object_id to change"
).split()
ASK_WHAT_IS_LOADED = "import sys, {module}; print(*sorted({{'sqlalchemy', 'litestar', 'pluggy'}} & set(sys.modules)))"


@pytest.mark.parametrize("name", CONTRACT)
def test_face_has_the_names_of_the_contract(name: str) -> None:
    assert getattr(sdk, name) is not None


def test_face_lists_every_name_once() -> None:
    assert len(sdk.__all__) == len(set(sdk.__all__))


def test_face_shows_type_checkers_the_same_names() -> None:
    tree = ast.parse(Path(str(sdk.__file__)).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    told = [alias.asname for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(map(str, told)) == sdk.__all__


def test_face_shows_names_that_are_not_loaded_yet() -> None:
    assert set(sdk.__all__) <= set(dir(sdk))


def test_face_keeps_a_name_that_was_loaded() -> None:
    first = sdk.Problem
    assert sdk.__dict__["Problem"] is first


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"plugin_host\.sdk has no 'nothing'"):
        sdk.nothing  # noqa: B018 - asking is the act


@pytest.mark.parametrize("module", ["plugin_host", "plugin_host.sdk", "plugin_host.sdk.manifest"])
def test_reading_manifests_loads_no_framework(module: str) -> None:
    asked = [sys.executable, "-c", ASK_WHAT_IS_LOADED.format(module=module)]
    answer = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == ""
