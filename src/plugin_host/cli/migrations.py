"""`plugin-host migrations`: what was done to the tables, whether all is well, and ways out where it is not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from plugin_host.cli.hosts import host_options, json_option, open_planner, print_json, print_table, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plugin_host.core.planner import Planner


@click.group()
def migrations() -> None:
    """Look into the ledger of migrations, and say how to go on where one stopped.

    Example: plugin-host migrations history contacts
    """


@migrations.command()
@click.argument("plugin_id", metavar="[ID]", required=False)
@host_options
@json_option
def history(plugin_id: str | None, config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """List what was done, of one plugin or all, the latest last; failures too.

    Example: plugin-host migrations history contacts
    """
    from plugin_host.core.migrating.telling import history as read  # noqa: PLC0415 - brings SQLAlchemy

    rows = _with_planner(config, app, lambda planner: read(planner, plugin_id))
    if as_json:
        print_json({"items": rows})
        return
    print_table(
        ["WHEN", "REVISION", "WHAT", "STATE", "VERSION", "MS", "BY"],
        [
            [
                f"{row.at:%Y-%m-%d %H:%M:%S}",
                row.revision or row.plugin,
                row.op,
                row.state,
                row.version,
                str(row.ms),
                f"{row.actor}@{row.node}",
            ]
            for row in rows
        ],
    )
    for row in rows:
        if row.error:
            click.echo(f"{row.revision}: {row.error}", err=True)


@migrations.command()
@click.argument("plugin_id", metavar="[ID]", required=False)
@host_options
@json_option
def verify(plugin_id: str | None, config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Hold the database against the files: edited revisions, tables that differ, rows that point nowhere.

    Writes nothing. Exits with 1 if anything is not as it should be.

    Example: plugin-host migrations verify
    """
    from plugin_host.core.migrating.verifying import verify as look  # noqa: PLC0415 - brings SQLAlchemy

    found = _with_planner(config, app, lambda planner: look(planner, plugin_id))
    if as_json:
        print_json({"items": found})
    else:
        for each in found:
            click.echo(f"{each.plugin}: {each.revision or 'no tables yet'}{'' if each.troubles else ', all is well'}")
            for trouble in each.troubles:
                click.echo(f"  {trouble.kind}: {trouble.text}")
                if trouble.diff is not None:
                    click.echo("\n".join(f"      {line}" for line in trouble.diff.splitlines()))
    if any(each.troubles for each in found):
        raise click.exceptions.Exit(1)


@migrations.command()
@click.argument("plugin_id", metavar="ID")
@click.option("--applied", is_flag=True, help="All of it is done: go on after it.")
@click.option("--retry", is_flag=True, help="What it did is undone: try it again at the next migration.")
@host_options
@json_option
def resolve(
    plugin_id: str,
    applied: bool,  # noqa: FBT001 - click's flags
    retry: bool,  # noqa: FBT001
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Say how a revision stands that runs outside of a transaction and was not finished.

    Look at the tables first: with --retry, indexes that were not finished are dropped, and nothing else is undone.

    Example: plugin-host migrations resolve contacts --retry
    """
    if applied == retry:
        raise click.UsageError("say either --applied or --retry")
    from plugin_host.core.migrating.going_back import resolve as say  # noqa: PLC0415 - brings SQLAlchemy

    revision = _with_planner(config, app, lambda planner: say(planner, plugin_id, applied=applied))
    if as_json:
        print_json({"plugin": plugin_id, "revision": revision, "resolved": "applied" if applied else "retry"})
    else:
        click.echo(f"{revision} is {'done' if applied else 'tried again'} from here on; run plugin-host migrate.")


@migrations.command()
@click.argument("plugin_id", metavar="ID")
@click.option("--at", "revision", metavar="REV", required=True, help="The revision that makes such tables.")
@host_options
@json_option
def adopt(
    plugin_id: str,
    revision: str,
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Take over tables that are there and that the ledger does not know: they are what a revision makes.

    The tables are held against that revision, and nothing is written where they differ.

    Example: plugin-host migrations adopt contacts --at contacts_0002
    """
    from plugin_host.core.migrating.going_back import adopt as take  # noqa: PLC0415 - brings SQLAlchemy

    adopted = _with_planner(config, app, lambda planner: take(planner, plugin_id, revision))
    if as_json:
        print_json({"plugin": plugin_id, "revision": adopted})
    else:
        click.echo(f"The tables of {plugin_id} are at {adopted} from here on.")


def _with_planner(config: str | None, app: str | None, ask: Callable[[Planner], Awaitable[Any]]) -> Any:
    async def work() -> Any:
        planner = open_planner(config, app)
        try:
            return await ask(planner)
        finally:
            await planner.databases.close()

    return run(work())
