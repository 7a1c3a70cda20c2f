"""People, the browsers they signed in with, and codes that work once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

phase = "expand"


def upgrade() -> None:
    """Make the three tables."""
    op.create_table(
        "core_user",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("username", sa.String(64), nullable=False),
        sa.Column("username_key", sa.String(256), nullable=False),
        sa.Column("display", sa.String(200), nullable=False),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("password_hash", sa.String(255), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_core_user"),
        sa.UniqueConstraint("username_key", name="uq_core_user_username_key"),
    )
    op.create_table(
        "core_session",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(26), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_core_session"),
        sa.UniqueConstraint("hash", name="uq_core_session_hash"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["core_user.id"], name="fk_core_session_user_id_core_user", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_core_session_user_id", "core_session", ["user_id"])
    op.create_index("ix_core_session_expires_at", "core_session", ["expires_at"])
    op.create_table(
        "core_one_time",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("purpose", sa.String(32), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("hash", name="pk_core_one_time"),
    )
