"""`plugin-host config show`: every setting, its value, and where that comes from."""

from __future__ import annotations

import click

from plugin_host.cli.hosts import json_option, print_json, print_table


@click.group()
def config() -> None:
    """Look at the settings.

    Example: plugin-host config show
    """


@config.command("show")
@click.option("--config", "path", type=click.Path(dir_okay=False), help="Settings file.")
@json_option
def show(path: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Show every setting with the place it comes from.

    Example: plugin-host config show --json
    """
    from plugin_host.settings import show_settings  # noqa: PLC0415 - lazy like every command

    rows = show_settings(path)
    if as_json:
        print_json({"items": rows, "next": None})
        return
    print_table(("SETTING", "VALUE", "FROM"), [(row["key"], str(row["value"]), row["source"]) for row in rows])
