"""What was applied, kept in the database that it was applied to.

`core_migration_head` has one row for each plugin, all that a start must read. `core_migration` is the
history: one row for each attempt, never changed. Both are made by the runner and not by a revision, since no
revision can be written down without them.
"""

from __future__ import annotations

import datetime as dt
import getpass
import json
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from plugin_host.migrations.planning import Applied
from plugin_host.migrations.revisions import checksum
from plugin_host.migrations.schedule import revision_id, revision_number
from plugin_host.sdk.models import NAMING, UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Collection

    from plugin_host.migrations.schedule import Step

# Not the metadata of the models: these tables exist before the first of them.
METADATA: Final = sa.MetaData(naming_convention=NAMING)

HEAD: Final = sa.Table(
    "core_migration_head",
    METADATA,
    sa.Column("plugin", sa.String(31), primary_key=True),
    sa.Column("revision", sa.String(128), nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("objects", sa.Text, nullable=False),  # the plugin's tables, as JSON: what is left when it is gone
    sa.Column("requires", sa.Text, nullable=False),  # what it required then, as JSON
)
HISTORY: Final = sa.Table(
    "core_migration",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("plugin", sa.String(31), nullable=False),
    sa.Column("revision", sa.String(128), nullable=False),
    sa.Column("op", sa.String(12), nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("checksum", sa.String(64), nullable=False),
    sa.Column("source", sa.Text),  # the text that ran
    sa.Column("version", sa.Text, nullable=False),  # of the plugin
    sa.Column("ms", sa.Integer, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("node", sa.Text, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),  # the account that the process runs under
)

_NO_TABLE: Final = "42P01"  # PostgreSQL: undefined_table


@dataclass(frozen=True)
class Head:
    """Where the tables of one plugin stand."""

    revision: str
    state: str
    objects: tuple[str, ...]
    requires: tuple[str, ...]


def create_ledger(connection: sa.Connection) -> None:
    """Make both tables where they are not."""
    METADATA.create_all(connection)


def read_heads(connection: sa.Connection) -> dict[str, Head]:
    """Read where every plugin stands: one query, and nothing in a database that has no ledger yet."""
    try:
        rows = connection.execute(sa.select(HEAD).order_by(HEAD.c.plugin)).all()
    except DBAPIError as error:
        if _is_no_table(error):
            return {}
        raise
    return {
        row.plugin: Head(row.revision, row.state, tuple(json.loads(row.objects)), tuple(json.loads(row.requires)))
        for row in rows
    }


def read_number(connection: sa.Connection, plugin: str) -> int:
    """Read the number of the last applied revision of a plugin, 0 for none."""
    revision = connection.scalar(sa.select(HEAD.c.revision).where(HEAD.c.plugin == plugin))
    return revision_number(revision) if revision is not None else 0


def read_applied(connection: sa.Connection, plugin: str) -> dict[str, Applied]:
    """Read what ran for a plugin, by revision; of a revision that ran twice, the last time."""
    rows = connection.execute(
        sa.select(HISTORY.c.revision, HISTORY.c.checksum, HISTORY.c.source, HISTORY.c.version)
        .where(HISTORY.c.plugin == plugin, HISTORY.c.op.in_(["up", "adopt"]), HISTORY.c.state == "ok")
        .order_by(HISTORY.c.id)
    )
    return {row.revision: Applied(row.checksum, row.source, row.version) for row in rows}


def write_head(
    connection: sa.Connection,
    step: Step,
    objects: Collection[str],
    requires: Collection[str],
    *,
    state: Literal["ok", "dirty"] = "ok",
) -> bool:
    """Move a plugin's head to a step, from the revision before it and from nowhere else.

    Answers False when the head is not there: another process has moved it meanwhile.
    """
    values = {
        "revision": step.revision,
        "state": state,
        "objects": json.dumps(sorted(objects)),
        "requires": json.dumps(sorted(requires)),
    }
    if step.number == 1:
        connection.execute(HEAD.insert().values(plugin=step.plugin, **values))
        return True
    before = revision_id(step.plugin, step.number - 1)
    moved = connection.execute(
        HEAD.update().where(HEAD.c.plugin == step.plugin, HEAD.c.revision == before).values(**values)
    )
    return moved.rowcount == 1


def lower_head(connection: sa.Connection, step: Step, objects: Collection[str]) -> None:
    """Move a plugin's head from a step to the one before it; of the first one nothing is left."""
    if step.number == 1:
        connection.execute(HEAD.delete().where(HEAD.c.plugin == step.plugin))
        return
    values = {"revision": revision_id(step.plugin, step.number - 1), "objects": json.dumps(sorted(objects))}
    connection.execute(HEAD.update().where(HEAD.c.plugin == step.plugin).values(state="ok", **values))


def clean_head(connection: sa.Connection, plugin: str, revision: str, objects: Collection[str]) -> None:
    """Say of a plugin's head that its revision is done."""
    values = {"state": "ok", "objects": json.dumps(sorted(objects))}
    connection.execute(HEAD.update().where(HEAD.c.plugin == plugin, HEAD.c.revision == revision).values(**values))


@dataclass(frozen=True)
class Attempt:
    """What was done with a step, by which version of the plugin, and how it went; `ms` is how long it took."""

    step: Step
    version: str
    state: Literal["ok", "failed", "dirty"]
    ms: int = 0
    error: str | None = None
    op: Literal["up", "down", "adopt", "retry"] = "up"


def write_history(connection: sa.Connection, attempt: Attempt) -> None:
    """Add an attempt. Of one that failed the text is not kept: it will be tried, and written down, again."""
    step = attempt.step
    connection.execute(
        HISTORY.insert().values(
            plugin=step.plugin,
            revision=step.revision,
            op=attempt.op,
            state=attempt.state,
            checksum=checksum(step.source),
            source=step.source if attempt.state != "failed" else None,
            version=attempt.version,
            ms=attempt.ms,
            error=_storable(attempt.error),
            at=dt.datetime.now(dt.UTC),
            node=platform.node(),
            actor=_account(),
        )
    )


def _is_no_table(error: DBAPIError) -> bool:
    return str(error.orig).startswith("no such table") or getattr(error.orig, "sqlstate", None) == _NO_TABLE


def _storable(text: str | None) -> str | None:
    """Take out what a database refuses in a text; an error message may quote anything."""
    return None if text is None else text.encode("utf-8", "replace").decode().replace("\0", "")


def _account() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return ""
