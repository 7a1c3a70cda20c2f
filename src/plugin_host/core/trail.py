"""Reading the audit log, for the API and the commands."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import or_, select

from plugin_host.audit.tables import AuditEntry, AuditRefusal
from plugin_host.sdk.listing import Page

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.sdk.listing import Listing

MOST_REFUSALS: Final = 1000


class EntryOut(msgspec.Struct, frozen=True):
    """Who did what to what, for whom, and how it went.

    `kind` of the actor is `user`, `system` (a command, the host itself), `anonymous` and so on; `via` are the plugins
    on whose behalf it was done, outermost first; `request` is the id that the answer's `X-Request-Id` said;
    `position` is the place in the chain, null for the seconds until the entry is sealed.
    """

    id: str
    at: dt.datetime
    actor: str
    kind: str
    username: str
    via: list[str]
    plugin: str
    action: str
    object: str | None
    outcome: str
    detail: dict[str, Any]
    request: str | None
    position: int | None


class RefusalOut(msgspec.Struct, frozen=True):
    """How often nobody in particular was refused something in one hour."""

    hour: dt.datetime
    action: str
    code: str
    count: int


class Wanted(msgspec.Struct, frozen=True):
    """Which entries: all of what is given must hold.

    `actor` is an id or a user name, `plugin` whose action it is or on whose behalf it was done; `action` may end in
    `.*`; `since` is included, `until` is not.
    """

    actor: str | None = None
    plugin: str | None = None
    action: str | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None

    def select(self) -> Select[AuditEntry]:
        """Select them."""
        statement = select(AuditEntry)
        if self.actor is not None:
            statement = statement.where(or_(AuditEntry.actor == self.actor, AuditEntry.username == self.actor))
        if self.plugin is not None:
            among = ("," + AuditEntry.via + ",").contains(f",{self.plugin},", autoescape=True)
            statement = statement.where(or_(AuditEntry.plugin == self.plugin, among))
        if self.action is not None and self.action.endswith(".*"):
            statement = statement.where(AuditEntry.action.startswith(self.action[:-1], autoescape=True))
        elif self.action is not None:
            statement = statement.where(AuditEntry.action == self.action)
        if self.since is not None:
            statement = statement.where(AuditEntry.at >= _moment(self.since))
        if self.until is not None:
            statement = statement.where(AuditEntry.at < _moment(self.until))
        return statement


async def list_entries(db: AsyncSession, listing: Listing, wanted: Wanted) -> Page[EntryOut]:
    """Give a page of entries, the newest first unless the listing says otherwise. Raises `Problem` 422."""
    for said in (wanted.actor, wanted.plugin, wanted.action):
        if said is not None and "\0" in said:
            return Page([], None)  # PostgreSQL cannot even be asked, and there is no such entry
    rows, more = await listing.rows(
        db,
        wanted.select(),
        search=[AuditEntry.username, AuditEntry.action, AuditEntry.object],
        sort=[AuditEntry.at, AuditEntry.action, AuditEntry.username],
        filters=[AuditEntry.kind, AuditEntry.object, AuditEntry.outcome, AuditEntry.request],
        default="-at",
    )
    return Page([_show(row) for row in rows], more)


async def list_refusals(db: AsyncSession, since: dt.datetime | None = None) -> Page[RefusalOut]:
    """Give the counters of refusals, the newest hour first."""
    statement = select(AuditRefusal).order_by(AuditRefusal.hour.desc(), AuditRefusal.action, AuditRefusal.code)
    if since is not None:
        statement = statement.where(AuditRefusal.hour >= _moment(since))
    rows = (await db.scalars(statement.limit(MOST_REFUSALS))).all()
    return Page([RefusalOut(row.hour, row.action, row.code, row.count) for row in rows], None)


def _show(row: AuditEntry) -> EntryOut:
    return EntryOut(
        id=row.id,
        at=row.at,
        actor=row.actor,
        kind=row.kind,
        username=row.username,
        via=row.via.split(",") if row.via else [],
        plugin=row.plugin,
        action=row.action,
        object=row.object,
        outcome=row.outcome,
        detail=msgspec.json.decode(row.detail),
        request=row.request,
        position=row.position,
    )


def _moment(said: dt.datetime) -> dt.datetime:
    """Take a moment without a zone for UTC."""
    return said if said.tzinfo is not None else said.replace(tzinfo=dt.UTC)
