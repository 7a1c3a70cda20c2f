"""`plugin-host check` as an author calls it: on projects, on real wheels, and on what goes wrong when run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.core.checking.notes import Change, replace, write_project, write_wheel

ROOT: Final = Path(__file__).parents[2]
HOOKS: Final = "host_notes/hooks.py"
STARTUP: Final = "\n\n@hookimpl\nasync def startup():\n    "

pytestmark = pytest.mark.slow


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call `plugin-host check` in an empty folder of its own."""

    def call(*words: str, settings: str = "") -> subprocess.CompletedProcess[str]:
        folder = tmp_path / "cwd"
        folder.mkdir(exist_ok=True)
        (folder / "plugin-host.toml").write_text(settings)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PLUGIN_HOST_")}
        command = [sys.executable, "-m", "plugin_host", "check", *words]
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
        )

    return call


@pytest.fixture
def row(check: Callable[..., Any], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Check the notes plugin with changes; gives its one row."""

    def call(changes: Mapping[str, Change], settings: str = "") -> dict[str, Any]:
        project = write_project(tmp_path / "notes", changes)
        done = check(str(project), "--json", settings=settings)
        (only,) = json.loads(done.stdout)["items"]
        assert done.returncode == (0 if only["state"] == "active" else 1), done.stderr
        return dict(only)

    return call


def codes(row: Mapping[str, Any]) -> list[str]:
    return [each["code"] for each in row["findings"]]


def add(text: str) -> Callable[[str], str]:
    return lambda before: before + text


def test_a_sound_project_passes_strictly(check: Callable[..., Any], tmp_path: Path) -> None:
    done = check(str(write_project(tmp_path / "notes")), "--strict", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads(done.stdout)["items"]
    assert {key: row[key] for key in ("id", "version", "state", "reason", "verified", "findings", "warnings")} == {
        "id": "notes",
        "version": "1.0",
        "state": "active",
        "reason": None,
        "verified": "built",
        "findings": [],
        "warnings": [],
    }


def test_a_really_built_wheel_passes_strictly(check: Callable[..., Any], tmp_path: Path) -> None:
    project = write_project(tmp_path / "notes")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(build, cwd=project, check=True, capture_output=True)
    (wheel,) = (project / "dist").glob("*.whl")
    done = check(str(wheel), "--strict")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("notes 1.0 would run (")


@pytest.mark.parametrize("example", ["contacts", "invoicing"])
def test_the_example_plugins_pass_strictly(example: str, check: Callable[..., Any]) -> None:
    done = check(str(ROOT / "examples" / f"{example}_plugin"), "--strict")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_lines_are_such_as_editors_follow(check: Callable[..., Any], tmp_path: Path) -> None:
    changes = {"host_notes/plugin.json": replace('"name": "Notes"', '"name": "Notes",\n  "versoin": "1.0"')}
    done = check(str(write_project(tmp_path / "notes", changes)))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    at = lines.index("host_notes/plugin.json:4: PH103 error: unknown key 'versoin'")
    assert lines[at + 1] == "      way out: Did you mean 'version'?"


def test_warnings_fail_only_strictly(check: Callable[..., Any], tmp_path: Path) -> None:
    project = str(write_project(tmp_path / "notes", {"host_notes/plugin.json": replace(">=1.0,<2", ">=1.0")}))
    assert [check(project).returncode, check(project, "--strict").returncode] == [0, 1]


def test_a_wheel_without_a_file_of_its_source_fails(check: Callable[..., Any], tmp_path: Path) -> None:
    project = write_project(tmp_path / "notes")
    done = check(str(write_wheel(project / "dist", without="host_notes/menu.json")))
    assert done.returncode == 1
    assert "host_notes/menu.json: PH503 error" in done.stdout


@pytest.mark.parametrize(
    ("code", "told"),
    [("import os\nos._exit(3)\n", "exit code 3"), ("import faulthandler\nfaulthandler._sigsegv()\n", "SIGSEGV")],
)
def test_a_plugin_that_ends_the_process_is_told(code: str, told: str, row: Callable[..., Any]) -> None:
    found = row({"host_notes/__init__.py": code})
    assert (found["state"], found["reason"]["code"]) == ("quarantined", "import_failed")
    assert told in next(each["text"] for each in found["findings"] if each["code"] == "PH905")


def test_an_import_that_hangs_is_told(row: Callable[..., Any]) -> None:
    found = row({HOOKS: add("import time\ntime.sleep(600)\n")}, "[limits]\nimport_timeout = 1.0\n")
    assert found["reason"]["code"] == "time_limit"
    assert {"PH904", "PH308"} <= set(codes(found))


def test_a_thread_that_is_left_is_told(row: Callable[..., Any]) -> None:
    start = "import threading, time\n    threading.Thread(target=time.sleep, args=(600,)).start()\n"
    assert codes(row({HOOKS: add(STARTUP + start)})) == ["PH907"]


def test_a_task_that_will_not_end_is_told(row: Callable[..., Any]) -> None:
    task = (
        "import asyncio\n    TASKS.append(asyncio.create_task(deaf()))\n\nTASKS = []\n\nasync def deaf():\n"
        "    import asyncio\n    while True:\n        try:\n            await asyncio.sleep(60)\n"
        "        except asyncio.CancelledError:\n            pass\n"
    )
    assert codes(row({HOOKS: add(STARTUP + task)})) == ["PH907"]


def test_static_findings_are_there_when_the_import_fails(row: Callable[..., Any]) -> None:
    changes = {
        "host_notes/routes.py": replace(", permission=VIEW", ""),
        "host_notes/__init__.py": "import nowhere_at_all\n",
    }
    found = row(changes)
    assert found["state"] == "quarantined"
    assert {(each["code"], each["line"]) for each in found["findings"]} == {("PH901", 1), ("PH401", 12)}


def test_models_without_a_revision_are_told(row: Callable[..., Any]) -> None:
    tag = '\n\nclass Tag(Base):\n    __tablename__ = "notes_tag"\n    id: Mapped[str] = object_id()\n'
    (found,) = row({"host_notes/models.py": add(tag)})["findings"]
    assert (found["code"], found["text"]) == ("PH605", "the models have the table notes_tag, and no revision makes it")


def test_a_column_without_a_revision_is_told(row: Callable[..., Any]) -> None:
    (found,) = row({"host_notes/models.py": add("    colour: Mapped[str]\n")})["findings"]
    text = "the models have the column colour of notes_note, and no revision makes it"
    assert (found["code"], found["text"]) == ("PH605", text)


def test_a_nullable_that_differs_is_told(row: Callable[..., Any]) -> None:
    changes = {"host_notes/migrations/0001_notes.py": replace("sa.String(64), nullable=False", "sa.String(64)")}
    (found,) = row(changes)["findings"]
    assert found["text"] == "notes_note.owner_id: nullable differs between the model and the table"


def test_a_public_route_that_is_gone_is_told(row: Callable[..., Any]) -> None:
    public = '"public": [{"method": "GET", "path": "/gone", "reason": "open"}],\n  "roles"'
    found = row({"host_notes/permissions.json": replace('"roles"', public)})
    assert [(each["code"], each["line"]) for each in found["findings"]] == [("PH403", 7)]


def test_a_permission_that_only_a_hook_adds_is_a_warning(row: Callable[..., Any]) -> None:
    hook = (
        "\n\nfrom plugin_host.sdk import Permission\n\n@hookimpl\ndef register_permissions():\n"
        '    return [Permission(name="notes.print", title="Print")]\n'
    )
    found = row({HOOKS: add(hook)})
    assert codes(found) == ["PH214"]
    assert "notes.print" in found["warnings"][0]


def test_a_faulty_revision_is_told(row: Callable[..., Any]) -> None:
    changes = {"host_notes/migrations/0001_notes.py": add('    op.drop_table("notes_gone")\n')}
    found = row(changes)
    assert found["reason"]["code"] == "migration_failed"
    assert [(each["code"], each["line"]) for each in found["findings"]] == [("PH604", 13), ("PH611", 13)]


def test_what_is_nothing_is_misuse_or_refused(check: Callable[..., Any]) -> None:
    assert "is no path" in check("nobody").stderr
    assert "does not exist" in check("./nowhere").stderr
    assert [check("nobody").returncode, check("a", "b").returncode] == [1, 2]


def test_without_a_word_every_installed_plugin_is_checked(check: Callable[..., Any]) -> None:
    done = check("--json")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = {row["id"]: row for row in json.loads(done.stdout)["items"]}
    assert rows["core"]["verified"] == "built"
