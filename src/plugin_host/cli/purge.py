"""`plugin-host plugins purge`: show everything that is kept of a plugin, export it if wished, and remove it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from plugin_host.cli.hosts import host_options, json_option, open_planner, print_json, run
from plugin_host.core.operator import account

if TYPE_CHECKING:
    from plugin_host.core.planner import Planner
    from plugin_host.core.removal import Purge, Purger

UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


@click.command()
@click.argument("plugin_id", metavar="ID")
@click.option("--preview", "only_preview", is_flag=True, help="Show what would be removed, and remove nothing.")
@click.option("--export", "file", metavar="FILE", help="Write all of it into this new zip file before.")
@click.option("--yes", metavar="ID", help="The id once more, instead of the question.")
@host_options
@json_option
def purge(  # noqa: PLR0913 - the contract's options
    plugin_id: str,
    only_preview: bool,  # noqa: FBT001 - click's flags
    file: str | None,
    yes: str | None,
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Remove a plugin's tables, its files and who has its roles, for good. Its package may be gone already.

    What there is to remove is shown first, and the id has to be typed (or given with --yes). The settings stay.

    Example: plugin-host plugins purge contacts --export contacts.zip
    """
    if only_preview and (file is not None or yes is not None):
        raise click.UsageError("--preview removes and writes nothing: leave out --export and --yes, or --preview")
    if yes is not None and yes != plugin_id:
        raise click.UsageError(f"--yes {yes} is not {plugin_id}: say the id of the plugin that is to be purged")
    if not only_preview and yes is None and not sys.stdin.isatty():
        raise click.UsageError(f"nobody is there to be asked: see --preview, then say --yes {plugin_id}")
    shown = run(_preview(config, app, plugin_id))
    if only_preview:
        print_json(shown) if as_json else _print(shown)
        return
    if not shown.empty:
        _decide(shown, yes, as_json=as_json)
    done = run(_purge(config, app, plugin_id, Path(file) if file is not None else None, quiet=as_json))
    if as_json:
        print_json(done)
    elif not done.purged:
        click.echo(f"Nothing to purge: nothing is kept of {plugin_id}.")
    elif done.installed:
        click.echo(
            f"{plugin_id} is purged, and stays off: `plugin-host plugins enable {plugin_id}` starts from nothing."
        )
    else:
        click.echo(f"{plugin_id} is purged; installed again, it starts from nothing.")


def _decide(shown: Purge, yes: str | None, *, as_json: bool) -> None:
    """Show what would go, and have the id typed unless it was given. What is shown is no part of the JSON."""
    _print(shown, err=as_json)
    if shown.obstacles:
        raise click.ClickException(f"{shown.plugin} is not purged: {' '.join(shown.obstacles)}")
    if yes is None:
        typed = click.prompt(
            f"Type {shown.plugin} to remove all of this for good", default="", show_default=False, err=True
        )
        if typed != shown.plugin:
            raise click.ClickException(f"that is not {shown.plugin}: nothing was removed")


async def _preview(config: str | None, app: str | None, plugin: str) -> Purge:
    planner = open_planner(config, app)
    try:
        return await _purger(planner).preview(plugin)
    finally:
        await planner.database.close()


async def _purge(config: str | None, app: str | None, plugin: str, file: Path | None, *, quiet: bool) -> Purge:
    planner = open_planner(config, app)
    loop = asyncio.get_running_loop()

    def tell(line: str) -> None:  # called from the thread that removes
        if not quiet:
            loop.call_soon_threadsafe(click.echo, line)

    try:
        done = await _purger(planner).purge(plugin, export=file, actor=account(), progress=tell)
        await asyncio.sleep(0)  # the last lines
    finally:
        await planner.database.close()
    return done


def _purger(planner: Planner) -> Purger:
    from plugin_host.core.removal import Purger  # noqa: PLC0415 - brings SQLAlchemy

    return Purger(planner)


def _print(shown: Purge, *, err: bool = False) -> None:
    click.echo(f"{shown.plugin} {shown.version or ''} ({shown.state or 'not installed'}). A purge removes:", err=err)
    for line in _removed(shown) or ["  nothing: nothing is kept of it"]:
        click.echo(line, err=err)
    kept = [f"setting {key}" for key in shown.settings]
    kept += [f"{link.parent}, which {link.table} ({', '.join(link.columns)}) points to" for link in shown.outbound]
    for title, lines in (
        ("It leaves as they are:", kept),
        ("Plugins that require it:", [f"{each.id} ({each.state})" for each in shown.dependents]),
        ("In the way:", shown.obstacles),
    ):
        if lines:
            click.echo("\n".join([title, *(f"  {line}" for line in lines)]), err=err)


def _removed(shown: Purge) -> list[str]:
    lines = []
    for table in shown.tables:
        made = "" if table.recorded else ", made by no revision: it is the plugin's by its name only"
        lines.append(f"  table {table.name}: {table.rows} rows{_size(table.bytes)}{made}")
        things = [f"{each.kind} {each.name}" for each in shown.things if each.table == table.name]
        if things:
            lines.append(f"      with {', '.join(things)}")
    lines += [f"  {each.kind} {each.name}" for each in shown.things if not each.table]
    if shown.revisions:
        lines.append(f"  what the ledger says of it: {', '.join(shown.revisions)}")
    lines += [
        f"  the role {role} of {count} {'person' if count == 1 else 'people'}" for role, count in shown.grants.items()
    ]
    if shown.files.count:
        lines.append(f"  folder {shown.files.folder}: {shown.files.count} files{_size(shown.files.bytes)}")
    if shown.registered:
        lines.append("  what was consented to" + ("" if shown.installed else ", and its row in the register"))
    return lines


def _size(size: int | None) -> str:
    """Word a number of bytes: `, 12.0 KiB`; nothing where it is not known."""
    if size is None:
        return ""
    power = min(max(size.bit_length() - 1, 0) // 10, len(UNITS) - 1)
    return f", {size / 1024**power:.1f} {UNITS[power]}" if power else f", {size} bytes"
