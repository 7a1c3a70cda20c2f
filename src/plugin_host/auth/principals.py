"""From a request to its actor, at every request: cookie, hash, cached row, one read of the revision row.

1. The session cookie is cut out of the headers; without one nobody asks, and nothing is read.
2. The revision row tells whether a sign-in or a role changed since the cache was filled, in whichever
   process; then the cache is void. SQLite: one read of a few microseconds. PostgreSQL: it comes with the
   session row, in one query.
3. Idle and absolute end are checked against the cached row; what seems to have ended is read again, since
   another process may have seen the browser later.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, column, select, table, update
from sqlalchemy.exc import SQLAlchemyError

from plugin_host.auth.people import ACTIVE
from plugin_host.auth.sessions import IDLE, PLAIN_NAME, SECURE_NAME, digest, is_secure
from plugin_host.auth.tables import Session, User
from plugin_host.sdk.context import ANONYMOUS, Actor
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from sqlalchemy.ext.asyncio import AsyncConnection

    from plugin_host.database import Database

log = logging.getLogger("plugin_host.auth")

SEEN_EVERY: Final = 300.0
CACHED: Final = 10_000
TOKEN_LENGTH: Final = 43  # 32 random bytes in base64: anything else is not ours, and not worth a query
SESSION: Final = "plugin_host.session"
EXPIRED: Final = "plugin_host.session_expired"
AGAIN: Final = "plugin_host.again"  # the gate judges what is open again: nobody has sent anything

_REVISION: Final = table("core_revision", column("id"), column("auth"), column("policy"))
# Seen from the revision row, so that there is always an answer: the session and its user may be missing.
_QUERY: Final = (
    select(
        _REVISION.c.auth,
        _REVISION.c.policy,
        Session.id,
        Session.last_seen_at,
        Session.expires_at,
        User.id.label("user_id"),
        User.username,
        User.display,
        User.status,
    )
    .select_from(_REVISION)
    .outerjoin(Session, Session.hash == bindparam("hash"))
    .outerjoin(User, User.id == Session.user_id)
    .where(_REVISION.c.id == 1)
)


class Principals:
    """Resolves requests to actors; the only reader of session cookies.

    `roles_of` gives the roles of a user id. `idle` and `https` are those of `Sessions`. `close` waits for
    what is still being written.
    """

    def __init__(
        self,
        database: Database,
        *,
        roles_of: Callable[[AsyncConnection, str], Awaitable[tuple[str, ...]]],
        idle: dt.timedelta = IDLE,
        https: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._roles_of = roles_of
        self._idle = idle.total_seconds()
        # A short idle time must not pass between two writes of a browser that is in use.
        self._seen_every = min(SEEN_EVERY, self._idle / 10)
        self._https = https
        self._clock = clock
        self._local = database.dialect == "sqlite"
        # One statement needs no transaction: two round trips less. SQLite's recipe forbids to change the mode.
        self._engine = (
            database.engine if self._local else database.engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        self._revision: tuple[int, int] = (0, 0)
        self._cache: dict[str, _Held] = {}
        self._writing: set[asyncio.Task[None]] = set()

    async def resolve(self, scope: MutableMapping[str, Any]) -> Actor:
        """Give the actor of an HTTP or WebSocket scope, `ANONYMOUS` if there is no session that holds.

        Sets `scope["plugin_host.session"]` to the session's id, or `scope["plugin_host.session_expired"]` if
        there was one that ended by time. Raises `Problem` 400 `ambiguous_credentials` when an Authorization
        header comes with the cookie: nobody could tell who is meant.
        """
        token = self._token(scope)
        if token is None:
            return ANONYMOUS
        key = digest(token)
        now = self._clock()
        held = self._cached(key, now) if self._local else None
        if held is None:
            held = await self._load(key)
            if held is None:
                return ANONYMOUS
            if self._ended(held, now):
                self._cache.pop(key, None)
                scope[EXPIRED] = True
                return ANONYMOUS
        if now - held.seen >= self._seen_every and AGAIN not in scope:
            self._note_seen(held, now)
        scope[SESSION] = held.session
        return held.actor

    async def close(self) -> None:
        """Wait for what is being written."""
        while self._writing:
            await asyncio.gather(*self._writing)

    def _token(self, scope: MutableMapping[str, Any]) -> bytes | None:
        """Cut the session cookie out of the headers, without parsing any other."""
        prefix = _SECURE if is_secure(scope, https=self._https) else _PLAIN
        token: bytes | None = None
        authorization = False
        for name, value in scope["headers"]:
            if name == b"cookie":
                if token is None and prefix in value:
                    token = _value(value, prefix)
            elif name == b"authorization":
                authorization = True
        if token is not None and authorization:
            detail = "The request has a session cookie and an Authorization header: send only one of them."
            raise Problem(400, "ambiguous_credentials", detail)
        return token if token is not None and len(token) == TOKEN_LENGTH else None

    def _cached(self, key: str, now: float) -> _Held | None:
        self._adopt(self._database.revision_now()[:2])
        held = self._cache.get(key)
        return None if held is None or self._ended(held, now) else held

    async def _load(self, key: str) -> _Held | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(_QUERY, {"hash": key})).one()
            revision = (row.auth, row.policy)
            self._adopt(revision)
            if row.status != ACTIVE:
                return None
            held = self._cache.get(key)
            if held is None:
                roles = await self._roles_of(connection, row.user_id)
                actor = Actor(id=row.user_id, username=row.username, display=row.display, roles=roles)
                held = _Held(row.id, actor, row.expires_at.timestamp())
                # Another request may have learnt of a change while this one asked for the roles.
                if self._revision == revision:
                    self._keep(key, held)
            held.seen = max(held.seen, row.last_seen_at.timestamp())
            return held

    def _adopt(self, revision: tuple[int, int]) -> None:
        if revision != self._revision:
            self._cache.clear()
            self._revision = revision

    def _keep(self, key: str, held: _Held) -> None:
        if len(self._cache) >= CACHED:
            del self._cache[next(iter(self._cache))]  # the oldest: dicts keep their order
        self._cache[key] = held

    def _ended(self, held: _Held, now: float) -> bool:
        return now >= held.expires or now - held.seen >= self._idle

    def _note_seen(self, held: _Held, now: float) -> None:
        """Write that the browser is in use, beside the request: it neither waits for this nor fails by it."""
        held.seen = now
        task = asyncio.create_task(self._write_seen(held.session, now))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write_seen(self, session_id: str, now: float) -> None:
        seen = dt.datetime.fromtimestamp(now, dt.UTC)
        statement = update(Session).where(Session.id == session_id, Session.last_seen_at < seen)
        unit = self._database.unit(write=True)
        try:
            await unit.session.execute(statement.values(last_seen_at=seen))
            await unit.commit()
        except SQLAlchemyError as error:
            log.warning("could not write that session %s is in use; trying again later: %s", session_id, error)
        finally:
            await unit.close()


class _Held:
    """A session that has been read: whose it is, when it ends, when it was last seen."""

    __slots__ = ("actor", "expires", "seen", "session")

    def __init__(self, session: str, actor: Actor, expires: float) -> None:
        self.session = session
        self.actor = actor
        self.expires = expires
        self.seen = 0.0


_SECURE: Final = SECURE_NAME.encode() + b"="
_PLAIN: Final = PLAIN_NAME.encode() + b"="


def _value(header: bytes, prefix: bytes) -> bytes | None:
    """Give the value of the first cookie of that name in a Cookie header."""
    for part in header.split(b";"):
        cookie = part.strip()
        if cookie.startswith(prefix):
            return cookie[len(prefix) :]
    return None
