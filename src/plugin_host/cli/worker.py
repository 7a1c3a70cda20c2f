"""`plugin-host worker`: deliver events and run jobs, without serving anybody."""

from __future__ import annotations

import asyncio

import click

from plugin_host.cli.hosts import host_options, open_host


@click.command()
@host_options
def worker(config: str | None, app: str | None) -> None:
    """Deliver events and run jobs until it is stopped. Several may run, on one machine or on many.

    Where `events.relay` is "worker", at least one must run. With "serve", the default, each process of the server does
    the same work, and workers help.

    Example: plugin-host worker --config /etc/plugin-host.toml
    """
    from plugin_host.cli.running import run_to_the_end  # noqa: PLC0415 - lazy

    run_to_the_end(_work(config, app))


async def _work(config: str | None, app: str | None) -> None:
    host = open_host(config, app)
    host.bus.works = True
    async with host.lifespan():
        click.echo("plugin-host worker is running (Ctrl+C stops it)")
        await asyncio.Event().wait()
