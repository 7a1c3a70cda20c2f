"""`plugin-host doctor`: what is wrong with this installation, and what to do."""

from __future__ import annotations

import os
from itertools import groupby
from typing import TYPE_CHECKING, Final

import click

from plugin_host.cli.hosts import host_options, json_option, open_planner, print_json, run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plugin_host.core.doctor import Finding

_ORDER: Final = (
    "python", "versions", "settings", "addresses", "precautions", "files", "disk", "database", "tables",
    "plugins", "starts",
)  # fmt: skip


@click.command()
@host_options
@json_option
def doctor(config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Say what is wrong with this installation, and what to do. Writes nothing.

    Looks at Python and the libraries, the settings, the rights of files, the disk, the database, the tables, every
    plugin, and starts that died. Exits with 1 if anything does not work.

    Example: plugin-host doctor --json
    """
    # A server that does not answer is what a doctor is called for: it must not wait for minutes.
    os.environ.setdefault("PGCONNECT_TIMEOUT", "5")
    found = run(_examine(config, app))
    from plugin_host.core.doctor import document  # noqa: PLC0415 - brings SQLAlchemy

    told = document(found)
    if as_json:
        print_json(told)
    else:
        _print(found)
    if not told["ok"]:
        raise click.exceptions.Exit(1)


async def _examine(config: str | None, app: str | None) -> list[Finding]:
    from plugin_host.core.doctor import Finding, examine  # noqa: PLC0415 - brings SQLAlchemy

    if app is None:
        return await examine(config, os.environ)
    try:
        planner = open_planner(config, app)
    except Exception as error:  # noqa: BLE001 - the application's code may raise anything
        told = error.message if isinstance(error, click.ClickException) else f"{type(error).__name__}: {error}"
        way_out = "Name the host as module:attribute, and see that the module can be imported."
        return [Finding(check="settings", level="error", text=f"--app {app}: {told}.", way_out=way_out)]
    return await examine(config, os.environ, planner)


def _print(found: Sequence[Finding]) -> None:
    for check, findings in groupby(sorted(found, key=lambda each: _ORDER.index(each.check)), lambda each: each.check):
        click.echo(check.capitalize())
        for finding in findings:
            click.echo(f"  {finding.level:<8} {finding.text}")
            if finding.way_out:
                click.echo(f"  {'':<8} way out: {finding.way_out}")
    counts = {level: sum(1 for each in found if each.level == level) for level in ("error", "warning", "note")}
    told = [f"{count} {level}{'s' if count != 1 else ''}" for level, count in counts.items() if count]
    fine = "" if counts["error"] or counts["warning"] else "Nothing is wrong. "
    click.echo(f"\n{fine}{', '.join(told)}{'.' if told else ''}".rstrip())
