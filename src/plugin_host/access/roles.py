"""Roles that administrators make: bundles of permissions of any plugin. Those of plugins come from their files."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import delete, select

from plugin_host.access.changes import Change, note
from plugin_host.access.members import forget_subject
from plugin_host.access.tables import RoleMember, StoredRole
from plugin_host.sdk.errors import FieldError, Problem
from plugin_host.sdk.manifest import Role, RoleGrant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession


async def create_role(
    session: AsyncSession,
    name: str,
    title: str,
    grants: Sequence[RoleGrant],
    by: str | None,
    description: str = "",
) -> StoredRole:
    """Make a role. Whether its name may be and its permissions exist is checked before (`checks`).

    Raises `Problem` 409 `role_exists`.
    """
    # First: its lock makes two who make the same role wait in line.
    await note(session, by, [Change("role", f"role:{name}", name, after=_said(title, description, grants))])
    if await session.get(StoredRole, name) is not None:
        detail = f"there is a role {name!r} already"
        raise Problem(409, "role_exists", detail, errors=[FieldError("/name", detail)])
    role = StoredRole(
        name=name,
        title=title,
        description=description,
        grants=_text(grants),
        created_at=dt.datetime.now(dt.UTC),
        created_by=by,
    )
    session.add(role)
    await session.flush()
    return role


async def change_role(
    session: AsyncSession,
    name: str,
    by: str | None,
    *,
    title: str | msgspec.UnsetType = msgspec.UNSET,
    description: str | msgspec.UnsetType = msgspec.UNSET,
    grants: Sequence[RoleGrant] | msgspec.UnsetType = msgspec.UNSET,
) -> StoredRole:
    """Change what is not UNSET; everybody who has the role has it so from the next request on. Raises `Problem` 404."""
    role = await find_role(session, name)
    before = _said(role.title, role.description, grants_of(role))
    if title is not msgspec.UNSET:
        role.title = title
    if description is not msgspec.UNSET:
        role.description = description
    if grants is not msgspec.UNSET:
        role.grants = _text(grants)
    after = _said(role.title, role.description, grants_of(role))
    await note(session, by, [Change("role", f"role:{name}", name, before, after)])
    await session.flush()
    return role


async def delete_role(session: AsyncSession, name: str, by: str | None) -> None:
    """Remove a role: from everybody who has it, with its rules and grants. Raises `Problem` 404."""
    role = await find_role(session, name)
    had = (await session.scalars(select(RoleMember.subject).where(RoleMember.role == name))).all()
    changes = [Change("role", f"role:{name}", name, before=_said(role.title, role.description, grants_of(role)))]
    changes += [Change(_kind(subject), subject, name, before=name) for subject in had]
    await note(session, by, changes)
    await session.execute(delete(RoleMember).where(RoleMember.role == name))
    await forget_subject(session, f"role:{name}", by)
    await session.delete(role)
    await session.flush()


async def find_role(session: AsyncSession, name: str) -> StoredRole:
    """Give an administrators' role. Raises `Problem` 404."""
    role = await session.get(StoredRole, name)
    if role is None:
        raise Problem(
            404, "not_found", "There is no such role, or a plugin brings it: those are changed with the plugin."
        )
    return role


def grants_of(role: StoredRole) -> tuple[RoleGrant, ...]:
    """Give the grants of a stored role."""
    return msgspec.json.decode(role.grants, type=tuple[RoleGrant, ...])


def as_role(role: StoredRole) -> Role:
    """Give a stored role as a plugin would declare it."""
    return Role(name=role.name, title=role.title, description=role.description, grants=grants_of(role))


def _text(grants: Sequence[RoleGrant]) -> str:
    return msgspec.json.encode(_plain(grants), order="sorted").decode()


def _plain(grants: Sequence[RoleGrant]) -> list[dict[str, Any]]:
    return [
        {"permission": grant.permission, **({} if grant.where is None else {"where": grant.where})} for grant in grants
    ]


def _said(title: str, description: str, grants: Sequence[RoleGrant]) -> dict[str, Any]:
    return {"title": title, "description": description, "grants": _plain(grants)}


def _kind(subject: str) -> str:
    return "member" if subject.startswith("user:") else "link"
