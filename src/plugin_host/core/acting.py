"""Whom background work acts for: the person who caused it, with the rights that they have when it is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from sqlalchemy import select

from plugin_host.access.members import memberships_of
from plugin_host.auth.people import ACTIVE
from plugin_host.auth.tables import User
from plugin_host.sdk.context import ANONYMOUS, SYSTEM, Actor

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plugin_host.database import Database
    from plugin_host.events.publishing import Origin
    from plugin_host.sdk.context import Users, Work

_SCOPES: Final = "scopes"


class Acting:
    """Makes the actor of a delivery.

    `users` are those of an embedding application, if it signs people in. `admit` adds what somebody holds through
    groups and other roles, as of now.
    """

    def __init__(
        self, database: Database, users: Users | None, admit: Callable[[Actor, str], Awaitable[Actor]]
    ) -> None:
        self._database = database
        self._admit = admit
        self._users = users

    def origin_chain(self, work: Work) -> tuple[str, ...]:
        """Say who caused what a call publishes: its actor, or whoever caused the delivery that it works on."""
        return work.delivery.actors if work.delivery is not None else (f"{work.actor.kind}:{work.actor.id}",)

    async def actor_of(self, origin: Origin, plugin: str, needed: bool) -> Actor:  # noqa: FBT001 - the relay's question
        """Give the actor of what somebody caused, for a handler of a plugin.

        Without `needed` only the id is in it, and no right.
        """
        kind, _, name = origin.chain[0].partition(":")
        if kind == "anonymous":
            return ANONYMOUS
        if kind == "system":
            actor = SYSTEM
        elif kind != "user" or not needed:
            return _nobody(name)
        else:
            actor = await (self._known(name) if self._users is None else self._foreign(self._users, name, origin))
        actor = _within(actor, origin)
        return await self._admit(actor, plugin) if needed else actor

    async def _known(self, name: str) -> Actor:
        unit = self._database.unit(write=False)
        try:
            user = await unit.session.scalar(select(User).where(User.id == name))
            if user is None or user.status != ACTIVE:
                return _nobody(name)
            known = await memberships_of(unit.session, name)
        finally:
            await unit.close()
        return Actor(id=user.id, username=user.username, display=user.display, roles=known.roles, groups=known.groups)

    async def _foreign(self, users: Users, name: str, origin: Origin) -> Actor:
        """Give somebody whom the embedding application knows: its roles are as they were when it happened."""
        record = (await users.get([name])).get(name)
        if record is None:
            return _nobody(name)
        return Actor(
            id=name, username=record.username, display=record.display, roles=origin.roles, groups=origin.groups
        )


def _nobody(name: str) -> Actor:
    """Make an actor who holds nothing, not even what was granted to the person: who is gone, or disabled."""
    return Actor(id=name, username="", display="", subjects=frozenset({f"gone:{name}"}))


def _within(actor: Actor, origin: Origin) -> Actor:
    """Limit the actor to what the credential was limited to with which it began."""
    if origin.scopes is None or _SCOPES not in actor.__struct_fields__:
        return actor
    limit: dict[str, Any] = {_SCOPES: frozenset(origin.scopes)}
    return msgspec.structs.replace(actor, **limit)
