"""Who has which role."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

phase = "expand"


def upgrade() -> None:
    """Make the table; its index finds the holders of a role."""
    op.create_table(
        "core_role_member",
        sa.Column("subject", sa.String(80), nullable=False),
        sa.Column("role", sa.String(120), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("granted_by", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("subject", "role", name="pk_core_role_member"),
    )
    op.create_index("ix_core_role_member_role", "core_role_member", ["role"])
