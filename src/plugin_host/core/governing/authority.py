"""Who may make a change of the policy, and what no change may do.

1. Nobody gives, denies or takes what they do not hold themselves: otherwise whoever may manage access, or people,
   could make themselves anything. What somebody holds is judged by the policy as it was before the change.
2. Whoever is an administrator (`core.admin`) and can sign in stays able to repair the policy: the last one cannot be
   locked out, in whichever way.

The operator's own hand, the command line on the server, is asked neither: it is the way out of a policy in which
nobody holds something. Only the second rule holds for it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sqlalchemy import select

from plugin_host.access.compiling import ADMIN
from plugin_host.access.members import holders, memberships_of
from plugin_host.access.policy import load_policy
from plugin_host.access.tables import Grant
from plugin_host.auth.people import ACTIVE
from plugin_host.auth.tables import User
from plugin_host.core.governing.covering import lacking, name_of, rules_of
from plugin_host.database import bump
from plugin_host.database.revision import BUMPED
from plugin_host.sdk.context import Actor
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.access.compiling import Rule
    from plugin_host.access.snapshot import Snapshot
    from plugin_host.core.governing.ground import Ground

REPAIRS: Final = ("core.access.manage", "core.users.manage")
"""What the last administrator must be able to do."""

_NAMED: Final = 5
_AT_ONCE: Final = 500


class Authority:
    """One change of the policy, under its lock: `open` it first, change something, then `close` it.

    `by` is the id of whoever makes it; `before` the rules as they were.
    """

    def __init__(self, db: AsyncSession, actor: Actor, ground: Ground, before: Snapshot) -> None:
        self.db = db
        self.ground = ground
        self.before = before
        self.actor = before.effective(actor)
        self._scopes = actor.scopes
        self._repairable = (False, False)

    @classmethod
    async def open(cls, db: AsyncSession, actor: Actor, ground: Ground) -> Authority:
        """Begin a change: others who would change the policy wait from now on."""
        await bump(db, "policy")
        made = cls(db, actor, ground, ground.snapshot.with_policy(await load_policy(db)))
        made._repairable = await made._repairs(made.before)
        return made

    @property
    def by(self) -> str:
        """Whoever makes it."""
        return self.actor.id

    @property
    def revision(self) -> int:
        """The policy revision that the change has made so far."""
        number: int = self.db.info[BUMPED]["policy"]
        return number

    async def close(self) -> Snapshot:
        """Look at what has become of the policy, and give it. Raises `Problem` 409 `last_administrator`."""
        await self.db.flush()
        after = self.ground.snapshot.with_policy(await load_policy(self.db))
        if any(was and not is_now for was, is_now in zip(self._repairable, await self._repairs(after), strict=True)):
            detail = (
                f"After this no administrator who can sign in could manage access and people: give somebody else "
                f"the role {ADMIN} first, or leave out what denies it to them."
            )
            raise Problem(409, "last_administrator", detail)
        return after

    async def undo(self) -> None:
        """Undo the change: it was only to be looked at."""
        await self.db.rollback()
        self.db.info.pop(BUMPED, None)  # nothing was raised

    # -- what somebody must hold ------------------------------------------------------------------------------

    def require_rules(self, rules: Iterable[Rule]) -> None:
        """Go on only if whoever makes the change holds all that the rules are about. Raises `Problem` 403."""
        if self.actor.kind == "system":
            return
        rules = list(rules)
        missing = lacking(self.before, self.actor.subjects, rules)
        if self._scopes is not None:
            missing |= {name_of(rule) for rule in rules} - self._closed(self._scopes)
        if missing:
            raise beyond(missing)

    def require_subjects(self, subjects: Collection[str]) -> None:
        """Go on only if whoever makes the change holds all that these people, groups or roles hold by rules."""
        self.require_rules(rules_of(self.before, frozenset(subjects)) if subjects else ())

    def require_roles(self, roles: Iterable[str]) -> None:
        """Go on only if whoever makes the change holds all that these roles give; one's own roles one holds."""
        others = [f"role:{role}" for role in roles if self._scopes is not None or role not in self.actor.roles]
        self.require_subjects(others)

    async def require_group(self, group: str) -> None:
        """Go on only if whoever makes the change holds all that a group holds, also on single objects."""
        subject = f"group:{group}"
        self.require_subjects([subject])
        if self.actor.kind == "system" or subject in self.actor.subjects:
            return
        given = select(Grant.typ, Grant.act).where(Grant.subject == subject).distinct()
        names = [f"{typ}.{act}" for typ, act in await self.db.execute(given)]
        missing = [name for name in names if not self.holds_everywhere(name)]
        if missing:
            raise beyond(missing)

    async def require_above(self, user_id: str) -> None:
        """Go on only if whoever makes the change holds all that somebody holds, whom it would put into their hands.

        Raises `Problem` 403: whoever may set the password of somebody could sign in as them.
        """
        if self.actor.kind == "system" or user_id == self.actor.id:
            return
        known = await memberships_of(self.db, user_id)
        other = self.before.effective(Actor(user_id, "", "", roles=known.roles, groups=known.groups))
        self.require_subjects(other.subjects - self.actor.subjects)

    def holds_everywhere(self, permission: str) -> bool:
        """Tell whether whoever makes the change holds a permission on all objects alike."""
        if self.actor.kind == "system":
            return True
        if permission not in self.ground.catalogue:
            return False
        lines = self.before.lines(self.actor.subjects, permission)
        everywhere = bool(lines) and all(rule.plain and rule.effect == "allow" for rule in lines)
        return everywhere and (self._scopes is None or permission in self._scopes)

    def _closed(self, names: Iterable[str]) -> set[str]:
        catalogue = self.ground.catalogue
        return {implied for name in names if name in catalogue for implied in catalogue.entry(name).implied}

    # -- what must stay ---------------------------------------------------------------------------------------

    async def _repairs(self, snapshot: Snapshot) -> tuple[bool, bool]:
        """Tell whether an administrator who can sign in could repair the policy, and whether the role could.

        Of the people of an embedding application only the second is known here.
        """
        role = _can_repair(snapshot, frozenset({f"role:{ADMIN}"}))
        ids = sorted(await holders(self.db, ADMIN)) if role else []
        for start in range(0, len(ids), _AT_ONCE):
            some = select(User.id).where(User.id.in_(ids[start : start + _AT_ONCE]), User.status == ACTIVE)
            for user_id in (await self.db.scalars(some)).all():
                known = await memberships_of(self.db, user_id)
                person = Actor(user_id, "", "", roles=known.roles, groups=known.groups)
                if _can_repair(snapshot, snapshot.effective(person).subjects):
                    return True, role
        return False, role


def beyond(missing: Iterable[str]) -> Problem:
    """Word that somebody would give or take what they do not hold."""
    names = sorted(set(missing))
    told = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    detail = (
        f"This is about rights that you do not hold yourself ({told}): ask somebody who does, or do it on the "
        "server with plugin-host."
    )
    return Problem(403, "beyond_own_rights", detail)


def _can_repair(snapshot: Snapshot, subjects: frozenset[str]) -> bool:
    return all(snapshot.holds(subjects, permission) for permission in REPAIRS)
