"""Invoices, their lines, and the counter of numbers."""

import sqlalchemy as sa
from alembic import op

from plugin_host.sdk import ExactDecimal

phase = "expand"


def upgrade() -> None:
    """Create the three tables."""
    op.create_table(
        "invoicing_invoice",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("number", sa.String(20), nullable=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("customer_id", sa.String(64), nullable=False),
        sa.Column("customer_name", sa.String(200), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("total", ExactDecimal(18, 2), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paid_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_invoicing_invoice"),
        sa.UniqueConstraint("number", name="uq_invoicing_invoice_number"),
        sa.CheckConstraint("state IN ('draft', 'sent', 'paid')", name=op.f("ck_invoicing_invoice_state")),
    )
    op.create_index("ix_invoicing_invoice_state", "invoicing_invoice", ["state"])
    op.create_index("ix_invoicing_invoice_customer_id", "invoicing_invoice", ["customer_id"])
    op.create_table(
        "invoicing_line",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("invoice_id", sa.String(26), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("description", sa.String(500), nullable=False),
        sa.Column("quantity", ExactDecimal(18, 3), nullable=False),
        sa.Column("unit_price", ExactDecimal(18, 2), nullable=False),
        sa.Column("amount", ExactDecimal(18, 2), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_invoicing_line"),
        sa.ForeignKeyConstraint(
            ["invoice_id"],
            ["invoicing_invoice.id"],
            name="fk_invoicing_line_invoice_id_invoicing_invoice",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_invoicing_line_invoice_id", "invoicing_line", ["invoice_id"])
    op.create_table(
        "invoicing_counter",
        sa.Column("year", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("last", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("year", name="pk_invoicing_counter"),
    )


def downgrade() -> None:
    """Drop the three tables, the one with the foreign key first."""
    op.drop_table("invoicing_counter")
    op.drop_table("invoicing_line")
    op.drop_table("invoicing_invoice")
