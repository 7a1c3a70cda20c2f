"""A due date: optional while an invoice is a draft, and always there once it was sent."""

import datetime as dt

import sqlalchemy as sa
from alembic import op

# No `phase = "expand"`: the version before this one sends invoices without a due date, which is refused from here on.

# The tables as this revision needs them: the models move on, a revision stays what it was.
INVOICE = sa.table(
    "invoicing_invoice",
    sa.column("id", sa.String),
    sa.column("state", sa.String),
    sa.column("sent_at", sa.DateTime(timezone=True)),
    sa.column("due_on", sa.Date),
)
DAYS = dt.timedelta(days=30)


def upgrade() -> None:
    """Add the column, fill it for what was sent, and only then demand it."""
    op.add_column("invoicing_invoice", sa.Column("due_on", sa.Date(), nullable=True))
    # PH613: invoices are written by people, and few enough for an index to be built while they wait.
    op.create_index("ix_invoicing_invoice_due_on", "invoicing_invoice", ["due_on"])
    _fill(op.get_bind())
    # SQLite can add no constraint to a table that is there: batch makes the table anew. On PostgreSQL it is a plain
    # ALTER TABLE. `op.f` says that a name is complete: of a check the naming convention would make a longer one.
    with op.batch_alter_table("invoicing_invoice") as batch:
        # PH614: as above.
        batch.create_check_constraint(op.f("ck_invoicing_invoice_due"), "state = 'draft' OR due_on IS NOT NULL")


def downgrade() -> None:
    """Drop the rule and the column."""
    with op.batch_alter_table("invoicing_invoice") as batch:
        batch.drop_constraint(op.f("ck_invoicing_invoice_due"), type_="check")
        batch.drop_index("ix_invoicing_invoice_due_on")
        batch.drop_column("due_on")


def _fill(connection: sa.Connection) -> None:
    sent = connection.execute(sa.select(INVOICE.c.id, INVOICE.c.sent_at).where(INVOICE.c.state != "draft")).all()
    if sent:
        set_due = sa.update(INVOICE).where(INVOICE.c.id == sa.bindparam("key")).values(due_on=sa.bindparam("due"))
        connection.execute(set_due, [{"key": row.id, "due": row.sent_at.date() + DAYS} for row in sent])
