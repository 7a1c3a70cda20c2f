"""The JSON Schemas of the three files: shipped as the structs say them, named by the examples, and true of these."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any, Final

import jsonschema
import msgspec
import pytest

from plugin_host.sdk.manifest import FILES

ROOT: Final = Path(__file__).parents[2]
EXAMPLES: Final = sorted(path for path in ROOT.glob("examples/*/host_*/*.json") if path.stem in FILES)


def shipped(word: str) -> str:
    return (resources.files("plugin_host.sdk") / "schemas" / f"{word}.json").read_text(encoding="utf-8")


def validator(word: str) -> Any:
    schema = json.loads(shipped(word))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


@pytest.mark.parametrize("word", FILES)
def test_what_is_shipped_is_what_the_structs_say(word: str) -> None:
    """Write it anew with `plugin-host schema WORD > src/plugin_host/sdk/schemas/WORD.json`."""
    command = [sys.executable, "-m", "plugin_host", "schema", word]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == shipped(word)


def test_there_are_examples() -> None:
    assert {path.stem for path in EXAMPLES} == set(FILES)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT / "examples")))
def test_an_example_names_its_schema_and_keeps_to_it(path: Path) -> None:
    said = json.loads(path.read_text(encoding="utf-8"))
    named = (path.parent / said["$schema"]).resolve()
    assert named == ROOT / "src" / "plugin_host" / "sdk" / "schemas" / path.name
    validator(path.stem).validate(said)


def test_cores_own_files_keep_to_the_schemas() -> None:
    for word in FILES:
        said = json.loads((ROOT / "src/plugin_host/core" / f"{word}.json").read_text())
        assert list(validator(word).iter_errors(said)) == []


WRONG: Final[list[tuple[str, Any]]] = [
    ("plugin", {"id": "Contacts", "name": "x", "requires": {"core": ""}}),
    ("plugin", {"id": "contacts\n", "name": "x", "requires": {"core": ""}}),
    ("plugin", {"id": "contacts", "requires": {"core": ""}}),
    ("plugin", {"id": "contacts", "name": "x", "requires": {"core": ""}, "rquires": {}}),
    ("plugin", {"id": "contacts", "name": "x", "requires": {"core": ""}, "isolation": ["docker"]}),
    ("plugin", {"id": "contacts", "name": "x", "requires": {"core": ""}, "ui": {"screens": [{"kind": "flash"}]}}),
    ("permissions", {"permissions": [{"name": "contacts.view"}]}),
    ("permissions", {"public": [{"method": "GET", "path": "/", "reason": ""}]}),
    ("menu", {"items": [{"title": "x"}]}),
    ("menu", []),
]


@pytest.mark.parametrize(("word", "said"), WRONG)
def test_what_the_host_refuses_an_editor_marks_too(word: str, said: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(said, FILES[word])
    assert not validator(word).is_valid(said)


def test_the_mark_of_an_editor_is_allowed() -> None:
    for word in ("permissions", "menu"):
        assert validator(word).is_valid({"$schema": "https://example.org/x.json", "extra": {"mine": 1}})
