"""What changes may name: roles that there are, subjects that there are, names that a role may have."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from plugin_host.access.checks import check_permission, check_subject, check_where
from plugin_host.access.tables import Group, StoredRole
from plugin_host.sdk.errors import FieldError, Problem
from plugin_host.sdk.manifest import RoleGrant

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.core.governing.ground import Ground
    from plugin_host.core.governing.shapes import RoleGrantIn

MAX_ROLE: Final = 100
MAX_TITLE: Final = 200
MAX_DESCRIPTION: Final = 2000
MAX_GRANTS: Final = 500

_OF_A_PLUGIN: Final = re.compile(r"[a-z][a-z0-9]{1,30}\..*")
_AT_ONCE: Final = 500


def check_role_name(name: str) -> str:
    """Give the name of an administrator's role: a text that no plugin's role could ever have."""
    name = unicodedata.normalize("NFC", name)
    if not 0 < len(name) <= MAX_ROLE or not name.isprintable() or name != name.strip() or set("/*") & set(name):
        raise _invalid("/name", f"1 to {MAX_ROLE} printable characters, without / and *, and no blanks around them")
    if name in (".", ".."):
        raise _invalid("/name", "this is no name that an address could have")
    if _OF_A_PLUGIN.fullmatch(name):
        raise _invalid(
            "/name", f"names like {name.partition('.')[0]}.… are those of a plugin's roles: leave out the dot"
        )
    return name


def check_text(text: str, pointer: str, most: int) -> str:
    """Give a title or a description."""
    if len(text) > most or "\0" in text:
        raise _invalid(pointer, f"at most {most} characters, none of them NUL")
    return text


def check_role_grants(grants: Sequence[RoleGrantIn], ground: Ground) -> list[RoleGrant]:
    """Give what a role is to give: permissions of the active plugins, with conditions that fit their objects."""
    if len(grants) > MAX_GRANTS:
        raise _invalid("/grants", f"at most {MAX_GRANTS} grants in one role")
    checked: list[RoleGrant] = []
    for place, grant in enumerate(grants):
        permission, where = grant.permission, grant.where
        check_permission(permission, ground.catalogue, f"/grants/{place}/permission")
        if where is not None:
            check_where(where, permission, ground.catalogue, ground.objects, f"/grants/{place}/where")
        checked.append(RoleGrant(permission=permission, where=where))
    return checked


async def known_roles(db: AsyncSession, ground: Ground) -> set[str]:
    """Name the roles that there are: of active plugins, and of administrators."""
    return {*ground.roles, *(await db.scalars(select(StoredRole.name)))}


async def check_roles(
    db: AsyncSession, ground: Ground, wanted: Sequence[str], had: Collection[str] = (), pointer: str = "/roles"
) -> list[str]:
    """Give roles that are to be given, each once. What somebody has already may stay, though its plugin be parked."""
    known = {*await known_roles(db, ground), *had}
    errors = [
        FieldError(f"{pointer}/{place}", f"there is no role {role[:200]!r}")
        for place, role in enumerate(wanted)
        if role not in known
    ]
    if errors:
        names = ", ".join(repr(role[:200]) for role in dict.fromkeys(wanted) if role not in known)
        detail = f"{pointer.lstrip('/')}: unknown: {names}; known: {', '.join(sorted(known))}"
        raise Problem(422, "invalid", detail, errors=errors)
    return list(dict.fromkeys(wanted))


async def check_users(ground: Ground, user_ids: Sequence[str], pointer: str = "/members") -> list[str]:
    """Give ids of people who exist, each once."""
    there = await ground.users.get(list(dict.fromkeys(user_ids)))
    errors = [
        FieldError(f"{pointer}/{place}", f"there is no user with the id {user_id[:64]!r}")
        for place, user_id in enumerate(user_ids)
        if user_id not in there
    ]
    if errors:
        raise Problem(422, "invalid", f"{pointer.lstrip('/')}: {errors[0].detail}", errors=errors)
    return list(dict.fromkeys(user_ids))


async def check_somebody(db: AsyncSession, ground: Ground, subject: str, pointer: str = "/subject") -> str:
    """Give a subject that exists: `user:<id>`, `group:<id>` or `role:<name>`."""
    check_subject(subject, pointer)
    kind, _, name = subject.partition(":")
    if kind == "user" and name not in await ground.users.get([name]):
        raise _invalid(pointer, f"there is no user with the id {name!r}")
    if kind == "group" and not ground.foreign and await db.get(Group, name) is None:
        raise _invalid(pointer, f"there is no group with the id {name!r}")
    if kind == "role" and name not in await known_roles(db, ground):
        raise _invalid(pointer, f"there is no role {name!r}")
    return subject


def _invalid(pointer: str, detail: str) -> Problem:
    return Problem(422, "invalid", f"{pointer.lstrip('/')}: {detail}", errors=[FieldError(pointer, detail)])
