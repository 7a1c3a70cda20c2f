"""The tables of people. Nothing that could be used to sign in is stored as it is: hashes, or sealed with the key."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import ForeignKey, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from plugin_host.sdk.models import PluginBase, object_id


class Base(PluginBase, plugin="core"):
    """The base of the tables of people."""


class User(Base):
    """Somebody with an account here. `username_key` is what the user name is compared by, see `people.fold`.

    `kind` is `person` or `service`: a machine, which only has tokens. `mfa` says that a second factor is asked for.
    """

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
    kind: Mapped[str] = mapped_column(String(16), default="person", server_default="person")
    mfa: Mapped[bool] = mapped_column(default=False, server_default=false())


class Session(Base):
    """A browser, or an application, that somebody signed in with.

    `hash` is the SHA-256 of the cookie's value; an application is never shown it. `kind` is `browser` or `app`.
    `authenticated_at` is when the person last proved who they are, by `methods` (as `password otp`).
    """

    __tablename__ = "core_session"

    id: Mapped[str] = object_id()
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("core_user.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[dt.datetime]
    last_seen_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)
    kind: Mapped[str] = mapped_column(String(16), default="browser", server_default="browser")
    authenticated_at: Mapped[dt.datetime | None]
    methods: Mapped[str | None] = mapped_column(String(100))
    agent: Mapped[str | None] = mapped_column(String(200))
    address: Mapped[str | None] = mapped_column(String(64))


class Refresh(Base):
    """A refresh token of an application's session: when it was used, and the hash of the one that came of it."""

    __tablename__ = "core_refresh"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("core_session.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    used_at: Mapped[dt.datetime | None]
    child: Mapped[str | None] = mapped_column(String(64))


class Token(Base):
    """A personal or service token. `scopes` is a JSON list of permissions, or nothing: all rights of its owner."""

    __tablename__ = "core_token"

    id: Mapped[str] = object_id()
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    user_id: Mapped[str] = mapped_column(ForeignKey("core_user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    last4: Mapped[str] = mapped_column(String(4))
    scopes: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[dt.datetime]
    created_by: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[dt.datetime] = mapped_column(index=True)
    last_used_at: Mapped[dt.datetime | None]


class SigningKey(Base):
    """A key that signs access tokens from `starts_at` on, and verifies them until `ends_at`.

    `public` is a JWK; `private` is sealed with the secret key.
    """

    __tablename__ = "core_signing_key"

    kid: Mapped[str] = mapped_column(String(32), primary_key=True)
    alg: Mapped[str] = mapped_column(String(16))
    public: Mapped[str] = mapped_column(Text)
    private: Mapped[str] = mapped_column(Text)
    created_at: Mapped[dt.datetime]
    starts_at: Mapped[dt.datetime]
    ends_at: Mapped[dt.datetime | None]


class Totp(Base):
    """The second factor of somebody: a sealed seed; `last_step` is the time step of the code that was used last."""

    __tablename__ = "core_totp"

    user_id: Mapped[str] = mapped_column(ForeignKey("core_user.id", ondelete="CASCADE"), primary_key=True)
    secret: Mapped[str] = mapped_column(Text)
    last_step: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[dt.datetime]
    confirmed_at: Mapped[dt.datetime | None]


class Attempt(Base):
    """How often signing in has failed for an account, an address or both (`key`), and until when it waits."""

    __tablename__ = "core_attempt"

    key: Mapped[str] = mapped_column(String(100), primary_key=True)
    failures: Mapped[int]
    last_at: Mapped[dt.datetime] = mapped_column(index=True)
    until: Mapped[dt.datetime | None]


class OneTime(Base):
    """A code that works once, kept by its SHA-256. `failures` counts wrong codes that were given instead."""

    __tablename__ = "core_one_time"

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(32))
    failures: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[dt.datetime]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("core_user.id", ondelete="CASCADE"), index=True)
    data: Mapped[str | None] = mapped_column(Text)
    expires_at: Mapped[dt.datetime | None]
