"""`plugin-host migrate`: bring the tables up to date, or say what that would do."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from plugin_host.cli.hosts import host_options, json_option, open_planner, print_json, run


@click.command()
@click.argument("plugin_id", metavar="[ID]", required=False)
@click.option("--to", metavar="REV", help="Stop after this revision of the plugin.")
@click.option("--plan", "only_plan", is_flag=True, help="Say what would be done, and do nothing.")
@host_options
@json_option
def migrate(
    plugin_id: str | None,
    to: str | None,
    only_plan: bool,  # noqa: FBT001 - click's flags
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Bring the tables of core and of every plugin that may run up to date, core first.

    Example: plugin-host migrate --plan
    """
    if to is not None and plugin_id is None:
        raise click.UsageError("--to needs the ID of the plugin whose revision it is")
    document = run(_look(config, app) if only_plan else _do(config, app, plugin_id, to, quiet=as_json))
    if as_json:
        print_json(document)
    else:
        _tell(document, only_plan=only_plan)
    if document["faults"]:
        raise click.exceptions.Exit(1)


async def _look(config: str | None, app: str | None) -> dict[str, Any]:
    planner = open_planner(config, app)
    try:
        pending = await planner.pending()
    finally:
        await planner.database.close()
    steps = [{"plugin": step.plugin, "revision": step.revision} for step in pending.steps]
    return {"pending": steps, "applied": [], "faults": dict(pending.faults), "orphans": list(pending.orphans)}


async def _do(
    config: str | None, app: str | None, plugin: str | None, to: str | None, *, quiet: bool
) -> dict[str, Any]:
    planner = open_planner(config, app)
    loop = asyncio.get_running_loop()

    def tell(line: str) -> None:  # called from the thread that migrates
        if not quiet:
            loop.call_soon_threadsafe(click.echo, line)

    try:
        if plugin is not None:
            _must_exist((await planner.verified()).entries, plugin)
        outcome = await planner.migrate(plugin, to, tell)
        await asyncio.sleep(0)
    finally:
        await planner.database.close()
    return {
        "pending": [],
        "applied": list(outcome.applied),
        "faults": dict(outcome.faults),
        "orphans": list(outcome.orphans),
    }


def _must_exist(entries: Any, plugin: str) -> None:
    entry = next((entry for entry in entries if entry.id == plugin), None)
    if entry is None:
        raise click.ClickException(f"there is no plugin {plugin!r}; plugin-host plugins list names those there are")
    if entry.state != "active":
        text = entry.reason.text if entry.reason is not None else ""
        raise click.ClickException(f"plugin {plugin} is {entry.state} and would not run: {text}")


def _tell(document: dict[str, Any], *, only_plan: bool) -> None:
    if only_plan:
        for step in document["pending"]:
            click.echo(f"would apply {step['revision']}")
    if not document["pending"] and not document["applied"]:
        click.echo("Nothing to do.")
    for plugin in document["orphans"]:
        click.echo(f"{plugin}: its tables are here, its package is not; they are left as they are")
    for plugin, reason in document["faults"].items():
        click.echo(f"{plugin}: {reason.code}: {reason.text}\n      way out: {reason.way_out}", err=True)
