"""Notes on people."""

import sqlalchemy as sa
from alembic import op

# The version before this one knows nothing of notes and runs beside them.
phase = "expand"


def upgrade() -> None:
    """Create the table; a note goes with its person."""
    op.create_table(
        "contacts_note",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("person_id", sa.String(26), nullable=False),
        sa.Column("author_id", sa.String(64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_contacts_note"),
        sa.ForeignKeyConstraint(
            ["person_id"],
            ["contacts_person.id"],
            name="fk_contacts_note_person_id_contacts_person",
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_contacts_note_person_id_created_at", "contacts_note", ["person_id", "created_at"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("contacts_note")
