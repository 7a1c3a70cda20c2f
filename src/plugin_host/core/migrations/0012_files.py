"""Files that plugins keep, and when jobs run."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

phase = "expand"


def upgrade() -> None:
    """Make the table and add the columns."""
    op.create_table(
        "core_file",
        sa.Column("key", sa.String(26), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("created", sa.Float(53), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_core_file"),
    )
    op.create_index("ix_core_file_hash", "core_file", ["hash"])
    op.add_column("core_subscription", sa.Column("schedule", sa.String(200), nullable=True))
    op.add_column("core_subscription", sa.Column("timezone", sa.String(64), nullable=True))
