"""The policy as one JSON document: to keep it beside the settings, and to carry it to another host.

People and groups are named in it by name, since ids differ from host to host: `user:ada`, `group:Sales`. Plugins' own
roles are not in it, they come with the plugins; which people have them is.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final, Literal

import msgspec
from sqlalchemy import select

from plugin_host.access.grants import take
from plugin_host.access.members import roles_of_subject
from plugin_host.access.roles import as_role
from plugin_host.access.rules import said
from plugin_host.access.tables import Grant, Group, GroupMember, RoleMember, StoredRole, StoredRule
from plugin_host.audit import Entry, record
from plugin_host.core.governing.grants import GrantIn, Place, make_grant
from plugin_host.core.governing.groups import GroupChange, GroupIn, drop_group, edit_group, make_group
from plugin_host.core.governing.naming import Names, named_group
from plugin_host.core.governing.people import set_user_roles
from plugin_host.core.governing.roles import RoleChange, RoleIn, add_role, drop_role, edit_role
from plugin_host.core.governing.rules import RuleIn, drop_rule, make_rule
from plugin_host.core.governing.shapes import RoleGrantIn
from plugin_host.sdk.errors import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.core.governing.authority import Authority

Section = Literal["roles", "groups", "users", "rules", "grants"]
SECTIONS: Final[tuple[Section, ...]] = ("roles", "groups", "users", "rules", "grants")
_AT_ONCE: Final = 500


class PolicyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The policy. A section that is left out is not touched by an import."""

    format: Literal[1]
    roles: list[RoleIn] | None = None
    groups: list[GroupIn] | None = None
    users: dict[str, list[str]] | None = None
    rules: list[RuleIn] | None = None
    grants: list[GrantIn] | None = None


async def write_policy(db: AsyncSession) -> PolicyFile:
    """Give the policy of this host; grants are those of this database."""
    names = await Names.read(db)
    links: dict[str, list[str]] = {}
    for subject, role in await db.execute(select(RoleMember.subject, RoleMember.role).order_by(RoleMember.role)):
        links.setdefault(subject, []).append(role)
    members: dict[str, list[str]] = {}
    for group_id, user_id in await db.execute(select(GroupMember.group_id, GroupMember.user_id)):
        if user_id in names.users:
            members.setdefault(group_id, []).append(names.users[user_id])
    return PolicyFile(
        format=1,
        roles=[
            RoleIn(
                name=role.name,
                title=role.title,
                description=role.description,
                grants=[RoleGrantIn(each.permission, each.where) for each in as_role(role).grants],
                includes=links.get(f"role:{role.name}", []),
            )
            for role in await db.scalars(select(StoredRole).order_by(StoredRole.name))
        ],
        groups=[
            GroupIn(name, sorted(members.get(group_id, ())), links.get(f"group:{group_id}", []))
            for group_id, name in sorted(names.groups.items(), key=lambda each: each[1])
        ],
        users={
            name: links[f"user:{user_id}"]
            for user_id, name in sorted(names.users.items(), key=lambda each: each[1])
            if f"user:{user_id}" in links
        },
        rules=[
            msgspec.convert({**said(rule), "subject": names.portable(rule.subject)}, RuleIn)
            for rule in await db.scalars(select(StoredRule).order_by(StoredRule.id))
        ],
        grants=[
            msgspec.convert(
                {
                    "subject": names.portable(grant.subject),
                    "permission": grant.permission,
                    "object": grant.object,
                    "effect": grant.effect,
                    "until": grant.until,
                },
                GrantIn,
            )
            for grant in await db.scalars(select(Grant).order_by(Grant.id))
        ],
    )


async def read_policy(authority: Authority, place: Place, file: PolicyFile, *, replace: bool) -> None:
    """Make the policy what the file says: what is there already is changed, and with `replace` the rest removed.

    All of it or nothing: the first thing that cannot be raises `Problem`, with the place in the file.
    """
    names = await Names.read(authority.db)
    if file.roles is not None:
        await _read_roles(authority, file.roles, replace=replace)
    if file.groups is not None:
        await _read_groups(authority, names, file.groups, replace=replace)
        names = await Names.read(authority.db)
    if file.users is not None:
        await _read_users(authority, names, file.users, replace=replace)
    if file.rules is not None:
        await _read_rules(authority, names, file.rules, replace=replace)
    if file.grants is not None:
        await _read_grants(authority, place, names, file.grants, replace=replace)
    counts = {section: len(said) for section in SECTIONS if (said := getattr(file, section)) is not None}
    detail = {"read": counts, "replace": replace}
    await record(authority.db, Entry(action="core.access.imported", actor=authority.actor, detail=detail))


