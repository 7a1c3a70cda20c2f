"""Rules: what administrators allow or deny beyond what roles give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.access.rules import find_rule
from plugin_host.access.tables import StoredRule
from plugin_host.core.api.policy import MANAGE, Grounds, PolicyPage, RuleAnswer, answer, revision_of
from plugin_host.core.governing.rules import RuleChange, RuleIn, drop_rule, edit_rule, make_rule, rule_out
from plugin_host.core.governing.shapes import RuleOut
from plugin_host.sdk.context import Actor
from plugin_host.sdk.listing import Listing
from plugin_host.sdk.routing import delete, get, patch, post

if TYPE_CHECKING:
    from plugin_host.core.standing import HostView


def rule_routes(host: HostView, grounds: Grounds) -> list[Any]:
    """Make the handlers of rules."""

    @get("/rules", permission=MANAGE)
    async def list_rules(listing: Listing, db: AsyncSession) -> PolicyPage[RuleOut]:
        """List the rules that administrators made."""
        revision = await revision_of(host, db)
        rows, more = await listing.rows(
            db,
            select(StoredRule),
            search=[StoredRule.subject, StoredRule.permission],
            sort=[StoredRule.id, StoredRule.subject, StoredRule.permission, StoredRule.effect, StoredRule.created_at],
            filters=[StoredRule.subject, StoredRule.permission, StoredRule.effect],
        )
        return PolicyPage([rule_out(row) for row in rows], more, revision)

    @get("/rules/{rule_id:str}", permission=MANAGE)
    async def get_rule(rule_id: str, db: AsyncSession) -> RuleAnswer:
        """Show one rule."""
        revision = await revision_of(host, db)
        return answer(rule_out(await find_rule(db, rule_id)), RuleAnswer, revision)

    @post("/rules", permission=MANAGE)
    async def create_rule(data: RuleIn, actor: Actor, db: AsyncSession) -> RuleAnswer:
        """Allow or deny something that you hold yourself."""
        authority = await grounds.open(db, actor)
        made = await make_rule(authority, data)
        await authority.close()
        return answer(made, RuleAnswer, authority.revision)

    @patch("/rules/{rule_id:str}", permission=MANAGE)
    async def update_rule(rule_id: str, data: RuleChange, actor: Actor, db: AsyncSession) -> RuleAnswer:
        """Change a rule."""
        authority = await grounds.open(db, actor)
        changed = await edit_rule(authority, rule_id, data)
        await authority.close()
        return answer(changed, RuleAnswer, authority.revision)

    @delete("/rules/{rule_id:str}", permission=MANAGE)
    async def delete_rule(rule_id: str, actor: Actor, db: AsyncSession) -> None:
        """Delete a rule."""
        authority = await grounds.open(db, actor)
        await drop_rule(authority, rule_id)
        await authority.close()

    return [list_rules, get_rule, create_rule, update_rule, delete_rule]
