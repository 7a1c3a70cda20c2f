"""What uvicorn is told: its limits, our protocols, and no more about the outside than we say ourselves."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    import asyncio

    from plugin_host.settings import Settings

WORKER: Final = "_PLUGIN_HOST_WORKER"
"""What a worker process is told: the settings as JSON. Not a setting, hence the underscore."""

RESERVED: Final = 200
"""Files that are kept for the database, logs and plugins when connections are counted against the limit of files."""


def uvicorn_options(settings: Settings, *, workers: bool = False) -> dict[str, Any]:
    """Give the options for one server; with `workers`, for processes that look their protocols up themselves."""
    protocols = {"http": f"{__name__}:http", "ws": f"{__name__}:ws"} if workers else _protocols(settings)
    return {
        "log_level": "warning",
        "access_log": False,
        "server_header": False,
        # Without a limit one open event stream would keep the server from ever stopping.
        "timeout_graceful_shutdown": int(settings.server.graceful_timeout),
        # The edge reads what trusted proxies say.
        "proxy_headers": False,
        "ws_max_size": settings.limits.body,
        **protocols,
    }


def _protocols(settings: Settings) -> dict[str, Any]:
    try:
        import httptools  # type: ignore[import-not-found,import-untyped,unused-ignore] # noqa: F401, PLC0415 - lazy, and not on Windows
    except ImportError:
        return {}
    from plugin_host.gateway.proxies import Proxies  # noqa: PLC0415 - lazy
    from plugin_host.gateway.wire.connections import Connections, WireLimits  # noqa: PLC0415
    from plugin_host.gateway.wire.protocol import limited  # noqa: PLC0415
    from plugin_host.gateway.wire.socket import limited_socket  # noqa: PLC0415

    server = settings.server
    limits = WireLimits(
        header_bytes=server.header_bytes,
        header_count=server.header_count,
        header_timeout=server.header_timeout,
        body_timeout=server.body_timeout,
        connections=min(server.connections, _room(server.connections)),
        connections_per_address=server.connections_per_address,
    )
    register = Connections(limits, Proxies(server.trusted_proxies).trusts)
    return {"http": limited(register), "ws": limited_socket(register)}


def _room(wanted: int) -> int:
    """Raise the limit of open files as far as is allowed; gives how many connections there is room for."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return wanted
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted + RESERVED:
        soft = wanted + RESERVED if hard == resource.RLIM_INFINITY else min(hard, wanted + RESERVED)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(soft - RESERVED, 50)


_made: dict[str, type[asyncio.Protocol]] = {}


def __getattr__(name: str) -> type[asyncio.Protocol]:
    """Make the protocols of a worker process when uvicorn looks them up by name."""
    if name not in ("http", "ws"):
        raise AttributeError(name)
    if not _made:
        from plugin_host.settings import Settings  # noqa: PLC0415 - lazy

        said = msgspec.json.decode(os.environ[WORKER], type=dict[str, msgspec.Raw])
        _made.update(_protocols(msgspec.json.decode(said["settings"], type=Settings)))
    return _made[name]
