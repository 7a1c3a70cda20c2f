"""`plugin-host migrate`: bring the tables up to date, take them back, or say or try what that would do."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

import click

from plugin_host.cli.hosts import host_options, json_option, open_planner, print_json, run

if TYPE_CHECKING:
    from plugin_host.core.planner import Planner
    from plugin_host.migrations.runner import Outcome


@click.command()
@click.argument("plugin_id", metavar="[ID]", required=False)
@click.option("--to", metavar="REV", help="Stop after this revision of the plugin, or go back to it (0: to nothing).")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--rehearse", is_flag=True, help="Do it on a copy of the database, and say how that went.")
@click.option("--sql", "as_sql", is_flag=True, help="Print what would be done as SQL, revision by revision.")
@click.option("--into", metavar="URL", help="The empty PostgreSQL database that --rehearse copies into.")
@click.option("--yes", is_flag=True, help="Go back without a question about what is lost.")
@host_options
@json_option
def migrate(  # noqa: PLR0913, PLR0917 - the contract's options, passed by name
    plugin_id: str | None,
    to: str | None,
    only_plan: bool,  # noqa: FBT001 - click's flags
    rehearse: bool,  # noqa: FBT001
    as_sql: bool,  # noqa: FBT001
    into: str | None,
    yes: bool,  # noqa: FBT001
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Bring the tables of core and of every plugin that may run up to date, core first.

    With --to and a revision that is applied already the tables of that plugin are taken back to it: what would be
    lost is named, and asked about.

    Example: plugin-host migrate --plan
    """
    if to is not None and plugin_id is None:
        raise click.UsageError("--to needs the ID of the plugin whose revision it is")
    if only_plan + rehearse + as_sql > 1:
        raise click.UsageError("--plan, --rehearse and --sql are three questions: ask one")
    if into is not None and not rehearse:
        raise click.UsageError("--into is where --rehearse copies to")
    if as_sql:
        run(_show_sql(config, app, plugin_id, as_json=as_json))
        return
    if only_plan:
        document = run(_look(config, app, plugin_id))
    elif rehearse:
        document = run(_rehearse(config, app, plugin_id, into, quiet=as_json))
    else:
        document = run(_do(config, app, plugin_id, to, yes=yes, quiet=as_json))
    if as_json:
        print_json(document)
    else:
        _tell(document, only_plan=only_plan)
    if document["faults"]:
        raise click.exceptions.Exit(1)


async def _look(config: str | None, app: str | None, plugin: str | None) -> dict[str, Any]:
    from plugin_host.core.migrating.telling import waiting  # noqa: PLC0415 - brings SQLAlchemy

    planner = open_planner(config, app)
    try:
        if plugin is not None:
            _must_exist((await planner.plan()).entries, plugin)
        plan = await planner.plan()
        pending = await planner.tables.pending(plan, plugin)
    finally:
        await planner.databases.close()
    orphans = [each for each in pending.orphans if plan.entry(each) is None]
    return {**_document(), "pending": waiting(pending), "faults": dict(pending.faults), "orphans": orphans}


async def _rehearse(
    config: str | None, app: str | None, plugin: str | None, into: str | None, *, quiet: bool
) -> dict[str, Any]:
    from plugin_host.core.migrating.rehearsing import rehearse  # noqa: PLC0415 - brings SQLAlchemy

    planner = open_planner(config, app)
    try:
        if plugin is not None:
            _must_exist((await planner.plan()).entries, plugin)
        outcome = await rehearse(planner, plugin, into, _teller(quiet=quiet))
        await asyncio.sleep(0)
    finally:
        await planner.databases.close()
    return {**_done(outcome), "rehearsed": True}


