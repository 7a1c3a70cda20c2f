"""What the commands share: the options, the host they work on, and how they print."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from plugin_host.core.planner import Planner
    from plugin_host.host import PluginHost

F = TypeVar("F", bound="Callable[..., Any]")
T = TypeVar("T")


def host_options(command: F) -> F:
    """Add `--config` and `--app`, which every command that works on a host takes."""
    command = click.option("--app", metavar="MODULE:HOST", help="The host of an embedding application.")(command)
    return click.option(
        "--config", type=click.Path(dir_okay=False), help="Settings file (default: ./plugin-host.toml if it is there)."
    )(command)


json_option = click.option("--json", "as_json", is_flag=True, help="Print what the API answers, as JSON.")


def open_host(config: str | None, app: str | None, **options: Any) -> PluginHost:
    """Make the host that a command works on: an application's own, or one from the settings."""
    if app is not None:
        return _find(app)
    from plugin_host.host import PluginHost  # noqa: PLC0415 - brings the web stack
    from plugin_host.settings import Settings  # noqa: PLC0415 - with it

    return PluginHost(Settings.load(config), **options)


def open_planner(config: str | None, app: str | None) -> Planner:
    """Make what plans and migrates, without the web stack; with `app` it is that of the application's host."""
    if app is not None:
        return _find(app).planner
    from plugin_host.core.databases import host_database  # noqa: PLC0415 - brings SQLAlchemy
    from plugin_host.core.planner import Planner  # noqa: PLC0415 - with it
    from plugin_host.settings import Settings  # noqa: PLC0415 - lazy

    settings = Settings.load(config)
    return Planner(settings, host_database(settings))


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine."""
    return asyncio.run(main)


def print_json(document: object) -> None:
    """Print a document as the API would answer it."""
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as their longest cell; plain text, so that it can be piped."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[n]) for line in lines) for n in range(len(head))]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _find(app: str) -> PluginHost:
    module, _, name = app.partition(":")
    try:
        found = getattr(import_module(module), name or "host")
    except (ImportError, AttributeError) as error:
        msg = f"--app {app}: {error}; name it as module:attribute"
        raise click.ClickException(msg) from error
    from plugin_host.host import PluginHost  # noqa: PLC0415 - brings the web stack

    if not isinstance(found, PluginHost):
        msg = f"--app {app} is a {type(found).__name__}, not a PluginHost"
        raise click.ClickException(msg)
    return found
