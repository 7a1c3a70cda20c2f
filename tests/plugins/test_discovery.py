from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import sysconfig
import types
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from plugin_host.plugins.discovery import Discovery, clip, discover
from plugin_host.plugins.plan import Candidate

from .building import CORE, HOOKS, make_distribution, make_folder_plugin, make_package, manifest_keys

PARENT = Path(__file__).parent


INSTALLED = {point.name for point in metadata.entry_points(group="plugin_host.plugins")}
"""Plugins of the environment in which the tests run (the examples, say): none of theirs."""


def new(discovery: Discovery) -> list[Candidate]:
    """Give the candidates besides core and what is installed anyway."""
    return [candidate for candidate in discovery.candidates[1:] if candidate.id not in INSTALLED]


def only(discovery: Discovery) -> Candidate:
    """Give the one candidate that a test made."""
    (candidate,) = new(discovery)
    return candidate


def find(**places: Any) -> Candidate:
    return only(discover(core=CORE, **places))


# -- core --------------------------------------------------------------------------------------------------------


def test_core_is_first_and_has_its_files_in_the_given_folder() -> None:
    core = discover(core=CORE).candidates[0]
    assert (core.id, core.source, core.folder, core.fault) == ("core", "core", CORE, None)


def test_core_has_no_version_where_the_host_is_not_installed(
    site_packages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(site_packages)])
    assert discover(core=CORE).candidates[0].version is None


# -- installed distributions -------------------------------------------------------------------------------------


def test_a_wheel_is_found_without_importing_it(site_packages: Path) -> None:
    make_distribution(site_packages, {"hello": "host_hello.hooks"})
    package = make_package(site_packages / "host_hello", {"hooks.py": "raise SystemExit"}, **manifest_keys("hello"))
    candidate = find()
    assert candidate == Candidate(
        id="hello",
        source="wheel",
        place=f"host-hello 1.0 ({package})",
        folder=package,
        entry="host_hello.hooks",
        distribution="host-hello",
        version="1.0",
    )
    assert "host_hello" not in sys.modules


def test_an_editable_install_through_a_path_is_found(site_packages: Path, tmp_path: Path) -> None:
    package = make_package(tmp_path / "project" / "src" / "host_hello", **manifest_keys("hello"))
    make_distribution(site_packages, {"hello": "host_hello.hooks"}, pth=f"{package.parent}\n")
    site.addsitedir(str(site_packages))
    assert find().folder == package


FINDER = """
import sys
from importlib.util import spec_from_file_location
MAPPING = {mapping!r}
class _EditableFinder:
    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        if fullname in MAPPING:
            folder = MAPPING[fullname]
            return spec_from_file_location(fullname, folder + "/__init__.py", submodule_search_locations=[folder])
        return None
def install():
    sys.meta_path.append(_EditableFinder)
"""


def test_an_editable_install_through_a_finder_is_found(site_packages: Path, tmp_path: Path) -> None:
    package = make_package(tmp_path / "project" / "lib" / "hello", **manifest_keys("hello"))
    finder = "__editable___host_hello_1_0_finder"
    (site_packages / f"{finder}.py").write_text(FINDER.format(mapping={"host_hello": str(package)}))
    make_distribution(site_packages, {"hello": "host_hello.hooks"}, pth=f"import {finder}; {finder}.install()\n")
    site.addsitedir(str(site_packages))
    assert find().folder == package


def test_a_strict_editable_install_is_found_in_its_tree_of_links(site_packages: Path, tmp_path: Path) -> None:
    package = make_package(tmp_path / "project" / "host_hello", {"hooks.py": HOOKS}, **manifest_keys("hello"))
    tree = tmp_path / "project" / "build" / "__editable__.host_hello-1.0-py3-none-any" / "host_hello"
    tree.mkdir(parents=True)
    for file in package.iterdir():
        (tree / file.name).symlink_to(file)
    make_distribution(site_packages, {"hello": "host_hello.hooks"}, pth=f"{tree.parent}\n")
    site.addsitedir(str(site_packages))
    assert find().folder == tree


def test_a_namespace_package_is_found_by_its_manifest(site_packages: Path, tmp_path: Path) -> None:
    (tmp_path / "other" / "host_hello").mkdir(parents=True)
    sys.path.insert(0, str(tmp_path / "other"))
    make_distribution(site_packages, {"hello": "host_hello.hooks"})
    package = make_package(site_packages / "host_hello", **manifest_keys("hello"))
    (package / "__init__.py").unlink()
    assert find().folder == package


