"""What the policy looks like from outside: in the API, in commands, and in what is exported."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import msgspec

Effect = Literal["allow", "deny"]


class RoleGrantIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a role is to give."""

    permission: str
    where: dict[str, Any] | None = None


class RoleGrantOut(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a role gives: a permission, perhaps only where a condition holds."""

    permission: str
    where: dict[str, Any] | None = None


class RoleOut(msgspec.Struct, frozen=True):
    """A role. `plugin` brings it, or it is null and an administrator has made it; it `includes` other roles."""

    name: str
    title: str
    description: str
    plugin: str | None
    grants: list[RoleGrantOut]
    includes: list[str]


class PermissionOut(msgspec.Struct, frozen=True):
    """Something that a plugin lets people do; `orphaned` when its plugin is not active: then nobody may."""

    name: str
    title: str
    description: str
    scope: str
    implies: list[str]
    plugin: str
    state: Literal["active", "orphaned"] = "active"


class RuleOut(msgspec.Struct, frozen=True):
    """A rule of an administrator."""

    id: str
    subject: str
    permission: str
    effect: Effect
    where: dict[str, Any] | None
    created_at: dt.datetime
    created_by: str | None


class GrantOut(msgspec.Struct, frozen=True):
    """What somebody was given, or denied, on one object."""

    id: str
    subject: str
    permission: str
    object: str
    effect: Effect
    until: dt.datetime | None
    given_by: str | None
    given_at: dt.datetime


class GroupOut(msgspec.Struct, frozen=True):
    """A group: the ids of the people in it, and the roles that they have through it."""

    id: str
    name: str
    members: list[str]
    roles: list[str]
