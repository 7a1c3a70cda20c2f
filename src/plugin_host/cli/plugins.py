"""`plugin-host plugins …`: what there is, what it took, and what operators wish for and consent to."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from plugin_host.cli.hosts import host_options, json_option, open_planner, print_json, print_table, run
from plugin_host.cli.plan import explain, headline
from plugin_host.cli.purge import purge
from plugin_host.core.operator import operator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from plugin_host.core.wishes import Wishes
    from plugin_host.plugins.plan import Found, Plan, PlanEntry


@click.group()
def plugins() -> None:
    """List, show and switch the plugins.

    Example: plugin-host plugins list --json
    """


plugins.add_command(purge)


@plugins.command("list")
@host_options
@json_option
def list_plugins(config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """List every plugin that was found, with its state and what is wrong with it.

    Example: plugin-host plugins list
    """
    from plugin_host.core.documents import plugin_list  # noqa: PLC0415 - brings SQLAlchemy

    made, accounts, sizes = run(_seen(config, app))
    if as_json:
        print_json(plugin_list(made, accounts=accounts.get, sizes=sizes))
        return
    print_table(
        ("ID", "VERSION", "STATE", "NAME", "FROM", "NOTES"),
        [
            (entry.id, entry.version or "-", entry.state, entry.name, entry.place, _notes(entry, accounts, sizes))
            for entry in made.entries
        ],
    )
    for entry in made.entries:
        if entry.reason is not None:
            click.echo(f"\n{entry.id} is {entry.state}:")
            explain(entry)


@plugins.command("show")
@click.argument("plugin_id", metavar="ID")
@host_options
@json_option
def show_plugin(plugin_id: str, config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Show one plugin.

    Example: plugin-host plugins show contacts
    """
    from plugin_host.core.documents import plugin_row  # noqa: PLC0415 - brings SQLAlchemy

    made, accounts, sizes = run(_seen(config, app))
    entry = made.entry(plugin_id)
    if entry is None:
        known = ", ".join(sorted(found.id for found in made.entries))
        raise click.ClickException(f"there is no plugin {plugin_id!r}; there are: {known}")
    if as_json:
        print_json(plugin_row(entry, account=accounts.get(plugin_id), size=sizes.get(plugin_id)))
        return
    click.echo(headline(entry))
    explain(entry)
    for title, words in (
        ("requires", [f"{name} {wanted}" for name, wanted in entry.requires.items()]),
        ("permissions", entry.permissions),
        ("roles", entry.roles),
        ("public routes", [f"{route.method} {route.path} ({route.reason})" for route in entry.public]),
        ("menu", entry.menu),
        ("screens", entry.screens),
        ("awaiting consent", entry.awaiting),
    ):
        if words:
            click.echo(f"      {title}: {', '.join(words)}")
    if notes := _notes(entry, accounts, sizes):
        click.echo(f"      notes: {notes}")
    for line in _account(accounts.get(plugin_id)):
        click.echo(f"      {line}")


