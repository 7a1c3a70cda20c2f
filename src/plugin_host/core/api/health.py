"""Health for load balancers: it says only ok; details are for those who may see plugins."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

import msgspec

from plugin_host.plugins.blame import describe
from plugin_host.sdk.contributions import Health

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plugin_host.core.standing import HostView

log = logging.getLogger("plugin_host")

LIMIT: Final = 2.0
"""Seconds that a plugin's health check may take."""

# An operator's wish is no fault; these are.
FAULTS = frozenset({"refused", "blocked", "pending", "quarantined"})


def health_endpoints(host: HostView) -> dict[str, Any]:
    """Give the ASGI applications of the two exact paths, for the dispatcher."""

    async def live(scope: Any, receive: Any, send: Any) -> None:
        await _answer(send, 200, {"status": "ok"})

    async def ready(scope: Any, receive: Any, send: Any) -> None:
        status = await host.ready()
        if status != "ok":
            await _answer(send, 503, {"status": status})
            return
        parked = any(entry.state in FAULTS for entry in host.standing.generation.plan.entries)
        healthy = not parked and all(await asyncio.gather(*(_ask(*each) for each in host.health_checks)))
        await _answer(send, 200, {"status": "ok" if healthy else "degraded"})

    return {"/health/live": live, "/health/ready": ready}


async def _ask(plugin: str, check: Callable[[], Awaitable[Health]]) -> bool:
    """Tell whether a plugin says that it is well, within two seconds; whatever it raises is a no."""
    task = asyncio.ensure_future(_outcome(check))
    done, _ = await asyncio.wait({task}, timeout=LIMIT)
    if not done:  # it may not even let itself be cancelled
        task.cancel()
        log.warning("the health check of %s takes more than %g seconds", plugin, LIMIT)
        return False
    health = asyncio.CancelledError() if task.cancelled() else task.result()
    if isinstance(health, BaseException):
        log.warning("the health check of %s failed: %s", plugin, describe(health, None))
        return False
    if not isinstance(health, Health):
        log.warning("the health check of %s answers no Health, but an object of %s", plugin, type(health).__name__)
        return False
    if health.status != "ok":
        log.warning("plugin %s is %s: %s", plugin, health.status, health.detail)
    return health.status == "ok"


async def _outcome(check: Callable[[], Awaitable[Health]]) -> object:
    """Give what a check answers or raises: a task that raises SystemExit would end the event loop."""
    try:
        return await check()
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - handed on
        return error


async def _answer(send: Any, status: int, body: dict[str, str]) -> None:
    raw = msgspec.json.encode(body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(raw)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": raw})
