"""`plugin-host access renamed`: permissions that have another name now."""

from __future__ import annotations

import asyncio
from typing import Any

import click
import msgspec

from plugin_host.cli.hosts import host_options, json_option, open_host, print_json, print_table


@click.command("renamed")
@click.argument("old", required=False)
@host_options
@json_option
def renamed(
    old: str | None,
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """List permissions that have another name now, where something says the old one; or agree to the new one of OLD.

    Until then what says the old name matches nothing. Agreeing lets rules, roles and grants say the new one.

    Example: plugin-host access renamed contacts.person.update
    """
    items = msgspec.to_builtins(asyncio.run(_renamed(config, app, old)))
    if as_json:
        print_json({"items": items, "next": None})
        return
    rows = [(each["old"], each["new"], *(str(each[what]) for what in ("rules", "roles", "grants"))) for each in items]
    print_table(("OLD", "NEW", "RULES", "ROLES", "GRANTS"), rows)


async def _renamed(config: str | None, app: str | None, old: str | None) -> list[Any]:
    from plugin_host.core.governing.renaming import agree, waiting  # noqa: PLC0415 - brings SQLAlchemy
    from plugin_host.core.operator import operator  # noqa: PLC0415 - with it

    host = open_host(config, app)
    async with host.lifespan():
        if old is None:
            return list(await waiting(host.databases, host.standing))
        return [await agree(host.databases, host.standing, old, operator())]
