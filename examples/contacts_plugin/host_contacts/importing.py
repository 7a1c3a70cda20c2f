"""Reading people from a CSV file: pure, so that every way in which a file can be wrong has a test."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from host_contacts.checks import faults

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

COLUMNS: Final = ("name", "email", "phone", "company")


@dataclass(frozen=True, slots=True)
class Row:
    """One person of the file; `line` is where the record begins, counted from 1."""

    line: int
    name: str
    email: str | None
    phone: str | None
    company: str | None


@dataclass(frozen=True, slots=True)
class Sheet:
    """What a file holds: its people, or, if `errors` are there, what is wrong with it, line by line."""

    rows: tuple[Row, ...]
    errors: tuple[str, ...]


def read(lines: Iterable[str]) -> Sheet:
    """Read a file with a header; of its columns only `name` is needed, and their order is free.

    All lines are read, so that all errors can be mended in one go.
    """
    records = _records(lines)
    try:
        _, header = next(records, (1, []))
        names = [name.strip().lower() for name in header]
        if error := _header_fault(names):
            return Sheet((), (error,))
        return _sheet(names, records)
    except csv.Error as error:
        return Sheet((), (f"this is no CSV file: {error}",))


def _sheet(names: list[str], records: Iterator[tuple[int, list[str]]]) -> Sheet:
    rows: list[Row] = []
    errors: list[str] = []
    for line, record in records:
        if len(record) != len(names):
            errors.append(f"line {line}: {len(record)} columns, but the header has {len(names)}")
            continue
        fields = {name: text.strip() or None for name, text in zip(names, record, strict=True)}
        row = Row(line, fields["name"] or "", fields.get("email"), fields.get("phone"), fields.get("company"))
        rows.append(row)
        wrong = faults({"name": row.name, "email": row.email, "phone": row.phone, "company": row.company})
        errors += [f"line {line}: {field} {fields[field]!r} {fault}" for field, fault in wrong.items()]
    return Sheet(tuple(rows), tuple(errors))


def _records(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(lines, strict=True)
    begin = 1
    for record in reader:
        if any(text.strip() for text in record):
            yield begin, record
        begin = reader.line_num + 1  # a quoted text may go over several lines


def _header_fault(names: list[str]) -> str | None:
    columns = ", ".join(COLUMNS)
    if unknown := [name for name in names if name not in COLUMNS]:
        hint = "; columns are separated by commas" if ";" in "".join(names) else ""
        return f"line 1: unknown column {unknown[0]!r}; the header may have {columns}{hint}"
    if "name" not in names:
        return f"line 1: the header must have the column name; it may have {columns}"
    if len(set(names)) != len(names):
        return "line 1: a column stands twice in the header"
    return None
