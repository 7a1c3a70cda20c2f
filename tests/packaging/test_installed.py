"""The wheel: what is tested is what is installed, and all that the host needs is packed."""

from __future__ import annotations

import os
from importlib import resources
from importlib.metadata import entry_points, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import plugin_host

PACKAGE = resources.files("plugin_host")
SOURCE = Path(__file__).parents[2] / "src" / "plugin_host"

pytestmark = pytest.mark.skipif(
    "PLUGIN_HOST_TEST_INSTALLED" not in os.environ,
    reason="the source folder is tested; `nox -s tests` tests the installed wheel",
)


def test_installed_wheel_is_what_is_tested() -> None:
    assert "site-packages" in Path(str(plugin_host.__file__)).parts


def test_every_file_of_the_source_folder_is_packed() -> None:
    files = {path.relative_to(SOURCE) for path in SOURCE.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert sorted(str(file) for file in files if not PACKAGE.joinpath(str(file)).is_file()) == []


def test_command_is_installed() -> None:
    (script,) = entry_points(group="console_scripts", name="plugin-host")
    assert script.value == "plugin_host.cli.main:main"


def test_dependencies_are_at_or_above_their_floors() -> None:
    found = [Requirement(text) for text in requires("plugin-host") or [] if "extra ==" not in text]
    wanted = [one for one in found if one.marker is None or one.marker.evaluate()]
    assert [str(one) for one in wanted if not one.specifier.contains(version(one.name), prereleases=True)] == []


@pytest.mark.parametrize("name", ["pydantic", "advanced-alchemy", "casbin"])
def test_dependency_that_must_not_come_in(name: str) -> None:
    assert name not in {Requirement(text).name for text in requires("plugin-host") or []}
