"""The register of plugins: wishes, and what became of each at the last activation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

phase = "expand"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "core_plugin",
        sa.Column("id", sa.String(31), nullable=False),
        sa.Column("wish", sa.String(12), nullable=True),
        sa.Column("state", sa.String(12), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("version", sa.String(64), nullable=True),
        sa.Column("updated", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_core_plugin"),
    )
