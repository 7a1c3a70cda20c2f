"""Migrations: every file by itself, and all of them as one line of numbers. None of them is run here."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Final

from plugin_host.core.checking.finders.ddl import find_unsafe
from plugin_host.core.checking.finding import Finding, finding
from plugin_host.migrations.revisions import Source, read_step
from plugin_host.sdk.errors import PluginFault

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from plugin_host.core.checking.subject import Subject

_NAME: Final = re.compile(r"(\d{4})_\w+\.py", re.ASCII)
_ON_TABLE: Final = frozenset(
    "create_table drop_table add_column drop_column alter_column rename_table batch_alter_table create_table_comment "
    "drop_table_comment".split()
)
_ON_SECOND: Final = frozenset(
    "create_index create_unique_constraint create_check_constraint create_foreign_key create_primary_key "
    "create_exclude_constraint drop_constraint drop_index".split()
)
_CORE_TABLE: Final = re.compile(r"\b(?:INTO|UPDATE|FROM|TABLE|JOIN|ON)\s+\"?(core_[a-z_]+)", re.IGNORECASE)


def find(subject: Subject) -> Iterator[Finding]:
    """Find misnamed, doubled and missing revisions, faulty ones, and those that touch tables of others."""
    folder = subject.folder / "migrations" if subject.folder is not None else None
    if folder is None or not folder.is_dir():
        return
    files = [path for path in sorted(folder.iterdir()) if path.suffix == ".py" and path.name[:1] not in "_."]
    numbered: dict[int, Path] = {}
    for path in files:
        match = _NAME.fullmatch(path.name)
        label = subject.label(path)
        if match is None:
            yield finding("PH601", "it is no name of a revision", "Name it NNNN_slug.py, as 0001_people.py.", label)
            continue
        number = int(match[1])
        if number in numbered:
            text = f"{numbered[number].name} is number {match[1]} too"
            yield finding("PH601", text, "Give the younger one the next number.", label)
        numbered.setdefault(number, path)
        yield from _read(subject, path, label)
    for number in range(1, max(numbered, default=0)):
        if number not in numbered:
            later = numbered[min(each for each in numbered if each > number)]
            text, way_out = f"number {number:04d} is missing before it", "Bring it back, or number without gaps."
            yield finding("PH601", text, way_out, subject.label(later))


def _read(subject: Subject, path: Path, label: str) -> Iterator[Finding]:
    needs = tuple(subject.needs - {"core"})
    try:
        step = read_step(Source(subject.id, path.parent, needs), path)
    except PluginFault as fault:
        text = fault.reason.text.rstrip(".").removeprefix(str(path)).lstrip(": ")
        yield finding("PH602", text, fault.reason.way_out, label, _line_of_fault(path, fault.reason.text))
        return
    tree = ast.parse(step.source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _touched(subject, label, node)
    yield from find_unsafe(subject, step, label)


def _line_of_fault(path: Path, text: str) -> int | None:
    """Give the line of a faulty file: Python names it for syntax, else it is that of the word at fault."""
    told = re.search(r"line (\d+)", text)
    if told is not None:
        return int(told[1])
    word = next(
        (word for word in ("transactional", "phase", "needs") if f" {word}" in text or f"{word}`" in text), None
    )
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if word is not None else []
    return next((n for n, line in enumerate(lines, 1) if word is not None and line.startswith(word)), None)


def _touched(subject: Subject, label: str, call: ast.Call) -> Iterator[Finding]:
    function = call.func
    if not (isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "op"):
        return
    if function.attr == "execute":
        texts = [
            node.value for node in ast.walk(call) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
        tables = [table for text in texts for table in _CORE_TABLE.findall(text)]
    elif function.attr in _ON_TABLE:
        tables = [_text(call, 0, "table_name", "old_table_name")]
    elif function.attr in _ON_SECOND:
        tables = [_text(call, 1, "table_name", "source_table")]
    else:
        return
    for table in filter(None, tables):
        if not table.startswith(f"{subject.id}_"):
            whose = "the host itself" if table.startswith("core_") else "nobody it knows, or of another plugin"
            text = f"op.{function.attr} touches {table!r}, a table of {whose}"
            way_out = (
                f"Change only tables that begin with {subject.id}_; ask the other plugin for what is needed there."
            )
            yield finding("PH603", text, way_out, label, call.lineno)


def _text(call: ast.Call, place: int, *names: str) -> str | None:
    given = [*call.args[place : place + 1], *(each.value for each in call.keywords if each.arg in names)]
    first = given[0] if given else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
