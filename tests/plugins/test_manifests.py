from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from plugin_host.plugins.discovery import MAX_BYTES, discover, folder_candidate
from plugin_host.plugins.manifests import _known_keys, read
from plugin_host.plugins.plan import Candidate, Found
from plugin_host.sdk.errors import Reason

from .building import CORE, make_folder_plugin, manifest_keys

EXAMPLES = Path(__file__).parents[2] / "examples"


def refused(found: Found) -> Reason:
    assert found.fault is not None
    return found.fault


def written(tmp_path: Path, **keys: Any) -> Found:
    """Read a folder plugin `hello` with these keys in plugin.json."""
    return read(folder_candidate(make_folder_plugin(tmp_path, "hello", **keys)))


def damaged(tmp_path: Path, content: bytes, file: str = "plugin.json") -> Reason:
    """Read a folder plugin of which one file has this content."""
    package = make_folder_plugin(tmp_path, "hello")
    (package / file).write_bytes(content)
    return refused(read(folder_candidate(package)))


# -- what is fine ------------------------------------------------------------------------------------------------


def test_core_reads_its_own_files() -> None:
    assert read(discover(core=CORE).candidates[0]).fault is None


@pytest.mark.parametrize("example", ["contacts", "invoicing"])
def test_the_examples_read_without_fault(example: str) -> None:
    package = EXAMPLES / f"{example}_plugin" / f"host_{example}"
    entry = f"host_{example}.hooks"
    found = read(Candidate(id=example, source="wheel", place="x", folder=package, entry=entry, version="1.0.0"))
    files = [f"{word}.json" for word in ("plugin", "permissions", "menu")]
    told = found.fault.text if found.fault is not None and found.fault.code != "ui_invalid" else None
    assert (told, [(package / file).is_file() for file in files]) == (None, [True] * 3)


def test_all_three_files_are_read(tmp_path: Path) -> None:
    found = written(
        tmp_path,
        permissions={"permissions": [{"name": "hello.view", "title": "See"}]},
        menu={"items": [{"id": "hello.all", "title": "All", "to": "/hello", "permission": "hello.view"}]},
    )
    assert found.fault is None
    assert [permission.name for permission in found.permissions.permissions] == ["hello.view"]
    assert [item.id for item in found.menu.items] == ["hello.all"]


def test_schema_and_extra_are_free(tmp_path: Path) -> None:
    assert written(tmp_path, **{"$schema": "x", "extra": {"any": ["thing"]}}).fault is None


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    package = make_folder_plugin(tmp_path, "hello")
    path = package / "plugin.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read(folder_candidate(package)).fault is None


def test_a_candidate_at_fault_is_not_read() -> None:
    fault = Reason(code="package_missing", text="gone")
    assert read(Candidate(id="hello", source="wheel", place="x", fault=fault)).fault == fault


def test_a_remote_plugin_has_no_files_here() -> None:
    assert read(Candidate(id="hello", source="remote", place="x")).fault is None


# -- files that cannot be read -----------------------------------------------------------------------------------


def test_a_missing_manifest_is_said_to_be_missing(tmp_path: Path) -> None:
    package = make_folder_plugin(tmp_path, "hello")
    (package / "plugin.json").unlink()
    reason = refused(read(folder_candidate(package)))
    assert reason == Reason(
        code="manifest_invalid",
        text=f"hello: hello/plugin.json: plugin.json is missing in {package}.",
        culprits=("hello", "hello/plugin.json"),
        way_out="Add it; in a wheel, see that the build packs it (setuptools leaves it out).",
    )


