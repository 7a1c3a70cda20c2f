"""What has changed in who may do what: a row for each change, in its own transaction and under its own revision."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from sqlalchemy import insert

from plugin_host.access.tables import PolicyChange
from plugin_host.database import bump
from plugin_host.sdk.models import new_id

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncSession

MANY = 500
"""Rows of one statement."""


class Change(NamedTuple):
    """One change, as `tables.PolicyChange` keeps it; `before` and `after` are values of JSON."""

    kind: str
    subject: str
    key: str
    before: object = None
    after: object = None


async def note(session: AsyncSession, by: str | None, changes: Iterable[Change]) -> int:
    """Raise the policy revision and write down what it brings; gives the new revision.

    Whoever raises it first holds its row until the end: changes are in one order, in every process.
    """
    revision = await bump(session, "policy")
    await write(session, revision, by, changes)
    return revision


async def write(session: AsyncSession, revision: int, by: str | None, changes: Iterable[Change]) -> None:
    """Write changes down under a revision that this session has raised already."""
    for rows in _portions(revision, by, changes):
        await session.execute(insert(PolicyChange), rows)


def write_down(connection: Connection, revision: int, by: str | None, changes: Iterable[Change]) -> None:
    """Do what `write` does, on a synchronous connection."""
    for rows in _portions(revision, by, changes):
        connection.execute(insert(PolicyChange), rows)


def _portions(revision: int, by: str | None, changes: Iterable[Change]) -> Iterable[list[dict[str, object]]]:
    now = dt.datetime.now(dt.UTC)
    rows: list[dict[str, object]] = [
        {
            "id": new_id(),
            "revision": revision,
            "kind": change.kind,
            "subject": change.subject,
            "key": change.key,
            "before": _text(change.before),
            "after": _text(change.after),
            "changed_at": now,
            "changed_by": by,
        }
        for change in changes
    ]
    return (rows[start : start + MANY] for start in range(0, len(rows), MANY))


def _text(value: object) -> str | None:
    return None if value is None else msgspec.json.encode(value, order="sorted").decode()