@plugins.command("enable")
@click.argument("plugin_id", metavar="ID")
@host_options
@json_option
def enable_plugin(plugin_id: str, config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - a flag
    """Switch a plugin on. A running host follows within two seconds, without a restart.

    Example: plugin-host plugins enable contacts
    """
    said = f"{plugin_id} is to run; a running host follows within two seconds."
    _tell(
        run(_change(config, app, plugin_id, lambda wishes: wishes.wish(plugin_id, "enabled", operator()))),
        said,
        as_json,
    )


@plugins.command("disable")
@click.argument("plugin_id", metavar="ID")
@host_options
@json_option
def disable_plugin(plugin_id: str, config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - a flag
    """Switch a plugin off; its data stays. A running host follows within two seconds.

    Example: plugin-host plugins disable contacts
    """
    said = f"{plugin_id} is switched off; a running host follows within two seconds."
    _tell(
        run(_change(config, app, plugin_id, lambda wishes: wishes.wish(plugin_id, "disabled", operator()))),
        said,
        as_json,
    )


@plugins.command("retry")
@click.argument("plugin_id", metavar="ID")
@host_options
@json_option
def retry_plugin(plugin_id: str, config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - a flag
    """Try a plugin again that failed: at import, in a hook, at its start, or too often while it ran.

    Example: plugin-host plugins retry contacts
    """
    said = f"{plugin_id} is tried again: by a running host within two seconds, else at the next start."
    _tell(run(_change(config, app, plugin_id, lambda wishes: wishes.retry(plugin_id, operator()))), said, as_json)


@plugins.command("consent")
@click.argument("plugin_id", metavar="ID")
@click.option("--with", "wheel", type=click.Path(), help="Approve of a wheel before it is installed.")
@host_options
@json_option
def consent_to_plugin(
    plugin_id: str,
    wheel: str | None,
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - a flag
) -> None:
    """Approve of all that a plugin asks for: permissions, public routes, events of others.

    Example: plugin-host plugins consent contacts
    """
    with tempfile.TemporaryDirectory(prefix="plugin-host-consent-") as folder:
        ahead = _read_wheel(plugin_id, Path(wheel), Path(folder)) if wheel is not None else None
        row = run(_change(config, app, plugin_id, lambda wishes: wishes.consent(plugin_id, ahead, operator())))
    what = f"{wheel} asks for" if wheel is not None else f"{plugin_id} asks for"
    _tell(row, f"You have approved of all that {what}; a running host follows within two seconds.", as_json)


def _read_wheel(plugin: str, wheel: Path, folder: Path) -> Found:
    """Read the files of a wheel that is not installed."""
    from plugin_host.plugins.manifests import read  # noqa: PLC0415 - lazy
    from plugin_host.plugins.preflight import read_path, unpack  # noqa: PLC0415 - lazy

    found = read(unpack(wheel, folder / "wheel") if wheel.suffix == ".whl" else read_path(wheel))
    if found.fault is not None:
        raise click.ClickException(f"{wheel}: {found.fault.text} {found.fault.way_out}")
    if found.id != plugin:
        raise click.ClickException(f"{wheel} brings {found.id}, not {plugin}")
    return found


async def _change(
    config: str | None, app: str | None, plugin: str, change: Callable[[Wishes], Awaitable[object]]
) -> dict[str, Any]:
    """Write a wish down, and give the plugin as the plan sees it then."""
    from plugin_host.core.documents import plugin_row  # noqa: PLC0415 - brings SQLAlchemy
    from plugin_host.core.wishes import Wishes  # noqa: PLC0415 - with it

    planner = open_planner(config, app)
    try:
        await planner.migrate("core", None, None)
        await change(Wishes(planner))
        entry = (await planner.verified()).entry(plugin)
        return plugin_row(entry) if entry is not None else {"id": plugin}
    finally:
        await planner.database.close()


def _tell(row: dict[str, Any], said: str, as_json: bool) -> None:  # noqa: FBT001 - as it comes
    if as_json:
        print_json(row)
    else:
        click.echo(said)


async def _seen(config: str | None, app: str | None) -> tuple[Plan, dict[str, dict[str, Any]], dict[str, Any]]:
    """Give the plan, what each plugin took as a running host wrote it down last, and what orphans keep."""
    planner = open_planner(config, app)
    try:
        made = await planner.verified()
        return made, await planner.accounts(), await planner.tables.sizes(made)
    finally:
        await planner.database.close()


def _notes(entry: PlanEntry, accounts: Mapping[str, dict[str, Any]], sizes: Mapping[str, Any]) -> str:
    notes = ["restart needed"] if entry.restart_needed else []
    if entry.awaiting:
        notes.append(f"{len(entry.awaiting)} waiting for consent")
    if slow := accounts.get(entry.id, {}).get("slow"):
        notes.append(f"slow: {', '.join(slow)}")
    if (size := sizes.get(entry.id)) is not None:
        notes.append(_size(size))
    return "; ".join(notes)


def _size(size: Any) -> str:
    known = f", {size.bytes:,} bytes" if size.bytes is not None else ""
    return f"keeps {size.tables} tables with {size.rows:,} rows{known}"


def _account(account: dict[str, Any] | None) -> Iterator[str]:
    """Word what a plugin took; times are milliseconds."""
    if account is None:
        return
    hooks = ", ".join(f"{name} {spent:g}" for name, spent in account["hooks"].items())
    yield f"import {account['import']:g} ms; start-up {account['startup']:g} ms; hooks: {hooks or 'none'}"
    yield (
        f"requests {account['requests']} ({account['request_time']:g} ms), errors {account['errors']}, "
        f"timed out {account['timeouts']}, overloads {account['overloads']}, "
        f"queries {account['queries']} ({account['query_time']:g} ms)"
    )
    if account["lag"]["count"]:
        lag = account["lag"]
        place = f", worst {lag['worst']:g} ms at {lag['place']}" if lag["place"] else ""
        yield f"blocked the event loop {lag['count']} times for {lag['time']:g} ms{place}"
    if account["last_error"]:
        yield f"last error: {account['last_error']}"