def test_a_candidate_without_a_folder_has_no_manifest() -> None:
    reason = refused(read(Candidate(id="hello", source="wheel", place="x")))
    assert reason.text == "hello: hello/plugin.json: plugin.json is missing in None."


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"{", "it is no JSON"),
        (b'{"id": "\xff"}', "it is no JSON"),
        (b" " * (MAX_BYTES + 1), "it is larger than 1,000,000 bytes"),
        (b"[" * 100_000, "it is nested deeper than 40 levels"),
        (b"[" * 50 + b"]" * 50, "it is nested deeper than 40 levels"),
        (b"[]", "expected `object`, got `array`"),
    ],
    ids=["syntax", "encoding", "size", "depth without end", "depth", "no object"],
)
def test_a_file_that_is_no_json_object_is_a_fault(tmp_path: Path, content: bytes, expected: str) -> None:
    reason = damaged(tmp_path, content)
    assert (reason.code, expected in reason.text) == ("manifest_invalid", True), reason.text


@pytest.mark.parametrize("file", ["permissions.json", "menu.json"])
def test_the_other_files_are_held_to_the_same(tmp_path: Path, file: str) -> None:
    reason = damaged(tmp_path, b'{"colour": 1}', file)
    assert reason.text == f"hello: hello/{file}: at $: unknown key 'colour'."


def test_several_bad_files_are_told_at_once(tmp_path: Path) -> None:
    package = make_folder_plugin(tmp_path, "hello", colour=1)
    (package / "menu.json").write_text("{")
    assert refused(read(folder_candidate(package))).culprits == ("hello", "hello/plugin.json", "hello/menu.json")


def test_what_is_no_regular_file_is_a_fault(tmp_path: Path) -> None:
    package = make_folder_plugin(tmp_path, "hello")
    os.mkfifo(package / "menu.json")
    assert "it is no regular file" in refused(read(folder_candidate(package))).text


def test_a_file_that_cannot_be_opened_is_a_fault(tmp_path: Path) -> None:
    package = make_folder_plugin(tmp_path, "hello")
    candidate = folder_candidate(package)
    long = msgspec.structs.replace(candidate, folder=package / ("x" * 300))
    assert "it cannot be read (File name too long)" in refused(read(long)).text


# -- what does not fit the structs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "text", "way_out"),
    [
        ({"requirez": {}}, "at $: unknown key 'requirez'", "Did you mean 'requires'?"),
        ({"events": {"publish": []}}, "at $.events: unknown key 'publish'", "Did you mean 'publishes'?"),
        (
            {"ui": {"screens": [{"kind": "module", "id": "all", "titel": "x"}]}},
            "at $.ui.screens[0]: unknown key 'titel'",
            "Did you mean 'title'?",
        ),
        (
            {"ui": {"screens": [{"kind": "module", "id": "all", "zzz": "x"}]}},
            "at $.ui.screens[0]: unknown key 'zzz'",
            "Known keys there: entry, id, kind, path, permission, styles, title.",
        ),
        ({"name": None}, "at $: the key 'name' is missing", "Add it; `plugin-host schema plugin` prints"),
        ({"name": 5}, "at $.name: expected `str`, got `int`", "`plugin-host schema plugin` prints"),
        ({"id": "He-llo"}, "at $.id: an id is one lower-case word", "Write 2 to 31 of a-z and 0-9"),
        ({"id": "hello\n"}, "at $.id: an id is one lower-case word", "Write 2 to 31 of a-z and 0-9"),
        ({"manifest": 2}, "at $.manifest: invalid enum value 2", "`plugin-host schema plugin` prints"),
    ],
)
def test_the_path_and_the_nearest_key_are_told(tmp_path: Path, keys: dict[str, Any], text: str, way_out: str) -> None:
    reason = refused(written(tmp_path, **keys))
    assert text in reason.text
    assert reason.way_out.startswith(way_out)


@pytest.mark.parametrize(
    "screen",
    [
        5,
        {"kind": "nothing"},
        {"kind": "declared", "id": "a", "title": "b", "permission": "c", "operations": {"lst": 1}},
    ],
)
def test_odd_screens_are_faults_and_no_crash(tmp_path: Path, screen: Any) -> None:
    assert refused(written(tmp_path, ui={"screens": [screen]})).code == "manifest_invalid"


