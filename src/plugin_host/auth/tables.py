"""The tables of people. Nothing that could be used to sign in is stored as it is: only hashes."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from plugin_host.sdk.models import PluginBase, object_id


class Base(PluginBase, plugin="core"):
    """The base of the tables of people."""


class User(Base):
    """Somebody with an account here. `username_key` is what the user name is compared by, see `people.fold`."""

    __tablename__ = "core_user"

    id: Mapped[str] = object_id()
    username: Mapped[str] = mapped_column(String(64))
    # Folding may make a name longer: by four for each character, at most.
    username_key: Mapped[str] = mapped_column(String(256), unique=True)
    display: Mapped[str] = mapped_column(String(200))
    email: Mapped[str | None] = mapped_column(String(254))
    status: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[dt.datetime]


class Session(Base):
    """A browser that somebody signed in with. `hash` is the SHA-256 of the cookie's value."""

    __tablename__ = "core_session"

    id: Mapped[str] = object_id()
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("core_user.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[dt.datetime]
    last_seen_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)


class OneTime(Base):
    """A code that works once, kept by its SHA-256. `failures` counts wrong codes that were given instead."""

    __tablename__ = "core_one_time"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(32))
    failures: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[dt.datetime]
