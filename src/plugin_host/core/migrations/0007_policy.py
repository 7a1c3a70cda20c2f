"""Groups, roles and rules of administrators, grants on single objects, the catalogue, and what was changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

phase = "expand"

SUBJECT = sa.String(130)


def upgrade() -> None:
    """Make the tables; roles may be given to groups and to roles, whose names are longer than those of people."""
    with op.batch_alter_table("core_role_member") as members:
        members.alter_column("subject", existing_type=sa.String(80), type_=SUBJECT, existing_nullable=False)
    _make_groups()
    _make_policy()
    _make_grants()
    op.create_table(
        "core_permission",
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("plugin", sa.String(31), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("scope", sa.String(6), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_core_permission"),
    )


def _make_groups() -> None:
    op.create_table(
        "core_group",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("name_key", sa.String(480), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_core_group"),
        sa.UniqueConstraint("name_key", name="uq_core_group_name_key"),
    )
    op.create_table(
        "core_group_member",
        sa.Column("group_id", sa.String(26), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("added_by", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("group_id", "user_id", name="pk_core_group_member"),
    )
    op.create_index("ix_core_group_member_user_id", "core_group_member", ["user_id"])


def _make_policy() -> None:
    op.create_table(
        "core_role",
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("grants", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_core_role"),
    )
    op.create_table(
        "core_rule",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("subject", SUBJECT, nullable=False),
        sa.Column("permission", sa.String(200), nullable=False),
        sa.Column("effect", sa.String(5), nullable=False),
        sa.Column("condition", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_core_rule"),
    )
    op.create_index("ix_core_rule_subject", "core_rule", ["subject"])
    op.create_table(
        "core_policy_change",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(6), nullable=False),
        sa.Column("subject", SUBJECT, nullable=False),
        sa.Column("key", sa.String(270), nullable=False),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_core_policy_change"),
    )
    op.create_index("ix_core_policy_change_revision", "core_policy_change", ["revision"])


def _make_grants() -> None:
    op.create_table(
        "core_grant",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("subject", SUBJECT, nullable=False),
        sa.Column("typ", sa.String(120), nullable=False),
        sa.Column("act", sa.String(80), nullable=False),
        sa.Column("effect", sa.String(5), nullable=False),
        sa.Column("object", sa.String(64), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("given_by", sa.String(64), nullable=True),
        sa.Column("given_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject", "typ", "act", "effect", "object", name="pk_core_grant"),
        sa.UniqueConstraint("id", name="uq_core_grant_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_core_grant_typ_object", "core_grant", ["typ", "object"])
    op.create_index("ix_core_grant_until", "core_grant", ["until"])
