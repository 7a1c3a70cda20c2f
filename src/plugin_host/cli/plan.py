"""`plugin-host plan` and `schema`: what starting now would do, what an upgrade would change, what files may say."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from plugin_host.cli.hosts import host_options, json_option, open_planner, print_json, run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from plugin_host.core.installation import Outlook
    from plugin_host.plugins.plan import Plan, PlanEntry

# Parked by the plugin's own fault, not by an operator's wish.
OWN_FAULTS = frozenset({"refused", "blocked", "pending", "quarantined"})


@click.command()
@click.option(
    "--with",
    "wheels",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="WHEEL",
    help="Plan as if this wheel (or folder) were installed, and show the difference; may be given several times.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 if any plugin is parked by its own fault.")
@host_options
@json_option
def plan(
    wheels: tuple[Path, ...],
    strict: bool,  # noqa: FBT001 - click's flags
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Say what starting now would do: the order, and what would not run and why. Writes nothing.

    With --with it exits with 1 if the wheel would not run, or if something that runs would stop.

    Example: plugin-host plan --with host_contacts-1.1-py3-none-any.whl
    """
    from plugin_host.core.documents import plan_document  # noqa: PLC0415 - brings SQLAlchemy

    outlook = None
    if wheels:
        outlook = _look_ahead(config, app, wheels)
        made = outlook.plan
        document = {**plan_document(made), "difference": outlook.difference}
    else:
        made = run(_plan(config, app))
        document = plan_document(made)
    if as_json:
        print_json(document)
    elif outlook is not None:
        _print_difference(outlook)
    else:
        _print_plan(made)
    for warning in made.warnings:
        click.echo(f"warning: {warning}", err=True)
    core = made.entry("core")
    failed = core is None or core.state != "active" or (outlook is not None and not outlook.runs)
    if failed or (strict and any(entry.state in OWN_FAULTS for entry in made.entries)):
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("file", type=click.Choice(["plugin", "permissions", "menu"]))
def schema(file: str) -> None:
    """Print the JSON Schema of plugin.json, permissions.json or menu.json.

    Example: plugin-host schema plugin > plugin.schema.json
    """
    from plugin_host.sdk.manifest import FILES  # noqa: PLC0415 - only here

    document: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **msgspec.json.schema(FILES[file]),
    }
    print_json(document)


def headline(entry: PlanEntry) -> str:
    """Word one plugin and its state."""
    place = f"{entry.order}." if entry.order is not None else "-"
    return f"{place:>4} {entry.id} {entry.version or ''} {entry.state} ({entry.name}, {entry.place})"


def explain(entry: PlanEntry) -> None:
    """Print why a plugin is parked, if it is, and the way out."""
    if entry.reason is None:
        return
    click.echo(f"      {entry.reason.code}: {entry.reason.text}")
    if entry.reason.way_out:
        click.echo(f"      way out: {entry.reason.way_out}")


async def _plan(config: str | None, app: str | None) -> Plan:
    planner = open_planner(config, app)
    try:
        return await planner.verified()
    finally:
        await planner.database.close()


def _look_ahead(config: str | None, app: str | None, wheels: Sequence[Path]) -> Outlook:
    from plugin_host.core.installation import NoPlugin, look_ahead  # noqa: PLC0415 - brings SQLAlchemy

    async def look(folder: Path) -> Outlook:
        planner = open_planner(config, app)
        try:
            return await look_ahead(planner, wheels, folder)
        finally:
            await planner.database.close()

    with tempfile.TemporaryDirectory(prefix="plugin-host-plan-") as folder:
        try:
            return run(look(Path(folder)))
        except NoPlugin as error:
            raise click.ClickException(str(error)) from None


def _print_plan(made: Plan) -> None:
    for entry in made.entries:
        click.echo(headline(entry))
        for why in entry.why:
            click.echo(f"      {why}")
        explain(entry)
        for line in _contents(entry) if entry.id != "core" else ():
            click.echo(f"      {line}")


def _contents(entry: PlanEntry) -> Iterator[str]:
    """Word what a plugin brings that an operator should know of before it runs."""
    for title, words in (
        ("new permissions", entry.added),
        ("permissions that are gone", entry.removed),
        ("waits for consent to", entry.awaiting),
        ("uses of others", entry.asks),
        ("public", [f"{route.method} {route.path} ({route.reason})" for route in entry.public]),
        ("listens to", entry.subscribes),
        ("migrations that wait", entry.pending),
        ("would stop with it", entry.dependents),
    ):
        if words:
            yield f"{title}: {', '.join(words)}"
    if entry.restart_needed:
        yield "another version than this one ran last: a running host needs a restart"


def _print_difference(outlook: Outlook) -> None:
    from plugin_host.plugins.difference import tell  # noqa: PLC0415 - lazy

    for change in outlook.difference.plugins:
        for told in tell(change):
            click.echo(told)
    if not outlook.difference.plugins:
        click.echo("Nothing would change.")
    stops = outlook.difference.stops
    if stops:
        click.echo(f"These run now and would stop: {', '.join(stops)}.")
    named = [entry for plugin in outlook.plugins if (entry := outlook.plan.entry(plugin)) is not None]
    for entry in named:
        click.echo(f"{entry.id} would {'run' if entry.state == 'active' else f'not run: it would be {entry.state}'}.")
