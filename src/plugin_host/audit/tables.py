"""The tables of the audit log."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import BigInteger, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from plugin_host.sdk.models import PluginBase, object_id


class Base(PluginBase, plugin="core"):
    """The base of the tables of the audit log."""


class AuditEntry(Base):
    """One thing that was done, refused or failed.

    `position`, `digest` and `hash` are its seal, set once, some seconds after it was written; a trigger refuses
    every other change. `via` are the plugins on whose behalf it was done, outermost first, with commas between;
    `detail` is JSON as text, so that both databases keep it letter by letter.
    """

    __tablename__ = "core_audit"

    id: Mapped[str] = object_id()
    at: Mapped[dt.datetime] = mapped_column(index=True)
    actor: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(16))
    username: Mapped[str] = mapped_column(String(200))
    via: Mapped[str] = mapped_column(String(200))
    plugin: Mapped[str] = mapped_column(String(31))
    action: Mapped[str] = mapped_column(String(100))
    object: Mapped[str | None] = mapped_column(String(200))
    outcome: Mapped[str] = mapped_column(String(16))
    detail: Mapped[str] = mapped_column(Text)
    request: Mapped[str | None] = mapped_column(String(64))
    position: Mapped[int | None] = mapped_column(BigInteger, unique=True)
    digest: Mapped[str | None] = mapped_column(String(64))
    hash: Mapped[str | None] = mapped_column(String(64))

    __table_args__ = (
        Index(None, "actor", "id"),
        Index(None, "plugin", "id"),
        Index(None, "action", "id"),
        # Almost every row is sealed: what is not is found without reading the others.
        Index("ix_core_audit_unsealed", "id", sqlite_where=position.is_(None), postgresql_where=position.is_(None)),
    )


class AuditChain(Base):
    """The only row says where the chain ends, and where what is kept of it begins.

    What stood at or before `base_position` was removed when its time had passed.
    """

    __tablename__ = "core_audit_chain"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(String(64))
    base_position: Mapped[int] = mapped_column(BigInteger)
    base_hash: Mapped[str] = mapped_column(String(64))


class AuditRefusal(Base):
    """How often nobody in particular was refused something, by the hour: anybody could fill the log with rows."""

    __tablename__ = "core_audit_refusal"

    hour: Mapped[dt.datetime] = mapped_column(primary_key=True)
    action: Mapped[str] = mapped_column(String(100), primary_key=True)
    code: Mapped[str] = mapped_column(String(64), primary_key=True)
    count: Mapped[int] = mapped_column(BigInteger)
