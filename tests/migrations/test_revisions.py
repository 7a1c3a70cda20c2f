"""Revisions as files: names, what a file says of itself, and running exactly the text that was read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from plugin_host.migrations.revisions import (
    Source,
    expected_head,
    is_expand,
    loaded,
    read_step,
    revision_files,
    same_code,
)
from plugin_host.migrations.schedule import Step
from plugin_host.sdk.errors import PluginFault, Reason

UPGRADE = "def upgrade() -> None:\n    pass\n"


def source(folder: Path, *names: str) -> Source:
    for name in names:
        (folder / name).write_text(UPGRADE, encoding="utf-8")
    return Source("contacts", folder, ("core", "crm"), "1.0")


def refuse(act: Any) -> Reason:
    with pytest.raises(PluginFault) as caught:
        act()
    assert caught.value.reason.code in ("migration_failed", "migration_heads", "migration_missing")
    assert caught.value.reason.culprits == ("contacts",)
    assert caught.value.reason.way_out
    return caught.value.reason


def read(folder: Path, text: str) -> Step:
    path = folder / "0001_people.py"
    path.write_text(text, encoding="utf-8")
    return read_step(source(folder), path)


def test_head_is_the_last_file(tmp_path: Path) -> None:
    assert expected_head(source(tmp_path, "0001_people.py", "0002_notes.py")) == "contacts_0002"


def test_files_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = [path.name for path in revision_files(source(tmp_path, "0002_a.py", "0001_b.py"))]
    assert names == ["0001_b.py", "0002_a.py"]


def test_nothing_but_revisions_counts(tmp_path: Path) -> None:
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "README.md").write_text("")
    assert expected_head(source(tmp_path, "__init__.py", "0001_people.py")) == "contacts_0001"


@pytest.mark.parametrize("folder", [None, Path("/nowhere/at/all")])
def test_plugin_without_a_folder_has_no_head(folder: Path | None) -> None:
    assert expected_head(Source("contacts", folder)) is None


def test_folder_that_cannot_be_listed_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be listed" in refuse(lambda: expected_head(Source("contacts", tmp_path / "file"))).text


def test_gap_is_a_fault(tmp_path: Path) -> None:
    text = refuse(lambda: expected_head(source(tmp_path, "0001_a.py", "0003_c.py"))).text
    assert text == "migrations/0003_c.py is there, number 0002 is not."


def test_beginning_at_nought_is_a_fault(tmp_path: Path) -> None:
    refuse(lambda: expected_head(source(tmp_path, "0000_a.py")))


def test_number_taken_twice_is_a_fault_that_names_both(tmp_path: Path) -> None:
    text = refuse(lambda: expected_head(source(tmp_path, "0001_a.py", "0001_b.py"))).text
    assert text == "migrations/0001_a.py and migrations/0001_b.py are both number 0001."


@pytest.mark.parametrize("name", ["people.py", "1_people.py", "0001-people.py", "0001.py"])
def test_file_that_looks_like_a_forgotten_revision_is_a_fault(tmp_path: Path, name: str) -> None:
    assert name in refuse(lambda: expected_head(source(tmp_path, name))).text


def test_file_says_what_it_needs_and_its_phase(tmp_path: Path) -> None:
    step = read(tmp_path, f'needs: dict[str, str] = {{"crm": "crm_0003"}}\nphase = "expand"\n{UPGRADE}')
    assert (step.revision, step.needs, step.phase) == ("contacts_0001", {"crm": 3}, "expand")


def test_file_need_not_say_anything(tmp_path: Path) -> None:
    step = read(tmp_path, f"import os\n{UPGRADE}")
    assert (step.needs, step.phase) == ({}, None)


def test_reading_runs_nothing(tmp_path: Path) -> None:
    assert read(tmp_path, f"raise SystemExit\n{UPGRADE}").revision == "contacts_0001"


def test_line_ends_and_byte_order_marks_are_no_part_of_the_text(tmp_path: Path) -> None:
    path = tmp_path / "0001_people.py"
    path.write_bytes(b"\xef\xbb\xbf" + UPGRADE.replace("\n", "\r\n").encode())
    assert read_step(source(tmp_path), path).source == UPGRADE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def upgrade(:", "is no Python"),
        ("x = 1\n", "has no function upgrade()"),
        ("async def upgrade() -> None: ...\n", "has no function upgrade()"),
        (f"needs = dict(crm='crm_0001')\n{UPGRADE}", "read without running"),
        (f"needs = ['crm_0001']\n{UPGRADE}", "needs names ['crm_0001']"),
        (f"needs = {{'crm': 'people_0001'}}\n{UPGRADE}", "needs names 'people_0001'"),
        (f"needs = {{'crm': None}}\n{UPGRADE}", "needs names None"),
        (f"needs = {{'billing': 'billing_0001'}}\n{UPGRADE}", "contacts does not require billing"),
        (f"needs = {{'contacts': 'contacts_0001'}}\n{UPGRADE}", "contacts does not require contacts"),
        (f"phase = 'later'\n{UPGRADE}", "phase is 'later'"),
        (f"transactional = 'no'\n{UPGRADE}", "transactional is 'no'"),
    ],
)
def test_file_that_cannot_be_served_is_a_fault(tmp_path: Path, text: str, said: str) -> None:
    assert said in refuse(lambda: read(tmp_path, text)).text


def test_file_that_is_no_text_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "0001_people.py"
    path.write_bytes(b"\xff\xfe\x00")
    assert "cannot be read" in refuse(lambda: read_step(source(tmp_path), path)).text


@pytest.mark.parametrize(
    ("other", "same"),
    [("x = 1\n", True), ("x  =  1  # one\n", True), ("x = 2\n", False), ("x = (", False)],
)
def test_same_code_is_what_the_parser_sees(other: str, same: object) -> None:
    assert same_code("x = 1\n", other) is same


@pytest.mark.parametrize(("text", "answer"), [("phase = 'expand'", True), ("", False), ("phase = (", False)])
def test_expand_is_read_from_the_text(text: str, answer: object) -> None:
    assert is_expand(text) is answer


def test_the_text_that_was_read_is_what_runs(tmp_path: Path) -> None:
    step = read(tmp_path, f"VALUE = 1\n{UPGRADE}")
    step.path.write_text(f"VALUE = 2\n{UPGRADE}")
    with loaded(step) as module:
        assert module.VALUE == 1


def test_running_leaves_nothing_behind(tmp_path: Path) -> None:
    step = read(tmp_path, UPGRADE)
    before = set(sys.modules)
    with loaded(step):
        pass
    assert (set(sys.modules) - before, list(tmp_path.iterdir())) == (set(), [step.path])


def test_a_revision_may_define_a_struct(tmp_path: Path) -> None:
    struct = "class S(msgspec.Struct):\n    x: int\nROW = msgspec.convert({'x': 1}, S)\n"
    step = read(tmp_path, f"from __future__ import annotations\nimport msgspec\n{struct}{UPGRADE}")
    with loaded(step) as module:
        assert module.ROW.x == 1