@pytest.mark.parametrize("entry", ["acme.hello", "acme.hello.hooks", "acme.hello.hooks:Plugin"])
def test_a_package_in_a_shared_namespace_is_found(site_packages: Path, entry: str) -> None:
    make_package(site_packages / "acme" / "other", **manifest_keys("other"))
    make_distribution(site_packages, {"hello": entry})
    package = make_package(site_packages / "acme" / "hello", **manifest_keys("hello"))
    assert find().folder == package


def test_a_manifest_in_two_places_of_one_namespace_is_a_fault(site_packages: Path, tmp_path: Path) -> None:
    sys.path.insert(0, str(tmp_path / "other"))
    make_distribution(site_packages, {"hello": "acme.hooks"})
    for root in (site_packages, tmp_path / "other"):
        (make_package(root / "acme", **manifest_keys("hello")) / "__init__.py").unlink()
    reason = find().fault
    assert reason is not None
    assert (reason.code, "in several places" in reason.text) == ("manifest_invalid", True)


@pytest.mark.parametrize("entry", ["acme.hello.hooks", "acme.single", "acme"])
def test_a_namespace_without_a_manifest_is_given_as_it_is(site_packages: Path, entry: str) -> None:
    """Reading then says that plugin.json is missing there."""
    (site_packages / "acme").mkdir()
    (site_packages / "acme" / "single.py").write_text("")
    make_distribution(site_packages, {"hello": entry})
    assert find().folder == site_packages / "acme"


def test_a_package_that_is_gone_is_a_fault_with_a_way_out(site_packages: Path) -> None:
    make_distribution(site_packages, {"hello": "host_hello.hooks"})
    reason = find().fault
    assert reason is not None
    assert (reason.code, reason.culprits) == ("package_missing", ("hello",))
    assert "editable" in reason.way_out


def test_a_single_module_has_no_folder_for_a_manifest(site_packages: Path) -> None:
    (site_packages / "host_hello.py").write_text("")
    make_distribution(site_packages, {"hello": "host_hello"})
    reason = find().fault
    assert reason is not None
    assert (reason.code, "single module" in reason.text) == ("manifest_invalid", True)


def test_an_entry_that_names_no_module_is_a_fault(site_packages: Path) -> None:
    make_distribution(site_packages, {"hello": "host hello"})
    reason = find().fault
    assert reason is not None
    assert (reason.code, "'host hello'" in reason.text) == ("manifest_invalid", True)


def test_a_finder_that_fails_is_a_fault_of_that_plugin(site_packages: Path) -> None:
    class Broken:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "host_hello":
                raise OSError("stale handle")

    make_distribution(site_packages, {"hello": "host_hello.hooks"})
    sys.meta_path.insert(0, Broken)
    reason = find().fault
    assert reason is not None
    assert (reason.code, "OSError: stale handle" in reason.text) == ("import_failed", True)


def test_a_finder_of_the_old_kind_is_passed_over(site_packages: Path) -> None:
    sys.meta_path.insert(0, object())  # type: ignore[arg-type]
    make_distribution(site_packages, {"hello": "host_hello.hooks"})
    package = make_package(site_packages / "host_hello", **manifest_keys("hello"))
    assert find().folder == package


def test_a_distribution_with_unreadable_entry_points_hides_no_other(site_packages: Path) -> None:
    broken = make_distribution(site_packages, {}, name="broken")
    (broken / "entry_points.txt").write_bytes(b"[plugin_host.plugins]\nx = \xff\n")
    make_distribution(site_packages, {"hello": "host_hello.hooks"})
    make_package(site_packages / "host_hello", **manifest_keys("hello"))
    discovery = discover(core=CORE)
    assert only(discovery).id == "hello"
    (warning,) = discovery.warnings
    assert str(site_packages) in warning


class _Unnamed(metadata.Distribution):
    """Half uninstalled: its entry points are there, its metadata is not."""

    def read_text(self, filename: str) -> str | None:
        return None

    def locate_file(self, path: object) -> Path:
        return Path("/nowhere")

    @property
    def version(self) -> str:
        raise KeyError("Version")


@pytest.mark.parametrize("distribution", [None, _Unnamed()], ids=["none", "half uninstalled"])
def test_a_distribution_without_metadata_is_shown_as_unnamed(
    monkeypatch: pytest.MonkeyPatch, site_packages: Path, distribution: metadata.Distribution | None
) -> None:
    point = metadata.EntryPoint("hello", "host_hello.hooks", "plugin_host.plugins")
    vars(point).update(dist=distribution)
    monkeypatch.setattr(metadata, "entry_points", lambda **_: (point,))
    package = make_package(site_packages / "host_hello", **manifest_keys("hello"))
    assert find().place == f"an unnamed distribution ({package})"


