"""Changes on trial: made, looked at, and undone. Who would gain what, and who would lose what."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from sqlalchemy import select

from plugin_host.access.comparing import compare, people_of, touched
from plugin_host.access.members import memberships_of
from plugin_host.access.tables import PolicyChange
from plugin_host.auth.tables import User
from plugin_host.core.governing.groups import GroupChange, GroupIn, drop_group, edit_group, make_group
from plugin_host.core.governing.people import set_user_roles
from plugin_host.core.governing.roles import RoleChange, RoleIn, add_role, drop_role, edit_role
from plugin_host.core.governing.rules import RuleChange, RuleIn, drop_rule, edit_rule, make_rule
from plugin_host.sdk.context import Actor
from plugin_host.sdk.errors import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.access.snapshot import Snapshot
    from plugin_host.core.governing.authority import Authority

MAX_CHANGES: Final = 100
MAX_PEOPLE: Final = 10_000
_PATH: Final = re.compile(r"/(roles|rules|groups)(?:/([^/]+))?|/users/([^/]+)/roles")
_AT_ONCE: Final = 500


class TrialChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One change, as the call that would make it: `{"method": "POST", "path": "/rules", "body": {…}}`."""

    method: Literal["POST", "PATCH", "PUT", "DELETE"]
    path: str
    body: dict[str, Any] = {}


class Effect(msgspec.Struct, frozen=True):
    """What somebody gains and loses; `widened` and `narrowed` they hold before and after, for more or fewer objects."""

    id: str
    username: str
    gains: list[str]
    loses: list[str]
    widened: list[str]
    narrowed: list[str]


class _Roles(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All the roles that somebody is to have."""

    roles: list[str]


async def _set_roles(authority: Authority, user_id: str, data: _Roles) -> None:
    if user_id not in await authority.ground.users.get([user_id]):
        raise Problem(404, "not_found", f"There is no user with the id {user_id!r}.")
    await set_user_roles(authority, user_id, data.roles)


# How a change is made: by method and collection, with the body that it takes; a new one has no key yet.
_NEW: Final[dict[str, tuple[Callable[..., Awaitable[object]], type[Any]]]] = {
    "roles": (add_role, RoleIn),
    "rules": (make_rule, RuleIn),
    "groups": (make_group, GroupIn),
}
_KEYED: Final[dict[tuple[str, str], tuple[Callable[..., Awaitable[object]], type[Any] | None]]] = {
    ("PATCH", "roles"): (edit_role, RoleChange),
    ("PATCH", "rules"): (edit_rule, RuleChange),
    ("PATCH", "groups"): (edit_group, GroupChange),
    ("PUT", "users"): (_set_roles, _Roles),
    ("DELETE", "roles"): (drop_role, None),
    ("DELETE", "rules"): (drop_rule, None),
    ("DELETE", "groups"): (drop_group, None),
}


async def apply(authority: Authority, change: TrialChange) -> None:
    """Make one change. Raises `Problem` as the call itself would."""
    found = _PATH.fullmatch(change.path)
    kind, key = (found.group(1) or "users", found.group(2) or found.group(3)) if found is not None else ("", "")
    if change.method == "POST" and not key and kind in _NEW:
        make, body = _NEW[kind]
        await make(authority, _read(change, body))
    elif key and (change.method, kind) in _KEYED:
        edit, edited = _KEYED[change.method, kind]
        await (edit(authority, key) if edited is None else edit(authority, key, _read(change, edited)))
    else:
        detail = f"{change.method} {change.path[:200]} is no change of roles, rules, groups or somebody's roles"
        raise Problem(422, "invalid", detail, errors=[FieldError("/path", detail)])


async def effects(db: AsyncSession, before: Snapshot, after: Snapshot) -> list[Effect]:
    """Say who gains and who loses by what this session has changed since `before`."""
    moved = await _moved(db, before.policy.revision)
    ids = {*moved, *await people_of(db, touched(before.policy, after.policy))}
    names = await _names(db, sorted(ids)[:MAX_PEOPLE])
    now: list[Actor] = []
    was: dict[str, Actor] = {}
    for user_id in names:
        known = await memberships_of(db, user_id)
        subjects = {f"role:{role}" for role in known.roles} | {f"group:{group}" for group in known.groups}
        now.append(_actor(user_id, subjects))
        was[user_id] = _actor(user_id, _undone(subjects, moved.get(user_id, ())))
    return [
        Effect(
            id=each.subject[5:],
            username=names[each.subject[5:]],
            gains=list(each.gains),
            loses=list(each.loses),
            widened=list(each.widened),
            narrowed=list(each.narrowed),
        )
        for each in compare(before, after, now, was)
    ]


async def _moved(db: AsyncSession, revision: int) -> dict[str, list[PolicyChange]]:
    """Give what has changed since in the roles and groups of people, by their ids, the latest first."""
    asked = select(PolicyChange).where(PolicyChange.revision > revision, PolicyChange.kind == "member")
    moved: dict[str, list[PolicyChange]] = {}
    for change in await db.scalars(asked.order_by(PolicyChange.revision.desc(), PolicyChange.id.desc())):
        moved.setdefault(change.subject.removeprefix("user:"), []).append(change)
    return moved


def _undone(subjects: set[str], changes: Iterable[PolicyChange]) -> set[str]:
    """Give what somebody was in before these changes, which are in reverse order."""
    had = set(subjects)
    for change in changes:
        name = change.key if change.key.startswith("group:") else f"role:{change.key}"
        if change.after is not None:
            had.discard(name)
        else:
            had.add(name)
    return had


def _actor(user_id: str, subjects: Iterable[str]) -> Actor:
    return Actor(user_id, "", "", subjects=frozenset({f"user:{user_id}", *subjects}))


async def _names(db: AsyncSession, ids: Sequence[str]) -> dict[str, str]:
    """Give the user names of people; of an embedding application's there is only the id."""
    names = {user_id: user_id for user_id in ids}
    for start in range(0, len(ids), _AT_ONCE):
        found = select(User.id, User.username).where(User.id.in_(ids[start : start + _AT_ONCE]))
        names |= {each.id: each.username for each in await db.execute(found)}
    return names


def _read(change: TrialChange, kind: type[Any]) -> Any:
    try:
        return msgspec.convert(change.body, kind)
    except msgspec.ValidationError as error:
        raise Problem(422, "invalid", str(error), errors=[FieldError("/body", str(error))]) from error
