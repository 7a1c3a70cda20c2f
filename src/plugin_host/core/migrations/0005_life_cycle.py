"""Consent, quarantine, retries and accounts of plugins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

phase = "expand"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("core_plugin", sa.Column("consent", sa.Text(), nullable=True))
    op.add_column("core_plugin", sa.Column("quarantine", sa.Text(), nullable=True))
    op.add_column("core_plugin", sa.Column("account", sa.Text(), nullable=True))
    op.add_column("core_plugin", sa.Column("retries", sa.Integer(), nullable=False, server_default="0"))