# -- folders -----------------------------------------------------------------------------------------------------


def test_each_folder_with_a_manifest_is_a_plugin(tmp_path: Path) -> None:
    package = make_folder_plugin(tmp_path / "plugins", "hello", package="host_hello")
    assert find(folders=[tmp_path / "plugins"]) == Candidate(
        id="hello", source="folder", place=str(package), folder=package, entry="host_hello"
    )


def test_other_folders_and_files_are_ignored(tmp_path: Path) -> None:
    for name in ("docs", "__pycache__", ".git"):
        (tmp_path / "plugins" / name).mkdir(parents=True)
    (tmp_path / "plugins" / ".git" / "plugin.json").write_text("{}")
    (tmp_path / "plugins" / "plugin.txt").write_text("")
    assert new(discover(core=CORE, folders=[tmp_path / "plugins"])) == []


@pytest.mark.parametrize("content", [None, "no json", "[]", '{"id": 5}', '{"id": " "}'])
def test_a_package_whose_manifest_cannot_be_read_goes_by_its_folder(tmp_path: Path, content: str | None) -> None:
    package = make_package(tmp_path / "plugins" / "hello_there")
    (package / "plugin.json").unlink()
    if content is not None:
        (package / "plugin.json").write_text(content)
    candidate = find(folders=[tmp_path / "plugins"])
    assert (candidate.id, candidate.claimed) == ("hello_there", False)


def test_a_folder_that_cannot_be_read_goes_by_its_name(tmp_path: Path) -> None:
    (make_package(tmp_path / "plugins" / "hello") / "plugin.json").unlink()
    (tmp_path / "plugins" / "hello" / "plugin.json").symlink_to("plugin.json")  # it leads to itself
    assert find(folders=[tmp_path / "plugins"]).claimed is False


def test_a_folder_named_twice_is_looked_at_once(tmp_path: Path) -> None:
    make_folder_plugin(tmp_path / "plugins", "hello")
    assert find(folders=[tmp_path / "plugins", tmp_path / "x" / ".." / "plugins"]).id == "hello"


def test_a_folder_that_is_not_there_is_a_warning(tmp_path: Path) -> None:
    (warning,) = discover(core=CORE, folders=[tmp_path / "gone"]).warnings
    assert warning == (
        f"loader.folders names {tmp_path / 'gone'}, which cannot be looked at (No such file or directory): "
        "make that folder, or take it out of loader.folders."
    )


def test_naming_the_plugin_itself_is_a_warning(tmp_path: Path) -> None:
    package = make_folder_plugin(tmp_path / "plugins", "hello")
    (warning,) = discover(core=CORE, folders=[package]).warnings
    assert warning.endswith(f"name the folder that holds it, {package.parent}.")


def test_a_folder_with_the_name_of_a_module_is_a_clash(tmp_path: Path) -> None:
    make_folder_plugin(tmp_path / "plugins", "calendar")
    reason = find(folders=[tmp_path / "plugins"]).fault
    assert reason is not None
    assert (reason.code, reason.culprits) == ("name_clash", ("calendar", "calendar"))
    assert reason.way_out == "Rename the folder, for example to host_calendar; the id stays."


def test_a_folder_with_the_name_of_a_module_that_is_not_imported_yet_is_a_clash(
    tmp_path: Path, site_packages: Path
) -> None:
    (site_packages / "taken.py").write_text("")
    make_folder_plugin(tmp_path / "plugins", "taken")
    reason = find(folders=[tmp_path / "plugins"]).fault
    assert reason is not None
    assert str(site_packages / "taken.py") in reason.text


def test_a_folder_that_python_would_find_by_itself_is_no_clash(tmp_path: Path, site_packages: Path) -> None:
    make_folder_plugin(tmp_path / "plugins", "hello")
    sys.path.insert(0, str(tmp_path / "plugins"))
    assert find(folders=[tmp_path / "plugins"]).fault is None


def test_a_broken_finder_is_no_fault_of_a_folder(tmp_path: Path, site_packages: Path) -> None:
    class Broken:
        @staticmethod
        def find_spec(*_: object) -> None:
            raise OSError("stale handle")

    make_folder_plugin(tmp_path / "plugins", "hello")
    sys.meta_path.insert(0, Broken)
    assert find(folders=[tmp_path / "plugins"]).fault is None


