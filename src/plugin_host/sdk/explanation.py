"""Why somebody may, or may not: an answer that people can act on."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

Reason: TypeAlias = Literal[
    "allowed", "no_grant", "condition_false", "explicit_deny", "unknown_permission", "plugin_inactive"
]
"""`no_grant`: nothing allows it. `condition_false`: something would, for other rows. `explicit_deny`: something denies
it, and that beats whatever allows. `plugin_inactive`: whoever declares the permission is not active, or nobody has
consented to it yet."""


class ExplainedRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule or grant that was considered. `applies` says whether it does to the object that was asked about.

    `permission` is the permission or pattern that was given; `origin` is the plugin whose role says so, `rule` the id
    of an administrators' rule, `object` the object of a grant. `path` leads from the actor to the subject.
    """

    subject: str
    permission: str
    effect: Literal["allow", "deny"]
    applies: bool
    path: tuple[str, ...] = ()
    where: dict[str, Any] | None = None
    origin: str = ""
    rule: str = ""
    object: str = ""


class ExplainedCondition(msgspec.Struct, frozen=True):
    """A condition, whether it holds, and the values that it was asked of: `{"row.owner_id": "8", "actor.id": "7"}`."""

    where: dict[str, Any]
    holds: bool
    values: dict[str, Any]


class Explanation(msgspec.Struct, frozen=True):
    """Whether somebody may, and why.

    `path` leads from the actor to whoever was given what decided; `would_allow` are roles with any of which the actor
    could; `revision` is the policy revision as of which this is true.
    """

    allowed: bool
    reason: Reason
    path: tuple[str, ...] = ()
    rules: tuple[ExplainedRule, ...] = ()
    conditions: tuple[ExplainedCondition, ...] = ()
    would_allow: tuple[str, ...] = ()
    revision: int = 0
