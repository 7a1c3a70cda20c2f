"""`plugin-host makemigration`: write a plugin's next revision from its models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from plugin_host.cli.hosts import host_options, json_option, open_planner, print_json, run

if TYPE_CHECKING:
    from plugin_host.core.migrating.making import Made


@click.command()
@click.argument("plugin_id", metavar="ID")
@click.option("-m", "--message", metavar="TEXT", required=True, help="What the revision does, in a few words.")
@click.option("--drop", "drops", is_flag=True, help="Also drop tables and columns that no model has any more.")
@click.option("--empty", is_flag=True, help="Write a revision without operations, to be filled in.")
@host_options
@json_option
def makemigration(  # noqa: PLR0913 - the contract's options
    plugin_id: str,
    message: str,
    drops: bool,  # noqa: FBT001 - click's flags
    empty: bool,  # noqa: FBT001
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Write a plugin's next revision: what its models say, against what its revisions so far make.

    They are compared in a temporary database; the one in the settings is not needed. Read what was written.

    Example: plugin-host makemigration contacts -m "Add a birthday"
    """
    made = run(_make(config, app, plugin_id, message, drops=drops, empty=empty))
    if as_json:
        print_json(made)
        return
    if made.file is None:
        click.echo(f"Nothing to do: the models of {plugin_id} and its revisions agree.")
        return
    for each in made.operations:
        click.echo(f"  {each}")
    click.echo(f"Wrote {made.file}: read it, and run the plugin's tests.")
    for warning in made.warnings:
        click.echo(f"warning: {warning}", err=True)


async def _make(config: str | None, app: str | None, plugin: str, message: str, *, drops: bool, empty: bool) -> Made:
    from plugin_host.core.migrating.making import make  # noqa: PLC0415 - brings SQLAlchemy

    planner = open_planner(config, app)
    try:
        return await make(planner, plugin, message, drops=drops, empty=empty)
    finally:
        await planner.databases.close()
