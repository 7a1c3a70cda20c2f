"""Questions about the policy: may I, why not, who may; what a change would mean, and what changes have meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from litestar import Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.access.comparing import Changed, Idle, diff, report
from plugin_host.auth.tables import User
from plugin_host.core.api.policy import MANAGE, Grounds, PolicyPage, revision_of
from plugin_host.core.governing.asking import Asking, HolderOut
from plugin_host.core.governing.exchange import PolicyFile, at, read_policy, write_policy
from plugin_host.core.governing.grants import Place
from plugin_host.core.governing.trial import MAX_CHANGES, Effect, TrialChange, apply, effects
from plugin_host.core.lists import wrong
from plugin_host.sdk.context import Access, Actor
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.listing import DEFAULT_LIMIT, MAX_LIMIT
from plugin_host.sdk.routing import get, post

if TYPE_CHECKING:
    from plugin_host.core.standing import HostView
    from plugin_host.sdk.context import Users

MAX_CHECKS = 200
MAX_DIFF = 1000


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One question: whether somebody may do this, with this object."""

    permission: str
    object: str | None = None


class Checks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 200 questions in one call; about whoever asks, or about `actor` for those who manage access."""

    checks: list[Check]
    actor: str | None = None


class Verdicts(msgspec.Struct, frozen=True):
    """The answers, in the order of the questions."""

    results: list[bool]
    revision: int


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why somebody may, or may not: a user name or id; without an object, with at least one."""

    actor: str
    permission: str
    object: str | None = None


class Explained(msgspec.Struct, frozen=True):
    """Whether, and why: `path` leads from the actor to whoever was given what decided."""

    allowed: bool
    reason: str
    path: list[str]
    rules: list[Any]
    conditions: list[Any]
    would_allow: list[str]


class Who(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who may do this: with this object, or with at least one."""

    permission: str
    object: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_LIMIT)] = DEFAULT_LIMIT
    cursor: str | None = None


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Changes, as the calls that would make them."""

    changes: list[TrialChange]


class Import(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A policy file. `dry_run` changes nothing; `replace` removes what the file does not name, in its sections."""

    policy: PolicyFile
    dry_run: bool = False
    replace: bool = False


class Effects(msgspec.Struct, frozen=True):
    """Who would gain, and who would lose, what."""

    items: list[Effect]
    revision: int


def access_routes(host: HostView, grounds: Grounds, users: Users) -> list[Any]:
    """Make the handlers."""
    asking = Asking(host, users)

    @post("/access/check", permission="signed-in", status_code=200)
    async def check_access(data: Checks, actor: Actor, db: AsyncSession) -> Verdicts:
        """Answer several questions at once; a screen asks before it draws a button."""
        if len(data.checks) > MAX_CHECKS:
            raise wrong("checks", f"at most {MAX_CHECKS} checks in one call")
        about = actor
        if data.actor is not None and data.actor != actor.id:
            if not host.standing.may(actor, MANAGE):
                raise Problem(403, "forbidden", f"To ask about others needs the permission {MANAGE!r}.")
            about = await asking.somebody(db, data.actor)
        results = await asking.may(about, [(check.permission, check.object) for check in data.checks])
        return Verdicts(results, host.standing.snapshot.policy.revision)

    @post("/access/explain", permission=MANAGE, status_code=200)
    async def explain_access(data: Question, db: AsyncSession) -> Response[Explained]:
        """Say whether somebody may, and why; the header Policy-Revision says as of when."""
        actor = await asking.somebody(db, data.actor)
        why = await asking.explain(actor, data.permission, data.object)
        said = Explained(
            allowed=why.allowed,
            reason=why.reason,
            path=list(why.path),
            rules=list(why.rules),
            conditions=list(why.conditions),
            would_allow=list(why.would_allow),
        )
        return Response(said, headers={"policy-revision": str(why.revision)})

    @post("/access/who-can", permission=MANAGE, status_code=200)
    async def who_can(data: Who, db: AsyncSession) -> PolicyPage[HolderOut]:
        """List the people who may do something, by user name."""
        revision = host.standing.snapshot.policy.revision
        found, more = await asking.who_can(db, data.permission, data.object, data.limit, data.cursor)
        return PolicyPage(found, more, revision)

    return [check_access, explain_access, who_can, *_about_changes(host, grounds)]


def _about_changes(host: HostView, grounds: Grounds) -> list[Any]:
    @post("/access/simulate", permission=MANAGE, status_code=200)
    async def simulate(data: Trial, actor: Actor, db: AsyncSession) -> Effects:
        """Make changes, say who gains and who loses what, and undo them. Grants on single objects are left out."""
        if len(data.changes) > MAX_CHANGES:
            raise wrong("changes", f"at most {MAX_CHANGES} changes in one call")
        authority = await grounds.open(db, actor)
        for change in data.changes:
            await apply(authority, change)
        after = await authority.close()
        found = await effects(db, authority.before, after)
        await authority.undo()
        return Effects(found, host.standing.snapshot.policy.revision)

    @get("/access/diff", permission=MANAGE)
    async def diff_access(since: int, db: AsyncSession, until: int | None = None) -> PolicyPage[Changed]:
        """List what was changed after a policy revision, the first 1000; go on behind the last one's revision."""
        revision = await revision_of(host, db)
        found = await diff(db, since, revision if until is None else until, limit=MAX_DIFF)
        return PolicyPage(found, None, revision)

    @get("/access/report", permission=MANAGE)
    async def report_access(db: AsyncSession) -> PolicyPage[Idle]:
        """List what is of no use: rules about what is gone, rules that others make superfluous, roles nobody has."""
        revision = await revision_of(host, db)
        there = None if host.users is not None else set((await db.scalars(select(User.id))).all())
        return PolicyPage(await report(db, host.standing.snapshot, there), None, revision)

    @get("/access/export", permission=MANAGE)
    async def export_access(db: AsyncSession) -> PolicyFile:
        """Give the policy as a file: what `plugin-host access import` reads."""
        return await write_policy(db)

    @post("/access/import", permission=MANAGE, status_code=200)
    async def import_access(data: Import, actor: Actor, access: Access, db: AsyncSession) -> Effects:
        """Make the policy what a file says, all of it or nothing; says who gains and who loses what."""
        authority = await grounds.open(db, actor)
        with at("/policy"):
            await read_policy(authority, Place(db, access), data.policy, replace=data.replace)
        after = await authority.close()
        found, revision = await effects(db, authority.before, after), authority.revision
        if data.dry_run:
            await authority.undo()
            revision = host.standing.snapshot.policy.revision
        return Effects(found, revision)

    return [simulate, diff_access, report_access, export_access, import_access]
