"""What people, applications and machines sign in with: tokens, keys, second factors; and how often it failed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

phase = "expand"

_MOMENT = sa.DateTime(timezone=True)


def _of_user(table: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_user_id_core_user"
    return sa.ForeignKeyConstraint(["user_id"], ["core_user.id"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    """Add the columns and make the tables."""
    op.add_column("core_user", sa.Column("kind", sa.String(16), nullable=False, server_default="person"))
    op.add_column("core_user", sa.Column("mfa", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("core_session", sa.Column("kind", sa.String(16), nullable=False, server_default="browser"))
    op.add_column("core_session", sa.Column("authenticated_at", _MOMENT, nullable=True))
    op.add_column("core_session", sa.Column("methods", sa.String(100), nullable=True))
    op.add_column("core_session", sa.Column("agent", sa.String(200), nullable=True))
    op.add_column("core_session", sa.Column("address", sa.String(64), nullable=True))
    op.create_table(
        "core_refresh",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("session_id", sa.String(26), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("used_at", _MOMENT, nullable=True),
        sa.Column("child", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("hash", name="pk_core_refresh"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["core_session.id"], name="fk_core_refresh_session_id_core_session", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_core_refresh_session_id", "core_refresh", ["session_id"])
    op.create_table(
        "core_token",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("user_id", sa.String(26), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("last4", sa.String(4), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=True),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("expires_at", _MOMENT, nullable=False),
        sa.Column("last_used_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_core_token"),
        sa.UniqueConstraint("hash", name="uq_core_token_hash"),
        _of_user("core_token"),
    )
    op.create_index("ix_core_token_user_id", "core_token", ["user_id"])
    op.create_index("ix_core_token_expires_at", "core_token", ["expires_at"])
    op.create_table(
        "core_signing_key",
        sa.Column("kid", sa.String(32), nullable=False),
        sa.Column("alg", sa.String(16), nullable=False),
        sa.Column("public", sa.Text(), nullable=False),
        sa.Column("private", sa.Text(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("starts_at", _MOMENT, nullable=False),
        sa.Column("ends_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("kid", name="pk_core_signing_key"),
    )
    op.create_table(
        "core_totp",
        sa.Column("user_id", sa.String(26), nullable=False),
        sa.Column("secret", sa.Text(), nullable=False),
        sa.Column("last_step", sa.Integer(), nullable=False),
        sa.Column("created_at", _MOMENT, nullable=False),
        sa.Column("confirmed_at", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("user_id", name="pk_core_totp"),
        _of_user("core_totp"),
    )
    op.create_table(
        "core_attempt",
        sa.Column("key", sa.String(100), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", _MOMENT, nullable=False),
        sa.Column("until", _MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("key", name="pk_core_attempt"),
    )
    op.create_index("ix_core_attempt_last_at", "core_attempt", ["last_at"])
    with op.batch_alter_table("core_one_time") as batch:
        batch.add_column(sa.Column("user_id", sa.String(26), nullable=True))
        batch.add_column(sa.Column("data", sa.Text(), nullable=True))
        batch.add_column(sa.Column("expires_at", _MOMENT, nullable=True))
        batch.create_foreign_key(
            "fk_core_one_time_user_id_core_user", "core_user", ["user_id"], ["id"], ondelete="CASCADE"
        )
    op.create_index("ix_core_one_time_user_id", "core_one_time", ["user_id"])
