"""The processes that run, and the versions of plugins in them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

phase = "expand"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "core_node",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("machine", sa.Text(), nullable=False),
        sa.Column("process", sa.Integer(), nullable=False),
        sa.Column("versions", sa.Text(), nullable=False),
        sa.Column("seen", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_core_node"),
    )
