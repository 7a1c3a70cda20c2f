"""The tables of events and jobs; every database that holds data of plugins has its own.

Moments are seconds since 1970 as numbers: they are compared and added to in SQL, in the same way on every database.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from plugin_host.sdk.models import METADATA

MAX_NAME: Final = 160
MAX_KEY: Final = 200
MAX_SUBSCRIBER: Final = 200
_PLUGIN: Final = 31
_ID: Final = 26

# SQLite numbers its rows by itself only where the type is INTEGER.
_NUMBER: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT: Final = sa.Float(53)

READY: Final = "ready"
DEAD: Final = "dead"

outbox: Final = sa.Table(
    "core_outbox",
    METADATA,
    sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("event_id", sa.String(_ID), nullable=False, unique=True),
    sa.Column("kind", sa.String(5), nullable=False),  # event or job
    sa.Column("name", sa.String(MAX_NAME), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("key", sa.String(MAX_KEY)),
    sa.Column("plugin", sa.String(_PLUGIN), nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("created", _MOMENT, nullable=False),
    sa.Index("ix_core_outbox_name_id", "name", "id"),
    sqlite_autoincrement=True,  # a number is never given twice
)
"""What was published or enqueued."""

delivery: Final = sa.Table(
    "core_delivery",
    METADATA,
    sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("outbox_id", sa.BigInteger, nullable=False),  # no foreign key: it would cost each writer a lock
    sa.Column("subscriber", sa.String(MAX_SUBSCRIBER), nullable=False),
    sa.Column("plugin", sa.String(_PLUGIN), nullable=False),
    sa.Column("key", sa.String(MAX_KEY)),
    sa.Column("unique_key", sa.String(MAX_KEY)),
    sa.Column("state", sa.String(5), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("crashes", sa.Integer, nullable=False),
    sa.Column("due", _MOMENT, nullable=False),
    sa.Column("lease", sa.String(40)),
    sa.Column("error", sa.Text),
    sa.Column("failed", _MOMENT),
    sa.Column("created", _MOMENT, nullable=False),
    sa.Index("ix_core_delivery_state_due_id", "state", "due", "id"),
    sa.Index(
        "ix_core_delivery_subscriber_key_id",
        "subscriber",
        "key",
        "id",
        sqlite_where=sa.text("key IS NOT NULL"),
        postgresql_where=sa.text("key IS NOT NULL"),
    ),
    sa.Index(
        "uq_core_delivery_subscriber_unique_key",
        "subscriber",
        "unique_key",
        unique=True,
        sqlite_where=sa.text("unique_key IS NOT NULL"),
        postgresql_where=sa.text("unique_key IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)
"""What is still to be done: one row for each event and each handler of it, deleted when the handler has done its work.

`due` is 0 for what can be done at once, so that a clock that is set back holds up nothing new. While a process works on
a row, `lease` is its token and `due` is when the lease ends.
"""

inbox: Final = sa.Table(
    "core_inbox",
    METADATA,
    sa.Column("subscriber", sa.String(MAX_SUBSCRIBER), primary_key=True),
    sa.Column("event_id", sa.String(_ID), primary_key=True),
    sa.Column("delivery_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("handled", _MOMENT, nullable=False, index=True),
)
"""What handlers have done whose database is not the one in which the event was published."""

subscription: Final = sa.Table(
    "core_subscription",
    METADATA,
    sa.Column("subscriber", sa.String(MAX_SUBSCRIBER), primary_key=True),
    sa.Column("plugin", sa.String(_PLUGIN), nullable=False),
    sa.Column("event", sa.String(MAX_NAME), nullable=False, index=True),  # empty for a job
    sa.Column("ordered", sa.Boolean, nullable=False),
    sa.Column("since", _MOMENT, nullable=False),
    sa.Column("seen", _MOMENT, nullable=False),
    sa.Column("crashes", sa.Integer, nullable=False),
    sa.Column("quarantine", sa.Text),
    sa.Column("schedule", sa.String(200)),
    sa.Column("timezone", sa.String(64)),
)
"""Who is to get which event: read by whoever publishes, in the same transaction, so that all processes agree."""

job_run: Final = sa.Table(
    "core_job_run",
    METADATA,
    sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("job", sa.String(MAX_NAME), nullable=False),
    sa.Column("event_id", sa.String(_ID), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("actor", sa.String(80), nullable=False),
    sa.Column("started", _MOMENT, nullable=False),
    sa.Column("ended", _MOMENT, nullable=False, index=True),
    sa.Column("outcome", sa.String(10), nullable=False),
    sa.Column("error", sa.Text),
    sa.Index("ix_core_job_run_job_id", "job", "id"),
)
"""What became of each run of a job."""

schedule_slot: Final = sa.Table(
    "core_schedule_slot",
    METADATA,
    sa.Column("job", sa.String(MAX_NAME), primary_key=True),
    sa.Column("slot", _MOMENT, primary_key=True, autoincrement=False),
)
"""The moments at which a scheduled job was due and was enqueued: whoever inserts one first enqueues it."""