async def _show_sql(config: str | None, app: str | None, plugin: str | None, *, as_json: bool) -> None:
    from plugin_host.core.migrating.rehearsing import statements  # noqa: PLC0415 - brings SQLAlchemy

    planner = open_planner(config, app)
    try:
        found = await statements(planner, plugin)
    finally:
        await planner.databases.close()
    if as_json:
        print_json({"items": found})
    else:
        for each in found:
            click.echo(f"-- {each.revision}\n{each.sql}\n" if each.sql is not None else f"-- {each.problem}\n")
        if not found:
            click.echo("-- Nothing to do.")
    if any(each.sql is None for each in found):
        raise click.exceptions.Exit(1)


async def _do(
    config: str | None, app: str | None, plugin: str | None, to: str | None, *, yes: bool, quiet: bool
) -> dict[str, Any]:
    planner = open_planner(config, app)
    try:
        if plugin is not None and to is not None and await _goes_back(planner, plugin, to):
            return await _go_back(planner, plugin, to, yes=yes, quiet=quiet)
        if plugin is not None:
            _must_exist((await planner.verified()).entries, plugin)
        outcome = await planner.migrate(plugin, to, _teller(quiet=quiet))
        await asyncio.sleep(0)
    finally:
        await planner.databases.close()
    return _done(outcome)


async def _goes_back(planner: Planner, plugin: str, to: str) -> bool:
    """Tell whether a revision lies before the one where the tables of a plugin stand."""
    from plugin_host.core.migrating.going_back import goes_back  # noqa: PLC0415 - brings SQLAlchemy

    return await goes_back(planner, plugin, to)


async def _go_back(planner: Planner, plugin: str, to: str, *, yes: bool, quiet: bool) -> dict[str, Any]:
    from plugin_host.core.migrating.going_back import go_back, preview  # noqa: PLC0415 - brings SQLAlchemy

    descent = await preview(planner, plugin, to)
    lost = (
        f"this would drop {', '.join(descent.lost)}, with all that is in there" if descent.lost else "nothing is lost"
    )
    click.echo(f"{plugin} would go back over {', '.join(descent.revisions)}: {lost}.", err=quiet)
    if descent.lost and not yes:
        if not sys.stdin.isatty():
            raise click.ClickException(f"nobody is there to be asked about what is lost: say --yes; {plugin} stays")
        click.confirm("Go back?", abort=True, err=True)
    taken = await go_back(planner, plugin, to, _teller(quiet=quiet))
    await asyncio.sleep(0)
    return {**_document(), "reverted": list(taken)}


def _teller(*, quiet: bool) -> Any:
    """Make what prints lines of progress that come from the thread that migrates."""
    loop = asyncio.get_running_loop()

    def tell(line: str) -> None:
        if not quiet:
            loop.call_soon_threadsafe(click.echo, line)

    return tell


def _done(outcome: Outcome) -> dict[str, Any]:
    return {
        **_document(),
        "applied": list(outcome.applied),
        "faults": dict(outcome.faults),
        "orphans": list(outcome.orphans),
        "waits": {plugin: wait.text for plugin, wait in outcome.waits.items()},
    }


def _document() -> dict[str, Any]:
    return {"pending": [], "applied": [], "reverted": [], "faults": {}, "orphans": [], "waits": {}}


def _must_exist(entries: Any, plugin: str) -> None:
    entry = next((entry for entry in entries if entry.id == plugin), None)
    if entry is None:
        raise click.ClickException(f"there is no plugin {plugin!r}; plugin-host plugins list names those there are")
    if entry.state not in ("active", "pending"):
        text = entry.reason.text if entry.reason is not None else ""
        raise click.ClickException(f"plugin {plugin} is {entry.state} and would not run: {text}")


def _tell(document: dict[str, Any], *, only_plan: bool) -> None:
    if only_plan:
        for each in document["pending"]:
            click.echo(f"would apply {each.revision}" if each.held is None else each.held)
    if not (document["pending"] or document["applied"] or document["reverted"]):
        click.echo("Nothing to do.")
    for plugin in document["orphans"]:
        click.echo(f"{plugin}: its tables are here, its package is not; they are left as they are")
    for plugin, reason in document["faults"].items():
        click.echo(f"{plugin}: {reason.code}: {reason.text}\n      way out: {reason.way_out}", err=True)