async def _read_roles(authority: Authority, roles: Sequence[RoleIn], *, replace: bool) -> None:
    db = authority.db
    there = set((await db.scalars(select(StoredRole.name))).all())
    for place, role in enumerate(roles):
        with at(f"/roles/{place}"):
            if role.name in there:
                change = RoleChange(title=role.title, description=role.description, grants=role.grants)
                await edit_role(authority, role.name, change)
            else:
                await add_role(authority, msgspec.structs.replace(role, includes=[]))
                there.add(role.name)
    # Only now: they may include each other.
    for place, role in enumerate(roles):
        with at(f"/roles/{place}"):
            if set(role.includes) != set(await roles_of_subject(db, f"role:{role.name}")):
                await edit_role(authority, role.name, RoleChange(includes=role.includes))
    for name in sorted(there - {role.name for role in roles}) if replace else ():
        await drop_role(authority, name)


async def _read_groups(authority: Authority, names: Names, groups: Sequence[GroupIn], *, replace: bool) -> None:
    db, kept = authority.db, set()
    for place, group in enumerate(groups):
        with at(f"/groups/{place}"):
            members = [names.user_id(member, f"/members/{number}") for number, member in enumerate(group.members)]
            try:
                found = (await named_group(db, group.name)).id
            except Problem:
                found = (await make_group(authority, GroupIn(group.name, members, group.roles))).id
            else:
                change = GroupChange(name=group.name, members=members, roles=group.roles)
                await edit_group(authority, found, change)
            kept.add(found)
    if replace:
        for group_id in (await db.scalars(select(Group.id).where(Group.id.not_in(sorted(kept))))).all():
            await drop_group(authority, group_id)


async def _read_users(authority: Authority, names: Names, users: dict[str, list[str]], *, replace: bool) -> None:
    wanted = {names.user_id(name, f"/users/{name}"): (name, roles) for name, roles in users.items()}
    for user_id, (name, roles) in wanted.items():
        with at(f"/users/{name}"):
            await set_user_roles(authority, user_id, roles)
    if replace:
        holders = select(RoleMember.subject).where(RoleMember.subject.startswith("user:")).distinct()
        for subject in (await authority.db.scalars(holders)).all():
            if subject.removeprefix("user:") not in wanted:
                await set_user_roles(authority, subject.removeprefix("user:"), [])


async def _read_rules(authority: Authority, names: Names, rules: Sequence[RuleIn], *, replace: bool) -> None:
    db = authority.db
    there = {_key(said(rule)): rule.id for rule in await db.scalars(select(StoredRule))}
    named: set[bytes] = set()
    for place, rule in enumerate(rules):
        with at(f"/rules/{place}"):
            own = msgspec.structs.replace(rule, subject=names.own(rule.subject))
            key = _key(_plain(own))
            if key not in there and key not in named:
                await make_rule(authority, own)
            named.add(key)
    for key, rule_id in there.items() if replace else ():
        if key not in named:
            await drop_rule(authority, rule_id)


async def _read_grants(
    authority: Authority, where: Place, names: Names, grants: Sequence[GrantIn], *, replace: bool
) -> None:
    there = {
        (each.subject, each.permission, each.object, each.effect): each
        for each in await where.db.scalars(select(Grant))
    }
    for place, grant in enumerate(grants):
        with at(f"/grants/{place}"):
            own = msgspec.structs.replace(grant, subject=names.own(grant.subject))
            had = there.pop((own.subject, own.permission, own.object, own.effect), None)
            if had is None or had.until != own.until:
                await make_grant(authority, where, own)
    for had in there.values() if replace else ():
        await take(where.db, had.id, authority.by)


def _key(rule: dict[str, object]) -> bytes:
    return msgspec.json.encode(rule, order="sorted")


def _plain(rule: RuleIn) -> dict[str, object]:
    where = {} if rule.where is None else {"where": rule.where}
    return {"subject": rule.subject, "permission": rule.permission, "effect": rule.effect, **where}


@contextlib.contextmanager
def at(pointer: str) -> Iterator[None]:
    """Say of a problem where in the file it is."""
    try:
        yield
    except Problem as problem:
        errors = [FieldError(f"{pointer}{each.pointer}", each.detail) for each in problem.errors]
        errors = errors or [FieldError(pointer, problem.detail)]
        detail = f"{pointer}: {problem.detail}"
        raise Problem(problem.status, problem.code, detail, errors=errors) from problem
