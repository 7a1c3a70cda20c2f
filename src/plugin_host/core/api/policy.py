"""What the answers about the policy have in common: each carries the policy revision that it is of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from plugin_host.core.api.fresh import require_fresh
from plugin_host.core.governing.authority import Authority
from plugin_host.core.governing.ground import Ground, ground_of
from plugin_host.core.governing.shapes import GrantOut, GroupOut, PermissionOut, RoleOut, RuleOut

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.core.standing import HostView
    from plugin_host.sdk.context import Actor, Users

T = TypeVar("T")
A = TypeVar("A", bound=msgspec.Struct)

MANAGE = "core.access.manage"


class PolicyPage(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list, as of a policy revision at least."""

    items: list[T]
    next: str | None
    revision: int


class PermissionPage(PolicyPage[PermissionOut], frozen=True):
    """Permissions."""


class RoleAnswer(RoleOut, frozen=True):
    """A role, as of a policy revision."""

    revision: int


class RuleAnswer(RuleOut, frozen=True):
    """A rule, as of a policy revision."""

    revision: int


class GrantAnswer(GrantOut, frozen=True):
    """A grant, as of a policy revision."""

    revision: int


class GroupAnswer(GroupOut, frozen=True):
    """A group, as of a policy revision."""

    revision: int


def answer(shown: msgspec.Struct, kind: type[A], revision: int) -> A:
    """Give what is shown, with the revision."""
    values: dict[str, Any] = {name: getattr(shown, name) for name in shown.__struct_fields__}
    return kind(**values, revision=revision)


async def revision_of(host: HostView, db: AsyncSession) -> int:
    """Read the policy revision; what is read after it is at least as new."""
    return (await host.database.revision(await db.connection())).policy


class Grounds:
    """Gives what stands at the moment of a call."""

    def __init__(self, host: HostView, users: Users) -> None:
        self._host = host
        self._users = users

    def now(self) -> Ground:
        """Give what stands now."""
        return ground_of(self._host.standing, self._users, foreign=self._host.users is not None)

    async def open(self, db: AsyncSession, actor: Actor) -> Authority:
        """Begin a change of the policy, by a person who has lately proved who they are."""
        require_fresh(actor, self._host.settings)
        return await Authority.open(db, actor, self.now())
