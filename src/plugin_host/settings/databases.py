"""`[pool]` and `[databases.<id>]`: connections, and where plugins with a database of their own have it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from plugin_host.settings.section import Section, Text


class Pool(Section, frozen=True, kw_only=True):
    """`[pool]`: connections that each process keeps to each database."""

    size: Annotated[
        int, Meta(ge=1, le=1000, description="Connections to one database that a process keeps open once it has them.")
    ] = 5
    overflow: Annotated[
        int, Meta(ge=0, le=1000, description="Connections beyond `pool.size` when many are in use; closed afterwards.")
    ] = 10
    timeout: Annotated[
        float, Meta(gt=0, description="Seconds that a request waits for a connection; then it gets 503 `busy`.")
    ] = 30.0


class OwnDatabase(Section, frozen=True, kw_only=True):
    """`[databases.<id>]`: where a plugin whose manifest says `"data": {"database": "own"}` has it."""

    url: Annotated[Text, Meta(description="`sqlite:///file.db` or `postgresql://user@host/name`.")]
    schema: Annotated[
        Annotated[str, Meta(pattern="^[a-z_][a-z0-9_]{0,62}$")] | None,
        Meta(description="PostgreSQL schema that holds the plugin's tables; made if it is not there."),
    ] = None
