"""The catalogue in the database: what any plugin ever declared. What nobody declares any more matches nothing.

A plugin that comes back finds its rules and grants as they were. A permission that its plugin calls by another name
now (`formerly` in permissions.json) keeps them under the new one only when an operator agrees: `rename`.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import delete, event, func, insert, or_, select, update
from sqlalchemy.orm import Session

from plugin_host.access.changes import Change, note, write_down
from plugin_host.access.tables import Grant, KnownPermission, RoleMember, StoredRole, StoredRule
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.models import PluginBase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.sdk.manifest import Permission


class Rename(msgspec.Struct, frozen=True):
    """A permission that has another name now, and what still says the old one."""

    old: str
    new: str
    rules: int
    roles: int
    grants: int


async def keep_catalogue(session: AsyncSession, declared: Mapping[str, Iterable[Permission]]) -> None:
    """Write down what the active plugins declare, and which of the rest nobody does now. Writes only what differs."""
    now = dt.datetime.now(dt.UTC)
    known = {row.name: row for row in await session.scalars(select(KnownPermission))}
    wanted = {permission.name: (plugin, permission) for plugin, some in declared.items() for permission in some}
    fresh = [
        {
            "name": name,
            "plugin": plugin,
            "title": permission.title,
            "scope": permission.scope,
            "state": "active",
            "since": now,
        }
        for name, (plugin, permission) in wanted.items()
        if name not in known
    ]
    if fresh:
        await session.execute(insert(KnownPermission), fresh)
    for name, row in known.items():
        state = "active" if name in wanted else "orphaned"
        if row.state != state:
            row.state, row.since = state, now
        if name in wanted and (row.title, row.scope) != (wanted[name][1].title, wanted[name][1].scope):
            row.title, row.scope = wanted[name][1].title, wanted[name][1].scope
    await session.flush()


async def renames(session: AsyncSession, permissions: Sequence[Permission]) -> list[Rename]:
    """Say which permissions have another name now, where something still says the old one."""
    names = {permission.name for permission in permissions}
    found = []
    for permission in permissions:
        for old in permission.formerly:
            if old not in names:
                counted = await _count(session, old)
                if any(counted):
                    found.append(Rename(old, permission.name, *counted))
    return found


async def rename(session: AsyncSession, old: str, permission: Permission, by: str | None) -> Rename:
    """Let rules, roles and grants in this session's database say the new name: the operator has agreed.

    Raises `Problem` 409 `not_renamed` if the permission does not say that it was called so.
    """
    if old not in permission.formerly:
        raise Problem(409, "not_renamed", f"{permission.name} does not say that it was called {old!r} (`formerly`).")
    done = Rename(old, permission.name, *await _count(session, old))
    subjects = (await session.scalars(select(StoredRule.subject).where(StoredRule.permission == old))).all()
    roles = [role for role in await session.scalars(select(StoredRole)) if _says(role, old)]
    changes = [Change("rule", subject, old, before=old, after=permission.name) for subject in sorted(set(subjects))]
    changes += [Change("role", f"role:{role.name}", role.name, before=old, after=permission.name) for role in roles]
    await note(session, by, [*changes, Change("grant", "*", old, before=old, after=permission.name)])
    await session.execute(update(StoredRule).where(StoredRule.permission == old).values(permission=permission.name))
    for role in roles:
        grants: list[dict[str, Any]] = msgspec.json.decode(role.grants)
        said = [{**grant, "permission": permission.name} if grant["permission"] == old else grant for grant in grants]
        role.grants = msgspec.json.encode(said, order="sorted").decode()
    typ, _, act = permission.name.rpartition(".")
    old_typ, _, old_act = old.rpartition(".")
    both = select(Grant).where(Grant.typ == old_typ, Grant.act == old_act)
    for grant in (await session.scalars(both)).all():
        # Not an UPDATE of all: who has both already would have the same twice.
        if await session.get(Grant, (grant.subject, typ, act, grant.effect, grant.object)) is None:
            session.add(Grant(**{**_values(grant), "typ": typ, "act": act}))
        await session.delete(grant)
    await session.execute(delete(KnownPermission).where(KnownPermission.name == old))
    await session.flush()
    return done


def purge(connection: sa.Connection, plugin: str, revision: int, by: str | None) -> None:
    """Take away everything that says a plugin's permissions and roles; the policy revision was raised to `revision`.

    What administrators' roles say of it stays there, and matches nothing.
    """
    prefix = f"{plugin}."

    def ours(column: Any) -> Any:  # not LIKE, which on SQLite does not tell cases apart
        return or_(column == plugin, func.substr(column, 1, len(prefix)) == prefix)

    roles = or_(ours(RoleMember.role), func.substr(RoleMember.subject, 1, len(prefix) + 5) == f"role:{prefix}")
    links = connection.execute(select(RoleMember.subject, RoleMember.role).where(roles)).all()
    rules = connection.execute(
        select(StoredRule.subject, StoredRule.id, StoredRule.permission).where(ours(StoredRule.permission))
    ).all()
    changes = [
        *(Change("member" if who.startswith("user:") else "link", who, role, before=role) for who, role in links),
        *(Change("rule", who, id_, before=permission) for who, id_, permission in rules),
        Change("grant", "*", f"{plugin}:*", before=plugin),
    ]
    write_down(connection, revision, by, changes)
    connection.execute(delete(RoleMember).where(roles))
    connection.execute(delete(StoredRule).where(ours(StoredRule.permission)))
    connection.execute(delete(Grant).where(ours(Grant.typ)))
    connection.execute(delete(KnownPermission).where(KnownPermission.plugin == plugin))


@event.listens_for(Session, "after_flush")
def _forget_deleted(session: Session, _context: object) -> None:
    """Drop the grants on rows that are deleted, in the same transaction: nothing can come back under their ids."""
    gone: dict[str, list[str]] = {}
    for row in session.deleted:
        kind = getattr(type(row), "__object__", None)
        if kind is not None and isinstance(row, PluginBase) and isinstance(id_ := getattr(row, "id", None), str):
            gone.setdefault(kind, []).append(id_)
    for kind, ids in gone.items():
        for start in range(0, len(ids), 500):
            some = ids[start : start + 500]
            session.connection().execute(
                delete(Grant.__table__).where(Grant.typ == kind, Grant.object.in_(some))  # type: ignore[arg-type]
            )


async def _count(session: AsyncSession, name: str) -> tuple[int, int, int]:
    typ, _, act = name.rpartition(".")
    rules = select(func.count()).select_from(StoredRule).where(StoredRule.permission == name)
    grants = select(func.count()).select_from(Grant).where(Grant.typ == typ, Grant.act == act)
    roles = sum(_says(role, name) for role in await session.scalars(select(StoredRole)))
    return await session.scalar(rules) or 0, roles, await session.scalar(grants) or 0


def _says(role: StoredRole, name: str) -> bool:
    return any(grant["permission"] == name for grant in msgspec.json.decode(role.grants))


def _values(grant: Grant) -> dict[str, Any]:
    return {
        "subject": grant.subject,
        "effect": grant.effect,
        "object": grant.object,
        "until": grant.until,
        "given_by": grant.given_by,
        "given_at": grant.given_at,
    }
