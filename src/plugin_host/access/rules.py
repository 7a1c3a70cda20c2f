"""Rules that administrators make: one subject, one permission or a pattern of them, allowed or denied."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from plugin_host.access.changes import Change, note
from plugin_host.access.tables import StoredRule
from plugin_host.sdk.conditions import canonical
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


async def add_rule(
    session: AsyncSession,
    subject: str,
    permission: str,
    effect: Literal["allow", "deny"],
    where: dict[str, Any] | None,
    by: str | None,
) -> StoredRule:
    """Make a rule. Whether subject, permission and condition can be is checked before (`checks`)."""
    rule = StoredRule(
        subject=subject,
        permission=permission,
        effect=effect,
        condition=None if where is None else canonical(where),
        created_at=dt.datetime.now(dt.UTC),
        created_by=by,
    )
    session.add(rule)
    await session.flush()
    await note(session, by, [Change("rule", subject, rule.id, after=said(rule))])
    return rule


async def change_rule(  # noqa: PLR0913 - each field may be changed
    session: AsyncSession,
    rule_id: str,
    by: str | None,
    *,
    subject: str | msgspec.UnsetType = msgspec.UNSET,
    permission: str | msgspec.UnsetType = msgspec.UNSET,
    effect: Literal["allow", "deny"] | msgspec.UnsetType = msgspec.UNSET,
    where: dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET,
) -> StoredRule:
    """Change what is not UNSET. Raises `Problem` 404."""
    rule = await find_rule(session, rule_id)
    before, had = said(rule), rule.subject
    if subject is not msgspec.UNSET:
        rule.subject = subject
    if permission is not msgspec.UNSET:
        rule.permission = permission
    if effect is not msgspec.UNSET:
        rule.effect = effect
    if where is not msgspec.UNSET:
        rule.condition = None if where is None else canonical(where)
    changes = [Change("rule", rule.subject, rule.id, before, said(rule))]
    if rule.subject != had:  # both are touched
        changes = [Change("rule", had, rule.id, before=before), Change("rule", rule.subject, rule.id, after=said(rule))]
    await note(session, by, changes)
    await session.flush()
    return rule


async def delete_rule(session: AsyncSession, rule_id: str, by: str | None) -> None:
    """Remove a rule. Raises `Problem` 404."""
    rule = await find_rule(session, rule_id)
    await note(session, by, [Change("rule", rule.subject, rule.id, before=said(rule))])
    await session.delete(rule)
    await session.flush()


async def find_rule(session: AsyncSession, rule_id: str) -> StoredRule:
    """Give a rule. Raises `Problem` 404."""
    rule = await session.get(StoredRule, rule_id)
    if rule is None:
        raise Problem(404, "not_found", "There is no such rule.")
    return rule


def said(rule: StoredRule) -> dict[str, Any]:
    """Give a rule as JSON has it: `{subject, permission, effect, where?}`."""
    where = {} if rule.condition is None else {"where": msgspec.json.decode(rule.condition)}
    return {"subject": rule.subject, "permission": rule.permission, "effect": rule.effect, **where}
