"""One's own sessions: where one is signed in, and signing out from afar."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.audit import Entry, record
from plugin_host.core.api.fresh import require_person
from plugin_host.sdk.context import Actor
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.routing import delete, get

if TYPE_CHECKING:
    from plugin_host.auth.sessions import Sessions
    from plugin_host.auth.tables import Session


class SessionOut(msgspec.Struct, frozen=True):
    """A browser or application that is signed in; `current` is the one that asks."""

    id: str
    kind: str
    current: bool
    created_at: dt.datetime
    last_seen_at: dt.datetime
    expires_at: dt.datetime
    agent: str | None
    address: str | None


class SessionList(msgspec.Struct, frozen=True):
    """All of them: there are few."""

    items: list[SessionOut]
    next: str | None = None


def session_routes(sessions: Sessions) -> list[Any]:
    """Make the handlers of one's own sessions."""

    @get("/auth/sessions", permission="signed-in")
    async def list_sessions(actor: Actor, db: AsyncSession) -> SessionList:
        """List where one is signed in."""
        return SessionList([_show(row, actor) for row in await sessions.of(db, actor.id)])

    @delete("/auth/sessions/{session_id:str}", permission="signed-in")
    async def end_session(session_id: str, actor: Actor, db: AsyncSession) -> None:
        """Sign out there; holds at its next request."""
        require_person(actor)
        if not await sessions.end_own(db, actor.id, session_id):
            raise Problem(404, "not_found", "You have no such session.")
        await record(db, Entry(action="core.session.ended", actor=actor, object=f"session:{session_id}"))

    return [list_sessions, end_session]


def _show(row: Session, actor: Actor) -> SessionOut:
    return SessionOut(
        id=row.id,
        kind=row.kind,
        current=row.id == actor.credential_id,
        created_at=row.created_at,
        last_seen_at=row.last_seen_at,
        expires_at=row.expires_at,
        agent=row.agent,
        address=row.address,
    )
