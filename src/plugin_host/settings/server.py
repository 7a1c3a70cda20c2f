"""`[server]`: how `plugin-host serve` listens, and what it bears from those who connect."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from msgspec import Meta

from plugin_host.settings.section import Section, Text


class Server(Section, frozen=True, kw_only=True):
    """`[server]`: how `plugin-host serve` listens. An embedding application has its own server."""

    host: Annotated[Text, Meta(description="Address to listen on; `0.0.0.0` is every network of the machine.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8000
    workers: Annotated[
        int, Meta(ge=1, le=64, description="Processes that serve. SQLite lets one write at a time: keep 1 there.")
    ] = 1
    graceful_timeout: Annotated[
        int, Meta(ge=0, description="Seconds that running requests are given when a plugin or the server stops.")
    ] = 10
    hosts: Annotated[
        tuple[Text, ...],
        Meta(
            description="Host names that requests may be sent to (`*.example.org` is those below, `*` any); others get "
            "400. Empty: the name in `public_url` and those of this machine's loopback. Without `public_url`: any "
            "name, or only the latter where the host listens on loopback."
        ),
    ] = ()
    trusted_proxies: Annotated[
        tuple[Text, ...],
        Meta(description="Addresses of proxies whose `X-Forwarded-…` headers are believed. Empty: none."),
    ] = ()
    header_bytes: Annotated[
        int, Meta(ge=1024, description="Bytes of a request's first line and headers together; more gets 431.")
    ] = 65_536
    header_count: Annotated[int, Meta(ge=10, description="Headers of a request; more gets 431.")] = 100
    header_timeout: Annotated[
        float,
        Meta(
            gt=0,
            description="Seconds that a request's headers may take to arrive. A connection over which nothing has "
            "come yet is closed then, too.",
        ),
    ] = 20.0
    body_timeout: Annotated[
        float,
        Meta(
            gt=0,
            description="Seconds that a request's body may take to arrive, and one more for each 1000 bytes of it; "
            "a reader that takes nothing of an answer for so long is cut as well.",
        ),
    ] = 30.0
    connections: Annotated[
        int,
        Meta(ge=1, description="Connections of one process; the oldest idle one makes place for a new one, or 503."),
    ] = 10_000
    connections_per_address: Annotated[
        int, Meta(ge=1, description="As `server.connections`, for each address; a trusted proxy has no such limit.")
    ] = 1000


def is_loopback(host: str) -> bool:
    """Tell whether an address is reached from this machine only."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
