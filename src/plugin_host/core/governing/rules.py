"""Administrators' rules: one subject, one permission or a pattern of them, allowed or denied."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, UnsetType

from plugin_host.access.checks import check_permission, check_where
from plugin_host.access.compiling import Rule
from plugin_host.access.judge import ANY
from plugin_host.access.rules import add_rule, change_rule, delete_rule, find_rule
from plugin_host.audit import Entry, record
from plugin_host.core.governing.checking import check_somebody
from plugin_host.core.governing.shapes import Effect, RuleOut
from plugin_host.sdk.conditions import canonical

if TYPE_CHECKING:
    from plugin_host.access.tables import StoredRule
    from plugin_host.core.governing.authority import Authority


class RuleIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new rule. `permission` may be `*`, `contacts.*` or `contacts.person.*`; `where` is a condition on the row."""

    subject: str
    permission: str
    effect: Effect = "allow"
    where: dict[str, Any] | None = None


class RuleChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be different; what is left out stays. `where` null takes the condition away."""

    subject: str | UnsetType = UNSET
    permission: str | UnsetType = UNSET
    effect: Effect | UnsetType = UNSET
    where: dict[str, Any] | UnsetType | None = UNSET


def rule_out(rule: StoredRule) -> RuleOut:
    """Give a rule as it is shown."""
    where = None if rule.condition is None else msgspec.json.decode(rule.condition)
    effect: Any = rule.effect
    return RuleOut(rule.id, rule.subject, rule.permission, effect, where, rule.created_at, rule.created_by)


async def make_rule(authority: Authority, data: RuleIn) -> RuleOut:
    """Make a rule about what its maker holds."""
    await _check(authority, data)
    _require(authority, data.permission, data.where)
    made = rule_out(await add_rule(authority.db, data.subject, data.permission, data.effect, data.where, authority.by))
    await _record(authority, "created", made.id, None, made)
    return made


async def edit_rule(authority: Authority, rule_id: str, data: RuleChange) -> RuleOut:
    """Change a rule: what it was about and what it will be about, its changer must hold."""
    stored = await find_rule(authority.db, rule_id)
    before = rule_out(stored)
    wanted = RuleIn(
        subject=before.subject if data.subject is UNSET else data.subject,
        permission=before.permission if data.permission is UNSET else data.permission,
        effect=before.effect if data.effect is UNSET else data.effect,
        where=before.where if data.where is UNSET else data.where,
    )
    await _check(authority, wanted)
    _require_known(authority, before)
    _require(authority, wanted.permission, wanted.where)
    after = rule_out(
        await change_rule(
            authority.db,
            rule_id,
            authority.by,
            subject=wanted.subject,
            permission=wanted.permission,
            effect=wanted.effect,
            where=wanted.where,
        )
    )
    await _record(authority, "changed", rule_id, before, after)
    return after


async def drop_rule(authority: Authority, rule_id: str) -> None:
    """Delete a rule about what one holds."""
    before = rule_out(await find_rule(authority.db, rule_id))
    _require_known(authority, before)
    await delete_rule(authority.db, rule_id, authority.by)
    await _record(authority, "deleted", rule_id, before, None)


def rules_about(authority: Authority, permission: str, where: dict[str, Any] | None) -> list[Rule]:
    """Give what a rule about a permission, or a pattern, gives: for the question whether somebody holds it."""
    if permission == ANY:
        return [Rule("user:nobody", ANY, ANY, ANY, said=ANY)]
    catalogue = authority.ground.catalogue
    cond = "" if where is None else canonical(where)
    names = catalogue.matching(permission) or (permission,)
    return [Rule("user:nobody", entry.typ, ANY, entry.act, cond) for entry in map(catalogue.entry, names)]


def _require(authority: Authority, permission: str, where: dict[str, Any] | None) -> None:
    authority.require_rules(rules_about(authority, permission, where))


def _require_known(authority: Authority, rule: RuleOut) -> None:
    """Ask for what a rule was about, unless it is about nothing that is there now."""
    catalogue = authority.ground.catalogue
    if rule.permission in catalogue or catalogue.matching(rule.permission):
        _require(authority, rule.permission, rule.where)


async def _check(authority: Authority, data: RuleIn) -> None:
    ground = authority.ground
    await check_somebody(authority.db, ground, data.subject)
    check_permission(data.permission, ground.catalogue, pattern=True)
    if data.where is not None:
        check_where(data.where, data.permission, ground.catalogue, ground.objects)


async def _record(authority: Authority, verb: str, rule_id: str, before: RuleOut | None, after: RuleOut | None) -> None:
    detail = {"before": msgspec.to_builtins(before), "after": msgspec.to_builtins(after)}
    entry = Entry(action=f"core.rule.{verb}", actor=authority.actor, object=f"rule:{rule_id}", detail=detail)
    await record(authority.db, entry)
