"""Accounts at providers of sign-in, and whose they are here."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

phase = "expand"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "core_identity",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("user_id", sa.String(26), nullable=False),
        sa.Column("provider", sa.String(31), nullable=False),
        sa.Column("issuer", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_core_identity"),
        sa.UniqueConstraint("issuer", "subject", name="uq_core_identity_issuer_subject"),
        sa.ForeignKeyConstraint(
            ["user_id"], ["core_user.id"], name="fk_core_identity_user_id_core_user", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_core_identity_user_id", "core_identity", ["user_id"])