@pytest.mark.parametrize(
    "keys",
    [
        {"ui": {"screens": [{"kind": "declared", "id": "a", "title": "b", "permission": "c", "operations": {},
                             "columns": [{"name": "x", "widgit": "y"}]}]}},
        {"links": {"home": "x"}},
        {"requires": {"core": 1}},
    ],
)  # fmt: skip
def test_faults_deep_inside_are_told_with_their_path(tmp_path: Path, keys: dict[str, Any]) -> None:
    assert "at $." in refused(written(tmp_path, **keys)).text


class Inner(msgspec.Struct):
    word: str


class Outer(msgspec.Struct):
    noted: Annotated[Inner, msgspec.Meta(description="With a note.", extra_json_schema={"x": 1})]
    named: dict[str, Inner]


@pytest.mark.parametrize(("path", "expected"), [("$.noted", ["word"]), ("$.named[...]", []), ("$.gone", [])])
def test_keys_are_looked_up_as_far_as_the_path_leads(path: str, expected: list[str]) -> None:
    assert _known_keys(Outer, {"noted": {}, "named": {"a": {}}}, path) == expected


# -- objects -----------------------------------------------------------------------------------------------------


class Hello:
    manifest = manifest_keys("hello")
    permissions = {"permissions": [{"name": "hello.view", "title": "See"}]}  # noqa: RUF012
    menu = {"items": [{"id": "hello.all", "title": "All", "to": "/hello", "permission": "hello.view"}]}  # noqa: RUF012


def of_object(obj: object) -> Found:
    (candidate,) = (one for one in discover(core=CORE, objects=[obj]) if one.source == "object")
    return read(candidate)


def test_an_object_says_what_files_would_say() -> None:
    found = of_object(Hello())
    assert found.fault is None
    assert (len(found.permissions.permissions), len(found.menu.items)) == (1, 1)


def object_with(**attributes: Any) -> object:
    return type("Hello", (), {"__module__": __name__, **attributes})()


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (object_with(), "Hello.manifest: it is missing"),
        (object_with(manifest=5), "Hello.manifest: it is no mapping (TypeError"),
        (
            object_with(manifest=manifest_keys("hello"), permissions={"role": []}),
            "Hello.permissions: at $: unknown key",
        ),
        (object_with(manifest=manifest_keys("hello"), menu=7), "Hello.menu: it is no mapping"),
        (object_with(manifest=manifest_keys("hello", name=object())), "Hello.manifest: at $.name: expected `str`"),
    ],
)
def test_an_object_that_says_it_wrongly_is_a_fault(obj: object, expected: str) -> None:
    assert expected in refused(of_object(obj)).text


def test_a_mapping_that_holds_itself_is_a_fault_and_no_crash() -> None:
    extra: dict[str, Any] = {}
    extra["extra"] = extra
    assert "nested deeper" in refused(of_object(object_with(manifest=manifest_keys("hello", extra=extra)))).text


# -- what reading costs ------------------------------------------------------------------------------------------

READ = """
import sys
from pathlib import Path
from plugin_host.plugins.discovery import discover
from plugin_host.plugins.manifests import _known_keys, read
from plugin_host.plugins.resolver import resolve
plan = resolve([read(one) for one in discover(core=Path(sys.argv[1]), folders=[Path(sys.argv[2])])])
assert plan.entry("hello").state == "active", plan.entries
print(" ".join(sys.modules))
"""


def test_making_a_plan_imports_no_database_no_web_and_no_plugin(tmp_path: Path) -> None:
    make_folder_plugin(tmp_path, "hello", "raise SystemExit")
    path = os.pathsep.join([str(CORE.parents[1]), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-S", "-c", READ, str(CORE), str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    heavy = {"sqlalchemy", "litestar", "alembic", "casbin", "pluggy", "click", "hello"}
    assert heavy & set(done.stdout.split()) == set()


def test_the_finding_of_a_text_can_be_read_as_json(tmp_path: Path) -> None:
    reason = refused(written(tmp_path, colour=1))
    assert json.loads(msgspec.json.encode(reason))["code"] == "manifest_invalid"
