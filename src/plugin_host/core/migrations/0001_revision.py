"""The revision row: how often sign-ins, rules and wishes have changed. Caches compare it at every request."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

phase = "expand"


def upgrade() -> None:
    """Make the table and its only row."""
    revision = op.create_table(
        "core_revision",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("auth", sa.Integer(), nullable=False),
        sa.Column("policy", sa.Integer(), nullable=False),
        sa.Column("wishes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_core_revision"),
    )
    op.bulk_insert(revision, [{"id": 1, "auth": 1, "policy": 1, "wishes": 1}])
