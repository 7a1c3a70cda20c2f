"""Companies and people."""

import sqlalchemy as sa
from alembic import op

phase = "expand"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "contacts_company",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("website", sa.String(200), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_contacts_company"),
        sa.UniqueConstraint("name", name="uq_contacts_company_name"),
    )
    op.create_table(
        "contacts_person",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("email", sa.String(254), nullable=True),
        sa.Column("phone", sa.String(40), nullable=True),
        sa.Column("company_id", sa.String(26), nullable=True),
        sa.Column("owner_id", sa.String(64), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_contacts_person"),
        sa.ForeignKeyConstraint(
            ["company_id"],
            ["contacts_company.id"],
            name="fk_contacts_person_company_id_contacts_company",
            ondelete="SET NULL",
        ),
    )
    for column in ("name", "company_id", "owner_id"):
        op.create_index(f"ix_contacts_person_{column}", "contacts_person", [column])


def downgrade() -> None:
    """Drop both tables, the one with the foreign key first."""
    op.drop_table("contacts_person")
    op.drop_table("contacts_company")
