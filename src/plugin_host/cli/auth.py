"""`plugin-host auth rotate-keys`: the keys that sign access tokens."""

from __future__ import annotations

from typing import Any

import click

from plugin_host.cli.hosts import host_options, json_option, open_planner, print_json, run


@click.group()
def auth() -> None:
    """Look after the keys that sign access tokens.

    Example: plugin-host auth rotate-keys
    """


@auth.command("rotate-keys")
@click.option("--revoke-old", is_flag=True, help="Withdraw the old keys at once: access tokens of theirs are refused.")
@host_options
@json_option
def rotate_keys(revoke_old: bool, config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's
    """Make a new key that signs from now on; the old ones verify until their last token has ended.

    Running processes follow at their next request.

    Example: plugin-host auth rotate-keys --revoke-old
    """
    keys = run(_rotate(config, app, revoke=revoke_old))
    if as_json:
        print_json({"keys": keys})
        return
    for place, key in enumerate(keys):
        click.echo(f"{key['kid']}  {key['alg']}  {'signs' if place == 0 else 'verifies'}")


async def _rotate(config: str | None, app: str | None, *, revoke: bool) -> list[dict[str, Any]]:
    from plugin_host.audit import Entry, record_apart  # noqa: PLC0415 - brings SQLAlchemy
    from plugin_host.core.credentials import Credentials  # noqa: PLC0415 - with it
    from plugin_host.core.operator import operator  # noqa: PLC0415 - with it

    planner = open_planner(config, app)
    credentials = Credentials(planner.settings, planner.database)
    try:
        await planner.migrate("core", None, None)
        key = await credentials.ring.rotate(revoke=revoke)
        detail = {"alg": key.alg, "old_ones": "withdrawn" if revoke else "verify on"}
        entry = Entry(action="core.key.rotated", actor=operator(), object=f"key:{key.kid}", detail=detail)
        await record_apart(planner.database, entry)
        return await credentials.ring.published()
    finally:
        credentials.passwords.close()
        await planner.database.close()
