"""The tables of access: groups, who has which role, administrators' roles and rules, and grants on single objects.

Rules of type level are few and live in memory, one snapshot for each revision; grants are as many as there are
objects and stay here. Nobody and nothing named here is a foreign key: an embedding application keeps its people
elsewhere, and a plugin may keep its objects (and so its grants) in a database of its own.
"""

from __future__ import annotations

import datetime as dt

from sqlalchemy import BigInteger, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from plugin_host.sdk.models import PluginBase, new_id

SUBJECT: int = 130
"""Characters of `role:` and the longest name of a role."""


class Base(PluginBase, plugin="core"):
    """The base of the tables of access."""


class RoleMember(Base):
    """Somebody who was given a role. `subject` is `user:<id>`, `group:<id>`, or `role:<name>`: a role that includes it.

    `granted_by` is the id of whoever gave it.
    """

    __tablename__ = "core_role_member"

    subject: Mapped[str] = mapped_column(String(SUBJECT), primary_key=True)
    role: Mapped[str] = mapped_column(String(120), primary_key=True, index=True)
    granted_at: Mapped[dt.datetime]
    granted_by: Mapped[str | None] = mapped_column(String(64))


class Group(Base):
    """People who are given roles and objects together. `name_key` is the name, folded: it is there once."""

    __tablename__ = "core_group"

    id: Mapped[str] = mapped_column(String(26), primary_key=True, default=new_id)
    name: Mapped[str] = mapped_column(String(120))
    name_key: Mapped[str] = mapped_column(String(480), unique=True)
    created_at: Mapped[dt.datetime]
    created_by: Mapped[str | None] = mapped_column(String(64))


class GroupMember(Base):
    """Somebody who is in a group."""

    __tablename__ = "core_group_member"

    group_id: Mapped[str] = mapped_column(String(26), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)
    added_at: Mapped[dt.datetime]
    added_by: Mapped[str | None] = mapped_column(String(64))


class StoredRole(Base):
    """A role that an administrator made. `grants` is a JSON list of `{permission, where?}`, as in permissions.json."""

    __tablename__ = "core_role"

    name: Mapped[str] = mapped_column(String(120), primary_key=True)
    title: Mapped[str] = mapped_column(String(200))
    description: Mapped[str] = mapped_column(Text)
    grants: Mapped[str] = mapped_column(Text)
    created_at: Mapped[dt.datetime]
    created_by: Mapped[str | None] = mapped_column(String(64))


class StoredRule(Base):
    """A rule that an administrator made: `subject` may, or may not (`effect`), where `condition` holds.

    `permission` may be a pattern: `*`, `contacts.*` for all of a plugin, `contacts.person.*` for all of an object.
    `condition` is a condition as `sdk.conditions.canonical` writes it.
    """

    __tablename__ = "core_rule"

    id: Mapped[str] = mapped_column(String(26), primary_key=True, default=new_id)
    subject: Mapped[str] = mapped_column(String(SUBJECT), index=True)
    permission: Mapped[str] = mapped_column(String(200))
    effect: Mapped[str] = mapped_column(String(5))
    condition: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[dt.datetime]
    created_by: Mapped[str | None] = mapped_column(String(64))


class Grant(Base):
    """What somebody was given, or denied, on one object: `act` on the object `object` of type `typ`.

    Its key is the order in which lists look for it. `until` is when it ends.
    """

    __everywhere__ = True  # each database has its own, beside the objects: see `database.session`
    __tablename__ = "core_grant"
    __table_args__ = (
        UniqueConstraint("id"),
        Index("ix_core_grant_typ_object", "typ", "object"),
        Index("ix_core_grant_until", "until"),
        {"sqlite_with_rowid": False},  # one tree less to look into and to write
    )

    id: Mapped[str] = mapped_column(String(26), default=new_id)
    subject: Mapped[str] = mapped_column(String(SUBJECT), primary_key=True)
    typ: Mapped[str] = mapped_column(String(120), primary_key=True)
    act: Mapped[str] = mapped_column(String(80), primary_key=True)
    effect: Mapped[str] = mapped_column(String(5), primary_key=True)
    object: Mapped[str] = mapped_column(String(64), primary_key=True)
    until: Mapped[dt.datetime | None]
    given_by: Mapped[str | None] = mapped_column(String(64))
    given_at: Mapped[dt.datetime]

    @property
    def permission(self) -> str:
        """The permission's name."""
        return f"{self.typ}.{self.act}"


class KnownPermission(Base):
    """A permission that some plugin declared once. While none does it is `orphaned`: kept, never matched."""

    __tablename__ = "core_permission"

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    plugin: Mapped[str] = mapped_column(String(31))
    title: Mapped[str] = mapped_column(Text)
    scope: Mapped[str] = mapped_column(String(6))
    state: Mapped[str] = mapped_column(String(8))
    since: Mapped[dt.datetime]


class PolicyChange(Base):
    """One change of who may do what, as of `revision`: other processes read what has moved, people what was changed.

    `kind` is `role`, `rule`, `link` (roles of groups and roles), `member` (roles and groups of people) or `grant`;
    `subject` is whom it is about, `key` the role, rule, permission or object. `before` and `after` are JSON.
    """

    __everywhere__ = True  # as its grants
    __tablename__ = "core_policy_change"

    id: Mapped[str] = mapped_column(String(26), primary_key=True, default=new_id)
    revision: Mapped[int] = mapped_column(BigInteger, index=True)
    kind: Mapped[str] = mapped_column(String(6))
    subject: Mapped[str] = mapped_column(String(SUBJECT))
    key: Mapped[str] = mapped_column(String(270))
    before: Mapped[str | None] = mapped_column(Text)
    after: Mapped[str | None] = mapped_column(Text)
    changed_at: Mapped[dt.datetime]
    changed_by: Mapped[str | None] = mapped_column(String(64))
