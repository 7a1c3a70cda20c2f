"""The audit log: entries, the ends of their chain, and counters of refusals.

Triggers keep entries as they were written: the only change is their seal, once, and only what stands before the
base of the chain may be removed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

phase = "expand"

TEXTS = ("id", "at", "actor", "kind", "username", "via", "plugin", "action", "object", "outcome", "detail", "request")


def upgrade() -> None:
    """Make the tables, the row that says where the chain ends, and the triggers."""
    _make_entries()
    chain = op.create_table(
        "core_audit_chain",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("base_position", sa.BigInteger(), nullable=False),
        sa.Column("base_hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_core_audit_chain"),
    )
    nothing = "0" * 64
    op.bulk_insert(chain, [{"id": 1, "position": 0, "hash": nothing, "base_position": 0, "base_hash": nothing}])
    op.create_table(
        "core_audit_refusal",
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("code", sa.String(64), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("hour", "action", "code", name="pk_core_audit_refusal"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _guard_sqlite()
    else:
        _guard_postgresql()


def _make_entries() -> None:
    op.create_table(
        "core_audit",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("username", sa.String(200), nullable=False),
        sa.Column("via", sa.String(200), nullable=False),
        sa.Column("plugin", sa.String(31), nullable=False),
        sa.Column("action", sa.String(100), nullable=False),
        sa.Column("object", sa.String(200), nullable=True),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("request", sa.String(64), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.String(64), nullable=True),
        sa.Column("hash", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_core_audit"),
        sa.UniqueConstraint("position", name="uq_core_audit_position"),
    )
    op.create_index("ix_core_audit_at", "core_audit", ["at"])
    for column in ("actor", "plugin", "action"):
        op.create_index(f"ix_core_audit_{column}_id", "core_audit", [column, "id"])
    unsealed = sa.text("position IS NULL")
    op.create_index("ix_core_audit_unsealed", "core_audit", ["id"], sqlite_where=unsealed, postgresql_where=unsealed)


def _guard_sqlite() -> None:
    same = " AND ".join(f"NEW.{name} IS OLD.{name}" for name in TEXTS)
    op.execute(
        "CREATE TRIGGER core_audit_changed BEFORE UPDATE ON core_audit "
        f"WHEN NOT (OLD.position IS NULL AND NEW.position IS NOT NULL AND {same}) "
        "BEGIN SELECT RAISE(ABORT, 'core_audit is append-only'); END"
    )
    op.execute(
        "CREATE TRIGGER core_audit_removed BEFORE DELETE ON core_audit "
        "WHEN OLD.position IS NULL OR OLD.position > (SELECT base_position FROM core_audit_chain WHERE id = 1) "
        "BEGIN SELECT RAISE(ABORT, 'core_audit is append-only'); END"
    )


_POSTGRESQL_GUARD = """
CREATE FUNCTION core_audit_guard() RETURNS trigger LANGUAGE plpgsql AS $guard$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF OLD.position IS NULL AND NEW.position IS NOT NULL AND (the_rest_is_the_same) THEN RETURN NEW; END IF;
    ELSIF TG_OP = 'DELETE' THEN
        IF OLD.position <= (SELECT base_position FROM core_audit_chain WHERE id = 1) THEN RETURN OLD; END IF;
    END IF;
    RAISE EXCEPTION 'core_audit is append-only';
END
$guard$
"""


def _guard_postgresql() -> None:
    same = " AND ".join(f"NEW.{name} IS NOT DISTINCT FROM OLD.{name}" for name in TEXTS)
    op.execute(_POSTGRESQL_GUARD.replace("the_rest_is_the_same", same))
    op.execute(
        "CREATE TRIGGER core_audit_kept BEFORE UPDATE OR DELETE ON core_audit "
        "FOR EACH ROW EXECUTE FUNCTION core_audit_guard()"
    )
    op.execute(
        "CREATE TRIGGER core_audit_whole BEFORE TRUNCATE ON core_audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION core_audit_guard()"
    )
