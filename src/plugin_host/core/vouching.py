"""Authenticators of plugins: asked who is there when nothing of the host's own says it.

1. Only a request without a session or token of the host is asked about: no plugin overrules a sign-in.
2. What a plugin vouches for holds for this one call. It begins no session and adds no user.
3. An id of somebody who has an account here means that person, with their own roles, if they are active. Any other
   id is somebody from elsewhere: of the roles that the plugin names, only its own count, and no groups.
4. One that fails, hangs or answers nonsense is nobody, in its own name, and is left out for a while.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from litestar.connection import ASGIConnection

from plugin_host.access.members import memberships_of
from plugin_host.auth.people import ACTIVE
from plugin_host.sdk.context import ANONYMOUS, Actor, Identity

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from plugin_host.auth.people import People
    from plugin_host.database import Database

    Authenticator = Callable[[Any], Awaitable[Identity | None]]

LIMIT: Final = 5.0
"""Seconds that an authenticator may take."""

PAUSE: Final = 30.0
"""Seconds for which one that failed is not asked again: everybody who is not signed in would wait for it."""

MAX_ID: Final = 64
MAX_NAME: Final = 200

log = logging.getLogger("plugin_host.auth")


class Vouching:
    """Asks the authenticators of plugins; `people` are core's accounts, None where an application has the people."""

    def __init__(
        self,
        database: Database,
        people: People | None,
        *,
        limit: float = LIMIT,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._people = people
        self._limit = limit
        self._clock = clock
        self._paused: dict[str, float] = {}

    async def ask(self, scope: Mapping[str, Any], authenticators: Sequence[tuple[str, Authenticator]]) -> Actor:
        """Give whoever the first authenticator vouches for, `ANONYMOUS` if none does; never raises for a plugin."""
        for plugin, authenticate in authenticators:
            if self._clock() < self._paused.get(plugin, 0.0):
                continue
            identity = await self._call(plugin, authenticate, scope)
            if identity is not None:
                return await self._actor(plugin, identity)
        return ANONYMOUS

    async def _call(self, plugin: str, authenticate: Authenticator, scope: Mapping[str, Any]) -> Identity | None:
        """Ask one, in a task of its own: whatever it raises, and if it never ends, the request goes on."""
        task = asyncio.ensure_future(_shielded(authenticate, dict(scope)))
        try:
            done, _ = await asyncio.wait({task}, timeout=self._limit)
        finally:
            if not task.done():
                task.cancel()
        fault = f"took more than {self._limit:g} seconds"
        if done:
            answer = task.result()
            if answer is None or (isinstance(answer, Identity) and (fault := identity_fault(answer)) == ""):
                return answer
            if not isinstance(answer, Identity):
                fault = f"raised {answer!r}" if isinstance(answer, BaseException) else f"gave {type(answer).__name__}"
        log.error("plugin %s: its authenticator %s; it is not asked again for %g seconds", plugin, fault, PAUSE)
        self._paused[plugin] = self._clock() + PAUSE
        return None

    async def _actor(self, plugin: str, identity: Identity) -> Actor:
        known = await self._known(identity.id)
        if known is not None:
            return known
        own = tuple(role for role in identity.roles if role.startswith(f"{plugin}."))
        if len(own) < len(identity.roles):
            log.warning("plugin %s names roles that are not its own for %r: they do not count", plugin, identity.id)
        return Actor(
            id=identity.id,
            username=identity.username,
            display=identity.display,
            roles=own,
            credential="plugin",
            credential_id=plugin,
        )

    async def _known(self, user_id: str) -> Actor | None:
        """Give somebody who has an account here; one that is disabled is nobody."""
        if self._people is None:
            return None
        unit = self._database.unit(write=False)
        try:
            user = await self._people.by_id(unit.session, user_id)
            if user is None:
                return None
            if user.status != ACTIVE:
                return ANONYMOUS
            roles, groups = await memberships_of(unit.session, user.id)
        finally:
            await unit.close()
        return Actor(
            id=user.id, username=user.username, display=user.display, roles=roles, groups=groups, credential="plugin"
        )


async def _shielded(authenticate: Authenticator, scope: dict[str, Any]) -> Any:
    """Give what the authenticator gives or raises: an exception like SystemExit must not leave the task."""
    try:
        return await authenticate(ASGIConnection(scope))  # type: ignore[arg-type] # a copy of the scope
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - also SystemExit and KeyboardInterrupt: a plugin never ends the host
        return error


def identity_fault(identity: Identity) -> str:
    """Say what is wrong with an identity, nothing if it is fine: types were not checked when it was made."""
    if not isinstance(identity.id, str) or not 0 < len(identity.id) <= MAX_ID or not identity.id.isprintable():
        return f"gave an id that is no text of 1 to {MAX_ID} characters: {identity.id!r:.100}"
    for name in ("username", "display"):
        said = getattr(identity, name)
        if not isinstance(said, str) or len(said) > MAX_NAME or not said.isprintable():
            return f"gave a {name} that is no text of at most {MAX_NAME} characters"
    if not all(isinstance(each, str) for each in (*identity.roles, *identity.groups)):
        return "gave roles or groups that are no texts"
    return ""
