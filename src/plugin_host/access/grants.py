"""Grants on single objects, kept beside the objects: the session says in which database.

A grant is of an action on one object to a user, a group or a role; a denying one beats whatever allows. Actions
that come with the action (`implies`) are not written: they are looked up with it, so that a plugin may change them.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec
from sqlalchemy import CursorResult, delete, or_, select

from plugin_host.access.changes import Change, note
from plugin_host.access.tables import Grant
from plugin_host.sdk.errors import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.ext.asyncio import AsyncSession

Effect = Literal["allow", "deny"]

_AT_ONCE = 500


async def give(  # noqa: PLR0913 - who, what, of which object, by whom, how and how long
    session: AsyncSession,
    subject: str,
    permission: str,
    object: str,  # noqa: A002 - the contract's word
    by: str | None,
    *,
    effect: Effect = "allow",
    until: dt.datetime | None = None,
) -> Grant:
    """Give a permission on one object, until a moment or for good. Given again, the moment is the new one."""
    typ, _, act = permission.rpartition(".")
    revision_key = subject, typ, act, effect, object
    # First: its lock makes two who give the same wait in line.
    after = {"permission": permission, "effect": effect, "until": until}
    await note(session, by, [Change("grant", subject, _key(typ, object), after=after)])
    grant = await session.get(Grant, revision_key)
    if grant is None:
        grant = Grant(subject=subject, typ=typ, act=act, effect=effect, object=object)
        session.add(grant)
    grant.until, grant.given_by, grant.given_at = until, by, dt.datetime.now(dt.UTC)
    await session.flush()
    return grant


async def find_grant(session: AsyncSession, grant_id: str) -> Grant:
    """Give a grant. Raises `Problem` 404."""
    grant = await session.scalar(select(Grant).where(Grant.id == grant_id))
    if grant is None:
        raise Problem(404, "not_found", "There is no such grant.")
    return grant


async def change_grant(
    session: AsyncSession,
    grant_id: str,
    by: str | None,
    *,
    effect: Effect | msgspec.UnsetType = msgspec.UNSET,
    until: dt.datetime | msgspec.UnsetType | None = msgspec.UNSET,
) -> Grant:
    """Change what is not UNSET. Raises `Problem` 404, 409 `grant_exists` if the other effect is given already."""
    grant = await find_grant(session, grant_id)
    before = _said(grant)
    if effect is not msgspec.UNSET and effect != grant.effect:
        if await session.get(Grant, (grant.subject, grant.typ, grant.act, effect, grant.object)) is not None:
            detail = f"there is a grant with effect {effect!r} already: change that one"
            raise Problem(409, "grant_exists", detail, errors=[FieldError("/effect", detail)])
        grant.effect = effect
    if until is not msgspec.UNSET:
        grant.until = until
    await note(session, by, [Change("grant", grant.subject, _key(grant.typ, grant.object), before, _said(grant))])
    await session.flush()
    return grant


async def take(session: AsyncSession, grant_id: str, by: str | None) -> None:
    """Take a grant back. Raises `Problem` 404."""
    grant = await find_grant(session, grant_id)
    await note(session, by, [Change("grant", grant.subject, _key(grant.typ, grant.object), before=_said(grant))])
    await session.delete(grant)
    await session.flush()


async def take_back(
    session: AsyncSession,
    subject: str,
    typ: str,
    object: str,  # noqa: A002 - the contract's word
    acts: Collection[str],
    by: str | None,
) -> int:
    """Take back what somebody was given on one object, of these actions; gives how many grants there were."""
    await note(session, by, [Change("grant", subject, _key(typ, object), before={"actions": sorted(acts)})])
    gone = delete(Grant).where(
        Grant.subject == subject,
        Grant.typ == typ,
        Grant.object == object,
        Grant.act.in_(sorted(acts)),
        Grant.effect == "allow",
    )
    return _count(await session.execute(gone))


async def grants_on(
    session: AsyncSession,
    subjects: Collection[str],
    typ: str,
    object: str,  # noqa: A002 - the contract's word
) -> list[Grant]:
    """Give the grants of these subjects on one object, as this transaction sees it, without those that have ended."""
    names, now, found = sorted(subjects), dt.datetime.now(dt.UTC), list[Grant]()
    for start in range(0, len(names), _AT_ONCE):
        some = names[start : start + _AT_ONCE]
        asked = select(Grant).where(Grant.typ == typ, Grant.object == object, Grant.subject.in_(some))
        found += (await session.scalars(asked.where(or_(Grant.until.is_(None), Grant.until > now)))).all()
    return found


async def forget_objects(session: AsyncSession, typ: str, objects: Collection[str], by: str | None = None) -> int:
    """Drop the grants on objects that are being deleted, in the same transaction; gives how many there were."""
    count, ids = 0, sorted(objects)
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        count += _count(await session.execute(delete(Grant).where(Grant.typ == typ, Grant.object.in_(some))))
    if count:
        await note(session, by, [Change("grant", "*", _key(typ, "*"), before={"objects": len(ids)})])
    return count


async def sweep(session: AsyncSession, now: dt.datetime) -> int:
    """Remove grants that have ended: they match nobody any more, so nothing that is remembered becomes wrong."""
    return _count(await session.execute(delete(Grant).where(Grant.until <= now)))


def _said(grant: Grant) -> dict[str, object]:
    return {"permission": grant.permission, "effect": grant.effect, "until": grant.until}


def _key(typ: str, object: str) -> str:  # noqa: A002 - the contract's word
    return f"{typ}:{object}"


def _count(result: object) -> int:
    return cast("CursorResult[Any]", result).rowcount
