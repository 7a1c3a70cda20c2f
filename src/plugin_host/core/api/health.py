"""Health for load balancers: it says only ok; details are for those who may see plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from plugin_host.core.standing import HostView

# An operator's wish is no fault; these are.
FAULTS = frozenset({"refused", "blocked", "pending", "quarantined"})


def health_endpoints(host: HostView) -> dict[str, Any]:
    """Give the ASGI applications of the two exact paths, for the dispatcher."""

    async def live(scope: Any, receive: Any, send: Any) -> None:
        await _answer(send, 200, {"status": "ok"})

    async def ready(scope: Any, receive: Any, send: Any) -> None:
        if not host.ready:
            await _answer(send, 503, {"status": "starting"})
            return
        faulty = any(entry.state in FAULTS for entry in host.standing.generation.plan.entries)
        await _answer(send, 200, {"status": "degraded" if faulty else "ok"})

    return {"/health/live": live, "/health/ready": ready}


async def _answer(send: Any, status: int, body: dict[str, str]) -> None:
    raw = msgspec.json.encode(body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(raw)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": raw})
