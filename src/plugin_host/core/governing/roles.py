"""Administrators' roles, and which roles somebody has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import select

from plugin_host.access.compiling import compile_rules
from plugin_host.access.members import roles_of_subject, set_subject_roles
from plugin_host.access.roles import as_role, change_role, create_role, delete_role, find_role
from plugin_host.access.tables import RoleMember, StoredRole
from plugin_host.audit import Entry, record
from plugin_host.core.governing.checking import (
    MAX_DESCRIPTION,
    MAX_TITLE,
    check_role_grants,
    check_role_name,
    check_roles,
    check_text,
)
from plugin_host.core.governing.shapes import RoleGrantIn, RoleGrantOut, RoleOut
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.manifest import Role, RoleGrant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.core.governing.authority import Authority
    from plugin_host.core.governing.ground import Ground


class RoleIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new role; its title is its name unless it says otherwise."""

    name: str
    title: str = ""
    description: str = ""
    grants: list[RoleGrantIn] = []
    includes: list[str] = []


class RoleChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different; what is left out stays."""

    title: str | UnsetType = UNSET
    description: str | UnsetType = UNSET
    grants: list[RoleGrantIn] | UnsetType = UNSET
    includes: list[str] | UnsetType = UNSET


async def all_roles(db: AsyncSession, ground: Ground) -> list[RoleOut]:
    """Give every role: those of the active plugins, and the administrators' own."""
    included: dict[str, list[str]] = {}
    links = select(RoleMember.subject, RoleMember.role).where(RoleMember.subject.startswith("role:"))
    for subject, role in await db.execute(links):
        included.setdefault(subject.removeprefix("role:"), []).append(role)
    stored = (await db.scalars(select(StoredRole).order_by(StoredRole.name))).all()
    return [
        *(_out(role, ground.plugins[name], included.get(name, ())) for name, role in ground.roles.items()),
        *(_out(as_role(role), None, included.get(role.name, ())) for role in stored),
    ]


async def show_role(db: AsyncSession, ground: Ground, name: str) -> RoleOut:
    """Give one role. Raises `Problem` 404."""
    includes = await roles_of_subject(db, f"role:{name}")
    if name in ground.roles:
        return _out(ground.roles[name], ground.plugins[name], includes)
    stored = await db.get(StoredRole, name)
    if stored is None:
        raise Problem(404, "not_found", f"There is no role {name[:200]!r}.")
    return _out(as_role(stored), None, includes)


async def add_role(authority: Authority, data: RoleIn) -> RoleOut:
    """Make a role that gives what its maker holds."""
    db, ground = authority.db, authority.ground
    name = check_role_name(data.name)
    title = check_text(data.title.strip() or name, "/title", MAX_TITLE)
    description = check_text(data.description, "/description", MAX_DESCRIPTION)
    grants = check_role_grants(data.grants, ground)
    _require_grants(authority, name, grants)
    await create_role(db, name, title, grants, authority.by, description)
    await _include(authority, name, data.includes)
    made = await show_role(db, ground, name)
    await _record(authority, "created", name, None, made)
    return made


async def edit_role(authority: Authority, name: str, data: RoleChange) -> RoleOut:
    """Change an administrator's role; what is added its changer must hold, and what is taken out as well."""
    db, ground = authority.db, authority.ground
    _refuse_plugins(ground, name)
    before = await show_role(db, ground, name)
    grants: list[RoleGrant] | UnsetType = UNSET
    if data.grants is not UNSET:
        grants = check_role_grants(data.grants, ground)
        had = list(as_role(await find_role(db, name)).grants)
        _require_grants(authority, name, _difference(grants, had))
        _require_grants(authority, name, [each for each in _difference(had, grants) if _is_known(ground, each)])
    title = data.title if data.title is UNSET else check_text(data.title.strip() or name, "/title", MAX_TITLE)
    said = data.description
    description = said if said is UNSET else check_text(said, "/description", MAX_DESCRIPTION)
    await change_role(db, name, authority.by, title=title, description=description, grants=grants)
    if data.includes is not UNSET:
        await _include(authority, name, data.includes)
    after = await show_role(db, ground, name)
    await _record(authority, "changed", name, before, after)
    return after


async def drop_role(authority: Authority, name: str) -> None:
    """Delete an administrator's role, from everybody who has it."""
    _refuse_plugins(authority.ground, name)
    before = await show_role(authority.db, authority.ground, name)
    authority.require_subjects([f"role:{name}"])
    await delete_role(authority.db, name, authority.by)
    await _record(authority, "deleted", name, before, None)


async def give_roles(authority: Authority, subject: str, wanted: Sequence[str], pointer: str = "/roles") -> list[str]:
    """Let a person, a group or a role have exactly these roles; gives them. Who exists is the caller's to check.

    What is given, and what is taken, whoever does it must hold. The caller writes down what it was about.
    """
    db = authority.db
    had = await roles_of_subject(db, subject)
    roles = await check_roles(db, authority.ground, wanted, had, pointer)
    changed = set(roles) ^ set(had)
    authority.require_roles(sorted(changed))
    if changed:
        await set_subject_roles(db, subject, roles, authority.by)
    return sorted(roles)


async def _include(authority: Authority, name: str, includes: Sequence[str]) -> None:
    if includes or await roles_of_subject(authority.db, f"role:{name}"):
        await give_roles(authority, f"role:{name}", includes, "/includes")


def _refuse_plugins(ground: Ground, name: str) -> None:
    if name in ground.roles:
        detail = (
            f"{name} is a role of the plugin {ground.plugins[name]}: it changes with the plugin. Make a role of your "
            "own that includes it, or a rule that denies what it gives too much."
        )
        raise Problem(409, "role_of_plugin", detail)


def _require_grants(authority: Authority, name: str, grants: Iterable[RoleGrant]) -> None:
    role = Role(name=name, title=name, grants=tuple(grants))
    authority.require_rules(compile_rules(authority.ground.catalogue, [role]))


def _difference(these: Iterable[RoleGrant], those: Sequence[RoleGrant]) -> list[RoleGrant]:
    return [grant for grant in these if grant not in those]


def _is_known(ground: Ground, grant: RoleGrant) -> bool:
    """Tell whether the permission's plugin is active: what nobody can hold now anybody may take out."""
    return grant.permission in ground.catalogue


def _out(role: Role, plugin: str | None, includes: Iterable[str]) -> RoleOut:
    grants = [RoleGrantOut(grant.permission, grant.where) for grant in role.grants]
    return RoleOut(role.name, role.title, role.description, plugin, grants, sorted(includes))


async def _record(authority: Authority, verb: str, name: str, before: RoleOut | None, after: RoleOut | None) -> None:
    detail = {"before": msgspec.to_builtins(before), "after": msgspec.to_builtins(after)}
    await record(
        authority.db, Entry(action=f"core.role.{verb}", actor=authority.actor, object=f"role:{name}", detail=detail)
    )
