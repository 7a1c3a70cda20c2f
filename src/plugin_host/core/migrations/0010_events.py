"""Events and jobs: what was published, what is still to be delivered, who gets what, and when jobs were due."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

phase = "expand"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_MOMENT = sa.Float(53)
# Each delivery is inserted, changed twice and deleted: PostgreSQL must clean up sooner than by default.
_BUSY = {
    "fillfactor": 80,
    "autovacuum_vacuum_scale_factor": 0.02,
    "autovacuum_vacuum_threshold": 1000,
}


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "core_outbox",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("event_id", sa.String(26), nullable=False),
        sa.Column("kind", sa.String(5), nullable=False),
        sa.Column("name", sa.String(160), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(200), nullable=True),
        sa.Column("plugin", sa.String(31), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("created", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_core_outbox"),
        sa.UniqueConstraint("event_id", name="uq_core_outbox_event_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_core_outbox_name_id", "core_outbox", ["name", "id"])
    op.create_table(
        "core_delivery",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("outbox_id", sa.BigInteger(), nullable=False),
        sa.Column("subscriber", sa.String(200), nullable=False),
        sa.Column("plugin", sa.String(31), nullable=False),
        sa.Column("key", sa.String(200), nullable=True),
        sa.Column("unique_key", sa.String(200), nullable=True),
        sa.Column("state", sa.String(5), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("due", _MOMENT, nullable=False),
        sa.Column("lease", sa.String(40), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("failed", _MOMENT, nullable=True),
        sa.Column("created", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_core_delivery"),
        sqlite_autoincrement=True,
        postgresql_with=_BUSY,
    )
    op.create_index("ix_core_delivery_state_due_id", "core_delivery", ["state", "due", "id"])
    keyed = sa.text("key IS NOT NULL")
    op.create_index(
        "ix_core_delivery_subscriber_key_id",
        "core_delivery",
        ["subscriber", "key", "id"],
        sqlite_where=keyed,
        postgresql_where=keyed,
    )
    unique = sa.text("unique_key IS NOT NULL")
    op.create_index(
        "uq_core_delivery_subscriber_unique_key",
        "core_delivery",
        ["subscriber", "unique_key"],
        unique=True,
        sqlite_where=unique,
        postgresql_where=unique,
    )
    op.create_table(
        "core_inbox",
        sa.Column("subscriber", sa.String(200), nullable=False),
        sa.Column("event_id", sa.String(26), nullable=False),
        sa.Column("delivery_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("handled", _MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("subscriber", "event_id", "delivery_id", name="pk_core_inbox"),
    )
    op.create_index("ix_core_inbox_handled", "core_inbox", ["handled"])
    op.create_table(
        "core_subscription",
        sa.Column("subscriber", sa.String(200), nullable=False),
        sa.Column("plugin", sa.String(31), nullable=False),
        sa.Column("event", sa.String(160), nullable=False),
        sa.Column("ordered", sa.Boolean(), nullable=False),
        sa.Column("since", _MOMENT, nullable=False),
        sa.Column("seen", _MOMENT, nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("quarantine", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("subscriber", name="pk_core_subscription"),
    )
    op.create_index("ix_core_subscription_event", "core_subscription", ["event"])
    op.create_table(
        "core_job_run",
        sa.Column("id", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("job", sa.String(160), nullable=False),
        sa.Column("event_id", sa.String(26), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("actor", sa.String(80), nullable=False),
        sa.Column("started", _MOMENT, nullable=False),
        sa.Column("ended", _MOMENT, nullable=False),
        sa.Column("outcome", sa.String(10), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_core_job_run"),
    )
    op.create_index("ix_core_job_run_job_id", "core_job_run", ["job", "id"])
    op.create_index("ix_core_job_run_ended", "core_job_run", ["ended"])
    op.create_table(
        "core_schedule_slot",
        sa.Column("job", sa.String(160), nullable=False),
        sa.Column("slot", _MOMENT, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("job", "slot", name="pk_core_schedule_slot"),
    )
