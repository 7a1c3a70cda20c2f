"""From a request to its actor, at every request: credential, hash, cached row, one read of the revision row.

1. The session cookie or the bearer token is cut out of the headers; without one nobody asks, and nothing is read.
2. The revision row tells whether a sign-in or a role changed since the cache was filled, in whichever
   process; then the cache is void. SQLite: one read of a few microseconds. PostgreSQL: it comes with the
   row of the session or token, in one query.
3. Idle and absolute end are checked against the cached row; what seems to have ended is read again, since
   another process may have seen the browser later.

An access token is verified first and then names its session; a personal or service token has a row of its own.
So every credential ends at a row, and what revokes it is seen at the next request.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, column, select, table, update
from sqlalchemy.exc import SQLAlchemyError

from plugin_host.auth import api_tokens
from plugin_host.auth.credentials import ACCESS, PERSONAL, SERVICE, SESSION_COOKIE, Presented, present
from plugin_host.auth.people import ACTIVE
from plugin_host.auth.sessions import APP, APP_IDLE, BROWSER, IDLE, digest
from plugin_host.auth.tables import Session, Token, User
from plugin_host.database import Revision
from plugin_host.sdk.context import ANONYMOUS, Actor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from plugin_host.auth.access_tokens import AccessTokens, Verified
    from plugin_host.database import Database

log = logging.getLogger("plugin_host.auth")

SEEN_EVERY: Final = 300.0
CACHED: Final = 10_000
SESSION: Final = "plugin_host.session"
EXPIRED: Final = "plugin_host.session_expired"
AGAIN: Final = "plugin_host.again"  # the gate judges what is open again: nobody has sent anything
INVALID: Final = "plugin_host.invalid_token"
HAS_FACTOR: Final = "plugin_host.has_factor"
REVISION: Final = "plugin_host.revision"
"""Where the revision is left that was read with the credential's row."""

_REVISION: Final = table("core_revision", column("id"), column("auth"), column("policy"), column("wishes"))
_USER: Final = (User.id.label("user_id"), User.username, User.display, User.status, User.mfa)


def _session_query(found: ColumnElement[bool]) -> Select[Any]:
    # Seen from the revision row, so that there is always an answer: the session and its user may be missing.
    return (
        select(
            *_REVISION.c["auth", "policy", "wishes"],
            Session.id,
            Session.last_seen_at.label("seen"),
            Session.expires_at,
            Session.authenticated_at,
            Session.created_at,
            *_USER,
        )
        .select_from(_REVISION)
        .outerjoin(Session, found)
        .outerjoin(User, User.id == Session.user_id)
        .where(_REVISION.c.id == 1)
    )


_BROWSER: Final = _session_query((Session.hash == bindparam("key")) & (Session.kind == BROWSER))
_APP: Final = _session_query((Session.id == bindparam("key")) & (Session.kind == APP))
_TOKEN: Final = (
    select(
        *_REVISION.c["auth", "policy", "wishes"],
        Token.id,
        Token.last_used_at.label("seen"),
        Token.expires_at,
        Token.kind,
        Token.scopes,
        *_USER,
    )
    .select_from(_REVISION)
    .outerjoin(Token, Token.hash == bindparam("key"))
    .outerjoin(User, User.id == Token.user_id)
    .where(_REVISION.c.id == 1)
)
_QUERIES: Final = {SESSION_COOKIE: _BROWSER, ACCESS: _APP, PERSONAL: _TOKEN, SERVICE: _TOKEN}