# -- objects and remote plugins ----------------------------------------------------------------------------------


class Hello:
    manifest = manifest_keys("hello")


class Nameless:
    pass


class Raising:
    @property
    def manifest(self) -> Any:
        raise RuntimeError("not yet")


@pytest.mark.parametrize("obj", [Hello(), Hello])
def test_an_object_has_its_files_beside_its_class(obj: object) -> None:
    candidate = find(objects=[obj])
    assert (candidate.id, candidate.source, candidate.folder) == ("hello", "object", PARENT)
    assert candidate.place == f"object {__name__}:Hello"
    assert candidate.obj is obj


def test_a_module_is_an_object_too(tmp_path: Path) -> None:
    module = types.ModuleType("host_hello.plugin")
    module.__file__ = str(tmp_path / "plugin.py")
    module.manifest = manifest_keys("hello")  # type: ignore[attr-defined]
    candidate = find(objects=[module])
    assert (candidate.id, candidate.folder, candidate.entry) == ("hello", tmp_path, "host_hello.plugin")


@pytest.mark.parametrize(("obj", "expected"), [(Nameless(), "nameless"), (Raising(), "raising")])
def test_an_object_that_does_not_say_its_id_goes_by_its_class(obj: object, expected: str) -> None:
    candidate = find(objects=[obj])
    assert (candidate.id, candidate.claimed) == (expected, False)


def test_a_class_made_in_a_console_has_no_folder() -> None:
    console = type("Hello", (), {"manifest": {"id": 7}, "__module__": "nowhere"})
    candidate = find(objects=[console()])
    assert (candidate.folder, candidate.claimed) == (None, False)


def test_remote_plugins_are_listed() -> None:
    candidate = find(remotes={"hello": "https://apps.example.org"})
    assert (candidate.id, candidate.source, candidate.place) == ("hello", "remote", "remote https://apps.example.org")


def test_candidates_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    make_folder_plugin(tmp_path / "plugins", "zebra", package="aaa_first")
    make_folder_plugin(tmp_path / "plugins", "ant", package="zzz_last")
    discovery = discover(core=CORE, folders=[tmp_path / "plugins"], objects=[Hello()])
    assert [candidate.id for candidate in new(discovery)] == ["ant", "hello", "zebra"]
    assert next(iter(discovery)).id == "core"


@pytest.mark.parametrize(
    ("claim", "expected"), [("contacts\n", "contacts"), ("x" * 100, "x" * 64), ("a\x00b\u202e", "ab"), (7, "7")]
)
def test_a_claim_is_made_fit_to_be_shown(claim: object, expected: str) -> None:
    assert clip(claim) == expected


# -- for real ----------------------------------------------------------------------------------------------------

FIND = """
import json, sys
from pathlib import Path
from plugin_host.plugins.discovery import discover
from plugin_host.plugins.manifests import read
one = [read(c) for c in discover(core=Path(sys.argv[1])) if c.distribution == "host-hello"]
print(json.dumps([[f.id, str(f.candidate.folder), f.fault and f.fault.text] for f in one]))
"""

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "host-hello"
version = "1.0"
[project.entry-points."plugin_host.plugins"]
hello = "host_hello.hooks"
[tool.hatch.build.targets.wheel]
packages = ["{packages}"]
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Give the variables of a throw-away environment that sees the packages of this one."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    seen = [str(CORE.parents[1]), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return {**os.environ, "VIRTUAL_ENV": str(folder), "PYTHONPATH": os.pathsep.join(dict.fromkeys(seen))}


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["host_hello", "src/host_hello"])
def test_a_real_editable_install_is_found(environment: dict[str, str], tmp_path: Path, layout: str) -> None:
    project = tmp_path / "project"
    package = make_package(project / layout, {"hooks.py": HOOKS}, **manifest_keys("hello"))
    (project / "pyproject.toml").write_text(PROJECT.format(packages=layout))
    python = str(Path(environment["VIRTUAL_ENV"]) / "bin" / "python")
    install = [python, "-m", "pip", "install", "-q", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*install, "--disable-pip-version-check", "-e", str(project)], check=True, env=environment)
    done = subprocess.run([python, "-c", FIND, str(CORE)], check=True, env=environment, capture_output=True, text=True)
    assert json.loads(done.stdout) == [["hello", str(package), None]]
