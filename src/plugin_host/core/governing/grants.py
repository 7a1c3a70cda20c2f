"""Grants on single objects, which lie beside the objects: in the database of the plugin that owns them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType

from plugin_host.access.checks import check_object, check_permission
from plugin_host.access.grants import change_grant, find_grant, give, take
from plugin_host.audit import Entry, record
from plugin_host.core.governing.authority import beyond
from plugin_host.core.governing.checking import check_somebody
from plugin_host.core.governing.shapes import Effect, GrantOut
from plugin_host.sdk.errors import FieldError, Problem

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.access.tables import Grant
    from plugin_host.core.governing.authority import Authority
    from plugin_host.sdk.context import Access


class GrantIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new grant of a permission of object scope on one object; `until` is when it ends, with its zone."""

    subject: str
    permission: str
    object: str
    effect: Effect = "allow"
    until: dt.datetime | None = None


class GrantChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different; what is left out stays. `until` null: it does not end."""

    effect: Effect | UnsetType = UNSET
    until: dt.datetime | UnsetType | None = UNSET


def grant_out(grant: Grant) -> GrantOut:
    """Give a grant as it is shown."""
    effect: Any = grant.effect
    return GrantOut(
        id=grant.id,
        subject=grant.subject,
        permission=grant.permission,
        object=grant.object,
        effect=effect,
        until=grant.until,
        given_by=grant.given_by,
        given_at=grant.given_at,
    )


class Place:
    """Where the objects of one plugin lie: its session, and the decisions there of whoever makes the change."""

    def __init__(self, db: AsyncSession, access: Access) -> None:
        self.db = db
        self.access = access


async def make_grant(authority: Authority, place: Place, data: GrantIn) -> GrantOut:
    """Give, or deny, a permission on one object that its giver holds there."""
    catalogue = authority.ground.catalogue
    await check_somebody(authority.db, authority.ground, data.subject)
    check_permission(data.permission, catalogue, objects=True)
    check_object(data.object)
    until = _check_until(data.until)
    await _require(authority, place, data.permission, data.object, must_exist=True)
    grant = await give(
        place.db, data.subject, data.permission, data.object, authority.by, effect=data.effect, until=until
    )
    made = grant_out(grant)
    await _record(authority, "created", made.id, None, made)
    return made


async def edit_grant(authority: Authority, place: Place, grant_id: str, data: GrantChange) -> GrantOut:
    """Change a grant of what one holds on that object."""
    before = grant_out(await find_grant(place.db, grant_id))
    until = UNSET if data.until is UNSET else _check_until(data.until)
    await _require(authority, place, before.permission, before.object)
    after = grant_out(await change_grant(place.db, grant_id, authority.by, effect=data.effect, until=until))
    await _record(authority, "changed", grant_id, before, after)
    return after


async def drop_grant(authority: Authority, place: Place, grant_id: str) -> None:
    """Take a grant back of what one holds on that object."""
    before = grant_out(await find_grant(place.db, grant_id))
    await _require(authority, place, before.permission, before.object)
    await take(place.db, grant_id, authority.by)
    await _record(authority, "deleted", grant_id, before, None)


async def _require(
    authority: Authority, place: Place, permission: str, object_id: str, *, must_exist: bool = False
) -> None:
    """Go on only if whoever makes the change holds the permission on the object; one that is gone anybody may clear."""
    if permission not in authority.ground.catalogue:
        return  # its plugin is not active: nobody holds it, and it gives nothing
    kind = permission.rpartition(".")[0]
    model = authority.ground.objects.get(kind)
    if model is None:
        detail = f"no active plugin has objects of the kind {kind!r} that could be given"
        raise Problem(422, "invalid", f"permission: {detail}", errors=[FieldError("/permission", detail)])
    row = await place.db.get(model, object_id)
    if row is None:
        if must_exist:
            detail = f"there is no {kind} with the id {object_id!r}"
            raise Problem(422, "invalid", f"object: {detail}", errors=[FieldError("/object", detail)])
        return
    if authority.actor.kind != "system" and not await place.access.can(permission, row):
        raise beyond([permission])


def _check_until(until: dt.datetime | None) -> dt.datetime | None:
    if until is None:
        return None
    detail = ""
    if until.tzinfo is None:
        detail = "a moment has a zone, as in 2027-01-31T12:00:00Z"
    elif until <= dt.datetime.now(dt.UTC):
        detail = "this moment has passed"
    if detail:
        raise Problem(422, "invalid", f"until: {detail}", errors=[FieldError("/until", detail)])
    return until.astimezone(dt.UTC)


async def _record(
    authority: Authority, verb: str, grant_id: str, before: GrantOut | None, after: GrantOut | None
) -> None:
    detail = {"before": msgspec.to_builtins(before), "after": msgspec.to_builtins(after)}
    entry = Entry(action=f"core.grant.{verb}", actor=authority.actor, object=f"grant:{grant_id}", detail=detail)
    await record(authority.db, entry)
