"""Reading people from a CSV file: pure, so that every way in which a file can be wrong has a test."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from host_contacts.checks import faults

if TYPE_CHECKING:
    from _csv import Reader as CsvReader
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
    reader = csv.reader(lines, strict=True)
    records = _records(reader)
    try:
        _, header = next(records, (1, []))
        names = [name.strip().lower() for name in header]
        if error := _header_fault(names):
            return Sheet((), (error,))
        return _sheet(names, records)
    except csv.Error as error:
        return Sheet((), (f"line {reader.line_num}: this is no CSV file ({error})",))


def _sheet(names: list[str], records: Iterator[tuple[int, list[str]]]) -> Sheet:
    rows: list[Row] = []
    errors: list[str] = []
    for line, record in records:
        if len(record) != len(names):
            count = "1 column" if len(record) == 1 else f"{len(record)} columns"
            errors.append(f"line {line}: {count}, but the header has {len(names)}")
            continue
        fields = {name: text.strip() or None for name, text in zip(names, record, strict=True)}
        row = Row(line, fields["name"] or "", fields.get("email"), fields.get("phone"), fields.get("company"))
        rows.append(row)
        wrong = faults({"name": row.name, "email": row.email, "phone": row.phone, "company": row.company})
        errors += [f"line {line}: {_worded(field, fields[field], fault)}" for field, fault in wrong.items()]
    return Sheet(tuple(rows), tuple(errors))


def _worded(field: str, text: str | None, fault: str) -> str:
    return f"{field} is missing" if text is None else f"{field} {text!r}: {fault}"


def _records(reader: CsvReader) -> Iterator[tuple[int, list[str]]]:
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
