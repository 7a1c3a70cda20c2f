"""`plugin-host roles list|show`: the roles that plugins bring, and those of administrators."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from plugin_host.cli.hosts import host_options, json_option, open_planner, print_json, print_table, run


@click.group()
def roles() -> None:
    """List and show roles.

    Example: plugin-host roles list
    """


@roles.command("list")
@host_options
@json_option
def list_roles(config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """List every role with who brings it.

    Example: plugin-host roles list --json
    """
    found = run(_list(config, app))
    if as_json:
        print_json(found)
        return
    print_table(
        ("ROLE", "TITLE", "OF", "GIVES", "INCLUDES"),
        [
            (r["name"], r["title"], r["plugin"] or "-", str(len(r["grants"])), ", ".join(r["includes"]) or "-")
            for r in found["items"]
        ],
    )


@roles.command("show")
@click.argument("role")
@host_options
@json_option
def show_role(role: str, config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Show what a role gives.

    Example: plugin-host roles show contacts.editor
    """
    found = run(_show(config, app, role))
    if as_json:
        print_json(found)
        return
    click.echo(f"{found['name']}: {found['title']}")
    click.echo(f"of the plugin {found['plugin']}" if found["plugin"] else "made by an administrator")
    if found["description"]:
        click.echo(found["description"])
    for grant in found["grants"]:
        where = f" where {msgspec.json.encode(grant['where']).decode()}" if grant.get("where") else ""
        click.echo(f"  {grant['permission']}{where}")
    for included in found["includes"]:
        click.echo(f"  and all that {included} gives")


async def _list(config: str | None, app: str | None) -> dict[str, Any]:
    from plugin_host.core.governing.operating import reading  # noqa: PLC0415 - brings SQLAlchemy
    from plugin_host.core.governing.roles import all_roles  # noqa: PLC0415 - with it

    planner = open_planner(config, app)
    try:
        async with reading(planner) as (db, ground):
            revision = (await planner.database.revision()).policy
            items = sorted(await all_roles(db, ground), key=lambda role: role.name)
            return {"items": msgspec.to_builtins(items), "next": None, "revision": revision}
    finally:
        await planner.database.close()


async def _show(config: str | None, app: str | None, role: str) -> dict[str, Any]:
    from plugin_host.core.governing.operating import reading  # noqa: PLC0415 - brings SQLAlchemy
    from plugin_host.core.governing.roles import show_role as show  # noqa: PLC0415 - with it

    planner = open_planner(config, app)
    try:
        async with reading(planner) as (db, ground):
            revision = (await planner.database.revision()).policy
            return {**msgspec.to_builtins(await show(db, ground, role)), "revision": revision}
    finally:
        await planner.database.close()
