"""`[limits.rates]`: how often somebody may ask."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta

from plugin_host.settings.section import Section

Rate: TypeAlias = Annotated[str, Meta(pattern=r"^[1-9]\d{0,8}/(second|minute|hour|day)$(?![^a])")]


class Rates(Section, frozen=True, kw_only=True):
    """`[limits.rates]`: requests in a time, as `600/minute`; who sends more gets 429. Without one there is no limit."""

    address: Annotated[
        Rate | None,
        Meta(description="Requests of one address, signed in or not; of IPv6 a /64 is one. Health is not counted."),
    ] = None
    account: Annotated[Rate | None, Meta(description="Calls of one person, by whichever sessions and tokens.")] = None
    token: Annotated[Rate | None, Meta(description="Calls of one access, personal or service token.")] = None
    plugin: Annotated[Rate | None, Meta(description="Calls of one plugin by everybody together; `core` has none.")] = (
        None
    )
    store: Annotated[
        Annotated[str, Meta(pattern=r"^(memory|rediss?://[^\s]+)$(?![^a])")],
        Meta(
            description="Where it is counted: `memory`, each process for itself, or `redis://host:6379/0`, all "
            "processes and machines together (needs `plugin-host[redis]`). While Redis is away, memory."
        ),
    ] = "memory"
