"""`plugin-host openapi`: the OpenAPI document, as the API answers it."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from plugin_host.cli.hosts import host_options, open_host, run

if TYPE_CHECKING:
    from plugin_host.host import PluginHost
    from plugin_host.plugins.plan import Plan


@click.command()
@click.option("--plugin", metavar="ID", default="", help="Only this plugin.")
@host_options
def openapi(plugin: str, config: str | None, app: str | None) -> None:
    """Print the OpenAPI document of the plugins that would run, as `GET /api/core/openapi.json` answers it.

    The plugins are activated on a throw-away database, since only their code knows their routes. Nothing of yours is
    written; wishes and consents are read from your database.

    Example: plugin-host openapi > openapi.json
    """
    with (
        tempfile.TemporaryDirectory(prefix="plugin-host-openapi-") as folder,
        contextlib.redirect_stdout(sys.stderr),  # a plugin that prints must not spoil the document
    ):
        body = run(_write(open_host(config, app), Path(folder), plugin))
    click.echo(msgspec.json.format(body, indent=2).decode())


async def _write(host: PluginHost, folder: Path, plugin: str) -> bytes:
    from plugin_host.core.openapi import Documents  # noqa: PLC0415 - brings the web stack

    try:
        plan = await host.plan()
    finally:
        await host.database.close()
    _must_run(plan, plugin)
    twin = _twin(host, plan, folder)
    async with twin.lifespan():
        standing = twin.standing.generation.plan
        for entry in plan.active:
            now = standing.entry(entry.id)
            if now is not None and now.state != "active" and now.reason is not None:
                click.echo(f"{entry.id} is left out, it is {now.state}: {now.reason.text}", err=True)
        _must_run(standing, plugin)
        return (await Documents(twin).write("", plugin)).body


def _twin(host: PluginHost, plan: Plan, folder: Path) -> PluginHost:
    """Make a host of the same plugins on a throw-away database, without those that would not run."""
    from plugin_host.host import PluginHost  # noqa: PLC0415 - brings the web stack

    settings = msgspec.structs.replace(
        host.settings,
        loader=msgspec.structs.replace(host.settings.loader, strict=False, default="enable"),
        migrations=msgspec.structs.replace(host.settings.migrations, on_start="auto"),
        schema=None,
        data_dir=str(folder / "data"),
        database=f"sqlite:///{folder / 'data' / 'host.db'}",
    )
    parked = [entry.id for entry in plan.entries if entry.state != "active" and entry.id in plan.found]
    return PluginHost(settings, plugins=host.planner.objects, users=host.users, safe=parked)


def _must_run(plan: Plan, plugin: str) -> None:
    if not plugin:
        return
    entry = plan.entry(plugin)
    if entry is None:
        known = ", ".join(sorted(found.id for found in plan.active))
        raise click.ClickException(f"there is no plugin {plugin!r}; there are: {known}")
    if entry.state != "active" and entry.reason is not None:
        raise click.ClickException(f"{plugin} is {entry.state}: {entry.reason.text} {entry.reason.way_out}")
