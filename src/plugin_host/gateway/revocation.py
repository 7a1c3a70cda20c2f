"""Streams and WebSockets whose right is gone are ended: the gate let them in once, and they may stay for hours.

1. Whoever notices that a revision has moved calls `end_revoked` for the usage of every plugin.
2. Of each answer that has begun, and each WebSocket, the gate is asked anew: who is it, and may they still?
3. A WebSocket that may not is closed with 4403, or 4401 when the credential itself is gone; a stream is cut without
   its end, so that half of it does not look like the whole. What it had not committed is undone.

One that cannot be cancelled is cancelled again at the next look, and a WebSocket is closed from outside.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any

from plugin_host.gateway.gate import WORK
from plugin_host.gateway.guard import STATUS, Revoked
from plugin_host.gateway.problems import FAILED, REQUEST_ID, UNWORDED
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from plugin_host.gateway.guard import Call, Usage

log = logging.getLogger("plugin_host.gateway")


def is_open(usage: Usage) -> bool:
    """Tell whether there is anything that would have to be asked anew."""
    return any(True for _ in _open(usage))


async def end_revoked(usage: Usage, judge: Callable[[Any], Awaitable[Problem | None]]) -> int:
    """Ask anew of all that is open in a plugin, and end what may not go on; gives how many could not be asked.

    `judge` is given a scope and says why its actor may no longer have it, or None; it raises `Problem` if it cannot
    say, because the database is away: then it goes on, for nothing can be known to have changed.
    """
    unknown = 0
    for key, (_, task, scope, send) in list(_open(usage)):
        if key in usage.revoked:
            await _insist(usage.revoked[key], scope, send)
            continue
        try:
            problem = await judge(scope)
        except Problem as error:
            log.warning("%s cannot be judged again: %s (request %s)", scope["path"], error, scope.get(REQUEST_ID, "-"))
            unknown += 1
            continue
        if problem is None or not (key in usage.under_way or key in usage.talking):
            continue  # or it has ended meanwhile
        scope[FAILED] = problem
        usage.revoked[key] = revoked = Revoked(task)
        revoked.call_off()
        log.info("%s is ended, %s (request %s)", scope["path"], problem.code, scope.get(REQUEST_ID, "-"))
    return unknown


def _open(usage: Usage) -> Iterator[tuple[int, Call]]:
    """Give what was let in: answers that have begun (others end with the right they came with), and WebSockets."""
    for key, call in usage.under_way.items():
        if STATUS in call[2] and WORK in call[2]:
            yield key, call
    for key, call in usage.talking.items():
        if WORK in call[2]:
            yield key, call


async def _insist(revoked: Revoked, scope: Any, send: Any) -> None:
    """End what has made nothing of being cancelled."""
    if scope["type"] == "websocket":
        with contextlib.suppress(Exception):  # the other side may be gone
            await send({"type": "websocket.close", "code": UNWORDED})
    revoked.call_off()