class Principals:
    """Resolves requests to actors; the only reader of session cookies and bearer tokens.

    `memberships_of` gives the roles and the groups of a user id. `idle` and `https` are those of `Sessions`,
    `app_idle` those of refresh tokens.  `close` waits for what is still being written.
    """

    def __init__(  # noqa: PLR0913 - what the settings say, one by one
        self,
        database: Database,
        *,
        memberships_of: Callable[[AsyncConnection, str], Awaitable[tuple[tuple[str, ...], tuple[str, ...]]]],
        access_tokens: AccessTokens | None = None,
        idle: dt.timedelta = IDLE,
        app_idle: dt.timedelta = APP_IDLE,
        https: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._memberships_of = memberships_of
        self._tokens = access_tokens
        self._idle = idle.total_seconds()
        self._app_idle = app_idle.total_seconds()
        # A short idle time must not pass between two writes of a browser that is in use.
        self._seen_every = min(SEEN_EVERY, self._idle / 10)
        self._https = https
        self._clock = clock
        self._local = database.dialect == "sqlite"
        # One statement needs no transaction: two round trips less. SQLite's recipe forbids to change the mode.
        self._engine = (
            database.engine if self._local else database.engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        self._revision = Revision(0, 0, 0)
        self._cache: dict[str, _Held] = {}
        self._writing: set[asyncio.Task[None]] = set()

    async def resolve(self, scope: MutableMapping[str, Any]) -> Actor:
        """Give the actor of an HTTP or WebSocket scope, `ANONYMOUS` if there is no credential that holds.

        Sets `scope["plugin_host.session"]` to the session's id, or `scope["plugin_host.session_expired"]` if
        there was one that ended by time, or `scope["plugin_host.invalid_token"]` if a bearer token is none of ours.
        Raises `Problem` 400 `ambiguous_credentials` when an Authorization header comes with the cookie: nobody
        could tell who is meant.
        """
        shown = present(scope, https=self._https)
        if shown is None:
            return ANONYMOUS
        now = self._clock()
        key = digest(shown.value)
        held = self._cached(key, scope) if self._local else None
        if held is None or held.ended(now):
            held = await self._look_up(shown, key, scope)
            if held is None:
                if shown.kind != SESSION_COOKIE:
                    scope[INVALID] = True
                return ANONYMOUS
            if held.ended(now):
                self._cache.pop(key, None)
                scope[EXPIRED] = True
                return ANONYMOUS
        if now - held.seen >= self._seen_every and held.table is not None and AGAIN not in scope:
            self._note_seen(held, now)
        scope[HAS_FACTOR] = held.has_factor
        if held.session is not None:
            scope[SESSION] = held.session
        return held.actor

    async def close(self) -> None:
        """Wait for what is being written."""
        while self._writing:
            await asyncio.gather(*self._writing)

    def _cached(self, key: str, scope: MutableMapping[str, Any]) -> _Held | None:
        revision = self._database.revision_now()
        self._adopt(revision)
        scope[REVISION] = revision
        return self._cache.get(key)

    async def _look_up(self, shown: Presented, key: str, scope: MutableMapping[str, Any]) -> _Held | None:
        """Read a credential's row; an access token is verified before, and again if the keys have changed meanwhile."""
        if shown.kind != ACCESS:
            if shown.kind != SESSION_COOKIE and not api_tokens.is_well_formed(shown.value):
                return None  # mistyped or made up: not worth a query
            return await self._load(shown.kind, key, key, None, scope)
        tokens = self._tokens
        if tokens is None:
            return None
        if self._local:
            await tokens.ring.follow(self._revision.auth)
        verified = tokens.verify(shown.value, key)
        if verified is None and not self._local and tokens.may_be_ours(shown.value) and await tokens.ring.follow():
            verified = tokens.verify(shown.value, key)
        if verified is None:
            return None
        held = await self._load(ACCESS, key, verified.session_id, verified, scope)
        if held is not None and not self._local and await tokens.ring.follow(self._revision.auth):
            return held if tokens.verify(shown.value, key) is not None else None
        return held

    async def _load(
        self, kind: str, key: str, row_key: str, verified: Verified | None, scope: MutableMapping[str, Any]
    ) -> _Held | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(_QUERIES[kind], {"key": row_key})).one()
            revision = Revision(row.auth, row.policy, row.wishes)
            scope[REVISION] = revision
            self._adopt(revision)
            if row.status != ACTIVE or (verified is not None and verified.user_id != row.user_id):
                self._cache.pop(key, None)
                return None
            held = self._cache.get(key)
            if held is None:
                roles, groups = await self._memberships_of(connection, row.user_id)
                held = self._make(kind, row, verified, roles, groups)
                # Another request may have learnt of a change while this one asked for the roles.
                if self._revision[:2] == revision[:2]:
                    self._keep(key, held)
            if row.seen is not None:
                held.seen = max(held.seen, row.seen.timestamp())
            return held

    def _make(
        self, kind: str, row: Any, verified: Verified | None, roles: tuple[str, ...], groups: tuple[str, ...]
    ) -> _Held:
        is_token = kind in (PERSONAL, SERVICE)
        credential: Any = row.kind if is_token else kind
        proved = None if is_token else (row.authenticated_at or row.created_at).timestamp()
        actor = Actor(
            id=row.user_id,
            username=row.username,
            display=row.display,
            roles=roles,
            groups=groups,
            credential=credential,
            credential_id=row.id,
            scopes=api_tokens.scopes_of(row.scopes) if is_token else None,
            authenticated_at=proved,
        )
        expires = row.expires_at.timestamp()
        if verified is not None:
            expires = min(expires, verified.expires)
        idle = {SESSION_COOKIE: self._idle, ACCESS: self._app_idle}.get(kind)
        # An application's use is written when it refreshes.
        written: Any = {SESSION_COOKIE: Session, PERSONAL: Token, SERVICE: Token}.get(kind)
        return _Held(row.id, actor, expires, idle, written, has_factor=row.mfa)

    def _adopt(self, revision: Revision) -> None:
        if revision[:2] != self._revision[:2]:
            self._cache.clear()
        self._revision = revision

    def _keep(self, key: str, held: _Held) -> None:
        if len(self._cache) >= CACHED:
            del self._cache[next(iter(self._cache))]  # the oldest: dicts keep their order
        self._cache[key] = held

    def _note_seen(self, held: _Held, now: float) -> None:
        """Write that the credential is in use, beside the request: it neither waits for this nor fails by it."""
        held.seen = now
        task = asyncio.create_task(self._write_seen(held, now))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _write_seen(self, held: _Held, now: float) -> None:
        seen = dt.datetime.fromtimestamp(now, dt.UTC)
        if held.table is Token:
            unused = Token.last_used_at.is_(None) | (Token.last_used_at < seen)
            statement = update(Token).where(Token.id == held.id, unused).values(last_used_at=seen)
        else:
            statement = update(Session).where(Session.id == held.id, Session.last_seen_at < seen)
            statement = statement.values(last_seen_at=seen)
        unit = self._database.unit(write=True)
        try:
            await unit.session.execute(statement)
            await unit.commit()
        except SQLAlchemyError as error:
            what = "token" if held.table is Token else "session"
            log.warning("could not write that %s %s is in use; trying again later: %s", what, held.id, error)
        finally:
            await unit.close()


class _Held:
    """A credential that has been read: whose it is, when it ends, when it was last seen; `table` is its row's."""

    __slots__ = ("actor", "expires", "has_factor", "id", "idle", "seen", "table")

    def __init__(
        self,
        id: str,  # noqa: A002 - as the column
        actor: Actor,
        expires: float,
        idle: float | None,
        table: type[Session | Token] | None,
        *,
        has_factor: bool,
    ) -> None:
        self.id = id
        self.actor = actor
        self.expires = expires
        self.idle = idle
        self.table = table
        self.has_factor = has_factor
        self.seen = 0.0

    @property
    def session(self) -> str | None:
        """The id of the session, if it is one."""
        return self.id if self.idle is not None else None

    def ended(self, now: float) -> bool:
        """Tell whether it has ended by time."""
        return now >= self.expires or (self.idle is not None and now - self.seen >= self.idle)
