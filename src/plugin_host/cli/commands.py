"""`plugin-host <plugin> …`: the commands that plugins bring, each call one unit of work.

The host is started without serving, so the plugin is migrated, activated and has its services; the callback
may name what routes may name (`actor`, `access`, `db`, `services`, `settings`, `log`) and may be async.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Any, Final

import click

from plugin_host.cli.hosts import host_options, open_host

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plugin_host.host import PluginHost
    from plugin_host.sdk.context import Work

INJECTED: Final = ("actor", "access", "db", "events", "jobs", "services", "settings", "log")


def plugin_group(plugin: str) -> click.Command | None:
    """Make the command that starts the host and hands the rest of the line to the plugin's commands."""

    @click.command(
        plugin,
        context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False, "help_option_names": []},
        add_help_option=False,
    )
    @host_options
    @click.argument("rest", nargs=-1, type=click.UNPROCESSED)
    def run_plugin(config: str | None, app: str | None, rest: tuple[str, ...]) -> None:
        asyncio.run(_call(open_host(config, app), plugin, rest))

    return run_plugin


async def _call(host: PluginHost, plugin: str, rest: Sequence[str]) -> None:
    host.bus.works = False  # a command ends soon: what it publishes is for those who stay
    entry = (await host.plan()).entry(plugin)
    if entry is None:
        await host.database.close()
        raise click.UsageError(f"no such command or plugin: {plugin!r}. plugin-host --help names the commands.")
    async with host.lifespan():
        standing = host.standing.generation.plan.entry(plugin)
        if standing is None or standing.state != "active":
            state, reason = (standing.state, standing.reason) if standing is not None else ("gone", None)
            told = f"{reason.text} {reason.way_out}" if reason is not None else "it is not there any more"
            raise click.ClickException(f"{plugin} is {state}: {told}")
        commands = host.commands(plugin)
        if not commands:
            raise click.ClickException(f"{plugin} brings no commands")
        loop = asyncio.get_running_loop()
        names = {"help_option_names": ["-h", "--help"]}  # as everywhere
        group = click.Group(plugin, help=f"Commands of {entry.name}.", no_args_is_help=True, context_settings=names)
        for command in commands:
            _connect(command, host, plugin, loop)
            group.add_command(command)
        # click is synchronous: it runs in a thread, and each callback comes back to this loop.
        await asyncio.to_thread(group.main, list(rest), prog_name=f"plugin-host {plugin}", standalone_mode=False)


def _connect(command: click.Command, host: PluginHost, plugin: str, loop: asyncio.AbstractEventLoop) -> None:
    """Put a unit of work around the callback of a command, and of those below a group."""
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            _connect(inner, host, plugin, loop)
    if command.callback is None:
        return
    callback = command.callback
    wanted = [name for name in inspect.signature(callback).parameters if name in INJECTED]

    def call(*args: Any, **options: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(_in_work(host, plugin, callback, wanted, args, options), loop).result()

    command.callback = call


async def _in_work(
    host: PluginHost,
    plugin: str,
    callback: Callable[..., Any],
    wanted: Sequence[str],
    args: Sequence[Any],
    options: dict[str, Any],
) -> Any:
    async with host.work(plugin=plugin) as work:
        result = callback(*args, **options, **{name: _part(work, name) for name in wanted})
        return await result if inspect.isawaitable(result) else result


def _part(work: Work, name: str) -> Any:
    return getattr(work, name)
