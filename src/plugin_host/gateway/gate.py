"""The gate: every request to a plugin passes here, after routing and before anything of the plugin's runs.

1. A page of another origin is refused, and a CORS preflight is answered without running anything.
2. Whoever asks is named, and must hold the permission that the route declares.
3. A unit of work is made; nothing is opened before the plugin asks for it.
4. When the answer begins, the work is committed first; a 4xx or 5xx answer undoes it. A commit that fails
   becomes the answer. So no success leaves for something that was not kept.
   What would change something is judged again inside its transaction, if a right may be gone since it came in.
5. A route of object scope must have asked for a decision, or its work is undone.
6. An answer to a change of who may do what carries the policy revision that the change made (`Policy-Revision`).
   Whoever sends such a number back is answered by rules at least as new, or with 503 `policy_behind`.

The gate answers its refusals itself: an exception handler of the plugin never sees them. `judge` asks again, for
what stays open: a stream, a WebSocket.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from litestar.middleware import ASGIMiddleware

from plugin_host.gateway.headers import POLICY_REVISION, is_preflight, require_json, wanted_revision
from plugin_host.gateway.origin import SAFE_METHODS, check_origin
from plugin_host.gateway.problems import (
    FAILED,
    REQUEST_ID,
    is_away,
    log_unexpected,
    note_away,
    send_problem,
    to_problem,
)
from plugin_host.sdk.calls import CURRENT_CALL, Call
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from litestar.types import ASGIApp, Receive, Scope, Send

    from plugin_host.database.revision import Revision
    from plugin_host.sdk.context import Actor, UnitOfWork, Work

NEED: Final = "plugin_host.need"
"""Where a handler's `opt` says what it needs; set by `application.build`, refused in a plugin's own `opt`."""
WORK: Final = "plugin_host.work"
SESSION_EXPIRED: Final = "plugin_host.session_expired"
AGAIN: Final = "plugin_host.again"
"""Set in a scope that is judged again: nobody has sent anything, so nobody was seen."""
INVALID_TOKEN: Final = "plugin_host.invalid_token"  # noqa: S105 - a key, no secret

REVISION: Final = "plugin_host.revision"
"""Where a scope says as of which revision it is known who asks, and what they may."""

_BAD_REQUEST: Final = 400

log = logging.getLogger("plugin_host.gateway")


@dataclass(frozen=True, slots=True)
class Need:
    """What a handler needs before it is called.

    One of `permissions` lets the actor in (a path's OPTIONS has those of all its handlers). `decides`: it is of
    object scope and must ask for a decision. `json`: it reads a JSON body. `public` are the lines of
    permissions.json that make it public, as `GET /hello`: it is so once one of them was consented to.
    """

    plugin: str
    permissions: tuple[str, ...]
    decides: bool = False
    json: bool = False
    public: tuple[str, ...] = ()


_UNDECLARED: Final = Need("", ())  # cannot be, since every handler is walked over at load; it lets nobody in


def _nothing(_plugin: str) -> Collection[str]:
    return ()


def _none() -> Collection[str]:
    return ()


async def _as_it_is(_revision: int) -> None:
    return None


async def _never(_was: Revision, _plugin: str, _unit: UnitOfWork) -> bool:
    return False


async def _always(_work: Work, _actor: Actor) -> bool:
    return True


class Gate(ASGIMiddleware):
    """The middleware in front of every plugin's handlers.

    `authenticate` names whoever sent the request, `holds` says whether somebody holds a permission (on some
    object at least), `open_work` makes the unit of work of one call, `withheld` says which public routes of a
    plugin nobody has consented to. `reach` waits until the rules are of at least that policy revision, or raises
    `Problem`. `still` says whether all that a call was allowed to do with objects is still allowed. `separate`
    names the plugins with a database of their own: what they raise is no number of the host's. `public_origin` is where
    browsers see the host, if it is not what the Host header says. `count` counts a call of an actor to a
    plugin, and raises `Problem` 429 if it is one too many.
    """

    def __init__(  # noqa: PLR0913 - what it asks, by name
        self,
        *,
        authenticate: Callable[[Any], Awaitable[Actor]],
        holds: Callable[[Actor, str], bool],
        open_work: Callable[[str, Actor, bool], Work],
        withheld: Callable[[str], Collection[str]] = _nothing,
        reach: Callable[[int], Awaitable[None]] = _as_it_is,
        still: Callable[[Work, Actor], Awaitable[bool]] = _always,
        moved: Callable[[Revision, str, UnitOfWork], Awaitable[bool]] = _never,
        separate: Callable[[], Collection[str]] = _none,
        public_origin: str | None = None,
        count: Callable[[Actor, str], Awaitable[None]] | None = None,
    ) -> None:
        self._count = count
        self._reach = reach
        self._still = still
        self._moved = moved
        self._authenticate = authenticate
        self._holds = holds
        self._open_work = open_work
        self._withheld = withheld
        self._public_origin = public_origin
        self.separate = separate

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """Stand in front of a handler: of all of them, so there is nothing to bypass and nothing to ask."""
        return functools.partial(self.handle, next_app=app)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Let the request in, or answer why not."""
        call: dict[str, Any] = scope  # type: ignore[assignment] # a typed dict with keys of ours
        need: Need = call["route_handler"].opt.get(NEED, _UNDECLARED)
        method = call.get("method")  # a WebSocket has none
        if method == "OPTIONS" and is_preflight(call):
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        try:
            call["user"] = actor = await self._admit(call, method, need)
            if self._count is not None:
                await self._count(actor, need.plugin)
            if need.json:
                require_json(call)
        except Problem as problem:
            await send_problem(problem, call, send)
            return
        # A WebSocket may stay for hours: until it writes it must keep nobody else from writing.
        call[WORK] = work = self._open_work(need.plugin, actor, method is not None and method not in SAFE_METHODS)
        unit = work.unit
        under_way = CURRENT_CALL.set(Call(call.get(REQUEST_ID, ""), need.plugin))
        try:
            if method is None:
                await next_app(scope, receive, send)
                await _end_conversation(need, work, call)
            else:
                await next_app(scope, receive, _after_commit(need, work, call, send, self))
        finally:
            CURRENT_CALL.reset(under_way)
            # What was not committed by now is undone by closing: an exception, or an answer that never began.
            if unit.opened:
                await unit.close()

    async def judge(self, scope: dict[str, Any]) -> Problem | None:
        """Say why whoever was let in would not be any more, or None.

        Raises `Problem` of status 503 where that cannot be told now.
        """
        need: Need = scope["route_handler"].opt[NEED]
        was: Actor = scope["user"]
        again = {**scope, AGAIN: True}
        again.pop(SESSION_EXPIRED, None)
        again.pop(INVALID_TOKEN, None)
        again.pop(REVISION, None)
        try:
            actor = await self._admit(again, scope.get("method"), need)
        except Problem as problem:
            if problem.status >= 500:  # noqa: PLR2004 - a status
                raise
            return problem
        if was.signed_in and not actor.signed_in:  # the route is public, but who used it is not who they were
            return _refusal(actor, need, again)
        if need.decides and not await self._still(scope[WORK], actor):
            return Problem(403, "forbidden", f"This needs the permission {need.permissions[0]!r}.")
        return None

    async def revoked(self, scope: dict[str, Any], work: Work) -> Problem | None:
        """Say why work that is about to be kept may not be any more: a right was taken away meanwhile."""
        was: Revision | None = scope.get(REVISION)
        if was is None or not await self._moved(was, work.plugin, work.unit):
            return None
        return await self.judge(scope)

    async def _admit(self, scope: dict[str, Any], method: str | None, need: Need) -> Actor:
        try:
            if method not in SAFE_METHODS:
                check_origin(scope, self._public_origin)
            wanted = wanted_revision(scope)
            if wanted:
                await self._reach(wanted)
            actor = await self._authenticate(scope)
            if need.public and self._withheld(need.plugin):
                self._require_consent(need)
            for permission in need.permissions:
                if permission == "public" or (
                    actor.signed_in if permission == "signed-in" else self._holds(actor, permission)
                ):
                    return actor
        except Problem:
            raise
        except Exception as error:
            # Never an allow: who cannot be known, or judged, is not let in.
            if is_away(error):
                note_away(error)
            else:
                log.exception("cannot tell who asks, or what they may (request %s)", scope.get(REQUEST_ID, "-"))
            problem = to_problem(error)
            if problem.status >= 500 and problem.code == "internal_error":  # noqa: PLR2004 - a status
                problem = Problem(503, "unavailable", "Sign-in or permissions cannot be checked right now.")
            raise problem from error
        raise _refusal(actor, need, scope)

    def _require_consent(self, need: Need) -> None:
        if not set(need.public) - set(self._withheld(need.plugin)):
            raise Problem(503, "consent_required", "This is new and public: an administrator has not agreed to it yet.")


def _after_commit(
    need: Need,
    work: Work,
    scope: dict[str, Any],
    send: Send,
    gate: Gate,
) -> Send:
    """Wrap the `send` of a call, so that its answer begins when its work is kept."""
    unit = work.unit
    replaced = False

    async def answer(message: Any) -> None:
        nonlocal replaced
        if replaced:
            return  # the plugin believes that its answer goes out
        if (unit.opened or need.decides) and message["type"] == "http.response.start":
            problem = await _settle(need, work, scope, message["status"], gate.revoked)
            if problem is not None:
                replaced = True
                await send_problem(problem, scope, send)
                return
            revision = unit.policy_revision if message["status"] < _BAD_REQUEST else None
            if revision is not None and work.plugin not in gate.separate():
                headers = [*message.get("headers", ()), (POLICY_REVISION, b"%d" % revision)]
                message = {**message, "headers": headers}
        await send(message)

    return answer


async def _settle(
    need: Need,
    work: Work,
    scope: dict[str, Any],
    status: int,
    revoked: Callable[[dict[str, Any], Work], Awaitable[Problem | None]],
) -> Problem | None:
    """End the work before the first byte leaves; a problem replaces the answer."""
    if status >= _BAD_REQUEST:
        # The answer is an error anyway: a lost connection must not hide which.
        with contextlib.suppress(Exception):
            await work.unit.rollback()
        return None
    if need.decides and not work.asked:
        await work.unit.rollback()
        return _undecided(need, scope)
    try:
        if work.unit.opened and scope.get("method") not in SAFE_METHODS:
            gone = await revoked(scope, work)
            if gone is not None:
                await work.unit.rollback()
                return gone
        await work.unit.commit()
    except Exception as error:  # noqa: BLE001 - whatever the database says becomes the answer
        problem = to_problem(error)
        log_unexpected(error, problem, scope, need.plugin)
        with contextlib.suppress(Exception):
            await work.unit.rollback()
        return problem
    return None


async def _end_conversation(need: Need, work: Work, scope: dict[str, Any]) -> None:
    """Keep the work of a WebSocket whose handler has returned; its messages have long left."""
    if need.decides and not work.asked:
        _undecided(need, scope)
    elif FAILED not in scope:
        await work.unit.commit()


def _refusal(actor: Actor, need: Need, scope: dict[str, Any]) -> Problem:
    if not actor.signed_in:
        if scope.get(SESSION_EXPIRED):
            return Problem(401, "session_expired", "Your session has ended: sign in again.")
        if scope.get(INVALID_TOKEN):
            challenge = {"www-authenticate": 'Bearer error="invalid_token"'}
            return Problem(401, "invalid_token", "The token is unknown, revoked, or has ended.", headers=challenge)
        return Problem(401, "not_signed_in", "Sign in first.")
    if not need.permissions:
        return Problem(403, "forbidden", "This route declares no permission.")
    wanted = " or ".join(repr(permission) for permission in need.permissions)
    return Problem(403, "forbidden", f"This needs the permission {wanted}.")


def _undecided(need: Need, scope: dict[str, Any]) -> Problem:
    permission = need.permissions[0]
    log.error(
        "plugin %s: %s %s needs %r, which is asked of an object, but asked for no decision; undone (request %s)",
        need.plugin,
        scope.get("method", "WebSocket"),
        scope["path"],
        permission,
        scope.get(REQUEST_ID, "-"),
    )
    return Problem(500, "undecided", f"The route never asked whether {permission!r} holds for the object; undone.")
