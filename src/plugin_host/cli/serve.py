"""`plugin-host serve`: the server. One process runs the host itself; more are uvicorn's workers."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import secrets
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from plugin_host.cli.hosts import host_options, open_host
from plugin_host.cli.running import run_to_the_end
from plugin_host.cli.wiring import WORKER, uvicorn_options
from plugin_host.settings.server import is_loopback

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from plugin_host.host import PluginHost
    from plugin_host.settings import Settings


@click.command()
@host_options
@click.option("--host", "address", help="Address to listen on (default: server.host, 127.0.0.1).")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on (default: server.port, 8000).")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes (default: server.workers, 1).")
@click.option("--reload", is_flag=True, help="Start anew when a source file changes; for development.")
@click.option(
    "--safe", is_flag=False, flag_value="*", metavar="[=ID,…]", help="Start without plugins, or without these."
)
@click.option(
    "--strict",
    is_flag=True,
    help="Do not start with files of secrets that others may read, guessable passwords, or plugins at fault.",
)
@click.option("--demo", is_flag=True, help="Loopback only, throw-away data, made-up people and three accounts.")
def serve(  # noqa: PLR0913, PLR0917 - the contract's options
    config: str | None,
    app: str | None,
    address: str | None,
    port: int | None,
    workers: int | None,
    reload: bool,  # noqa: FBT001 - click's flags
    safe: str | None,
    strict: bool,  # noqa: FBT001
    demo: bool,  # noqa: FBT001
) -> None:
    """Run the server: migrate, activate the plugins, listen.

    Example: plugin-host serve --port 8080
    """
    gc.disable()  # until it listens: a start makes much and throws little away
    without: bool | Collection[str] = safe == "*" or frozenset((safe or "").split(",")) - {""}
    if app is not None:
        if demo or reload or safe is not None or (workers or 1) > 1:
            raise click.UsageError("--app serves the application's host: without --demo, --reload, --safe, --workers")
        host = open_host(config, app)
        _take_precautions(_with_server(host.settings, address, port, None), None, strict=strict)
        _serve_one(host, host.settings, address, port)
        return
    from plugin_host.settings import Settings  # noqa: PLC0415 - lazy

    settings = _strictly(_with_server(Settings.load(config), address, port, workers), strict=strict)
    _take_precautions(settings, config, strict=strict, reload=reload)
    settings = _with_hosts(settings)
    if demo:
        _serve_demo(settings, without)
    elif reload or settings.server.workers > 1:
        _serve_many(settings, without, reload=reload)
    else:
        _serve_one(_new_host(settings, without), settings, None, None)


def worker_app() -> Any:
    """Make the application of one worker process, from what its parent said."""
    from plugin_host.settings import Settings  # noqa: PLC0415 - lazy

    said = msgspec.json.decode(os.environ[WORKER], type=dict[str, msgspec.Raw])
    settings = msgspec.json.decode(said["settings"], type=Settings)
    return _new_host(settings, msgspec.json.decode(said["without"], type=bool | list[str])).asgi


def _new_host(settings: Settings, without: bool | Collection[str]) -> PluginHost:  # noqa: FBT001 - as PluginHost(safe=)
    from plugin_host.host import PluginHost  # noqa: PLC0415 - brings the web stack

    return PluginHost(settings, safe=without)


def _with_server(settings: Settings, address: str | None, port: int | None, workers: int | None) -> Settings:
    said = {"host": address, "port": port, "workers": workers}
    server = msgspec.structs.replace(settings.server, **{k: v for k, v in said.items() if v is not None})
    return msgspec.structs.replace(settings, server=server)


def _strictly(settings: Settings, *, strict: bool) -> Settings:
    if not strict:
        return settings
    return msgspec.structs.replace(settings, loader=msgspec.structs.replace(settings.loader, strict=True))


def _with_hosts(settings: Settings) -> Settings:
    """Answer to loopback names alone where nothing else is said and only this machine can ask.

    A page of another site can give its own name the address 127.0.0.1, and ask as if it were ours.
    """
    if settings.server.hosts or settings.public_url or not is_loopback(settings.server.host):
        return settings
    from plugin_host.gateway.edge import LOOPBACK  # noqa: PLC0415 - brings the web stack

    hosts = (*LOOPBACK, "*.localhost", _bracketed(settings.server.host))
    return msgspec.structs.replace(settings, server=msgspec.structs.replace(settings.server, hosts=hosts))


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _take_precautions(settings: Settings, config: str | None, *, strict: bool, reload: bool = False) -> None:
    """Refuse to start with what anybody could guess or see; say what may have its reasons."""
    from plugin_host.core.doctor.precautions import dangers  # noqa: PLC0415 - lazy

    found = list(dangers(settings, config, reload=reload))
    if refused := [f"{each.text} {each.way_out}" for each in found if each.always or strict]:
        raise click.ClickException("this is no way to start a server: " + " ".join(refused))
    for danger in found:
        click.echo(f"Warning: {danger.text} {danger.way_out}", err=True)


# -- one process ---------------------------------------------------------------------------------------


def _serve_one(host: PluginHost, settings: Settings, address: str | None, port: int | None) -> None:
    settings = _with_server(settings, address, port, None)
    with _listen(settings) as listening:
        run_to_the_end(_serve(host, settings, listening))


async def _serve(host: PluginHost, settings: Settings, listening: socket.socket) -> None:
    async with host.lifespan():
        await _announce(host, listening)
        await _listen_until_told(host.asgi, settings, listening)


async def _announce(host: PluginHost, listening: socket.socket) -> None:
    gc.freeze()  # what a start makes stays: looking through it again and again finds nothing
    gc.enable()
    listening.listen(2048)  # whoever reads the address below may call at once
    for entry in host.standing.generation.plan.entries:
        if entry.reason is not None:
            click.echo(f"{entry.id} is {entry.state}: {entry.reason.text} {entry.reason.way_out}", err=True)
    code = await host.core.setup_code(lambda new: click.echo(f"Set-up code: {new}"))
    if code is not None:
        click.echo(f"Set-up code: {code}")
    click.echo(f"plugin-host is running at {_address(listening)} (Ctrl+C stops it)")


async def _listen_until_told(app: Any, settings: Settings, listening: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM; the host is stopped by whoever called this.

    uvicorn raises the signal again when it has stopped, to end the process. The host is still running then:
    a handler that does nothing lets it stop in order.
    """
    import uvicorn  # noqa: PLC0415 - lazy

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _noted)
    config = uvicorn.Config(app, **uvicorn_options(settings), lifespan="off")
    await uvicorn.Server(config).serve(sockets=[listening])


def _noted(_number: int, _frame: object) -> None:
    """Take note of a signal that has been acted upon already."""


@contextlib.contextmanager
def _listen(settings: Settings) -> Iterator[socket.socket]:
    """Take the port before anything is opened, so that a taken one is one line and not a half start."""
    server = settings.server
    family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((server.host, server.port))
        except OSError as error:
            msg = (
                f"cannot listen on {server.host} port {server.port} ({error.strerror}): "
                "stop what uses it, or choose another with --port or --host"
            )
            raise click.ClickException(msg) from error
        listening.set_inheritable(True)
        yield listening


def _address(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{_bracketed(host)}:{port}"


# -- several processes ---------------------------------------------------------------------------------


def _serve_many(settings: Settings, without: bool | Collection[str], *, reload: bool) -> None:  # noqa: FBT001
    gc.enable()
    import uvicorn  # noqa: PLC0415 - lazy

    from plugin_host.cli.reloading import Reloading  # noqa: PLC0415 - brings uvicorn

    with _listen(settings):
        pass  # only to say in one line that the port is taken; the workers open it themselves
    if settings.server.workers > 1 and settings.database_url.startswith("sqlite"):
        click.echo("SQLite lets one process write at a time: several workers help readers only.", err=True)
    folders = asyncio.run(_prepare_many(settings, without))
    said = {"settings": settings, "without": without if isinstance(without, bool) else sorted(without)}
    os.environ[WORKER] = msgspec.json.encode(said).decode()
    options: dict[str, Any] = {"factory": True, "host": settings.server.host, "port": settings.server.port}
    app = "plugin_host.cli.serve:worker_app"
    if not reload:
        click.echo(f"plugin-host is running at http://{settings.server.host}:{settings.server.port} (Ctrl+C stops it)")
        uvicorn.run(app, workers=settings.server.workers, **options, **uvicorn_options(settings, workers=True))
        return
    config = uvicorn.Config(app, reload=True, reload_dirs=folders, **options, **uvicorn_options(settings, workers=True))
    with _listen(settings) as listening:
        listening.listen(2048)
        click.echo(f"plugin-host is running at {_address(listening)} (Ctrl+C stops it)")
        Reloading(config, uvicorn.Server(config).run, [listening]).run()


async def _prepare_many(settings: Settings, without: bool | Collection[str]) -> list[str]:  # noqa: FBT001
    """Migrate once, before there are workers, and print the set-up code once; gives the folders of what is written."""
    host = _new_host(settings, without)
    async with host.lifespan():
        code = await host.core.setup_code(None)
        found = [each.candidate for each in host.standing.generation.plan.found.values() if each.id != "core"]
    if code is not None:
        click.echo(f"Set-up code: {code}")
    return [str(one.folder) for one in found if one.folder is not None and "site-packages" not in one.folder.parts]


# -- the demonstration ---------------------------------------------------------------------------------


def _serve_demo(settings: Settings, without: bool | Collection[str]) -> None:  # noqa: FBT001
    if not is_loopback(settings.server.host):
        msg = f"--demo listens on loopback only, not on {settings.server.host}: its accounts are for everybody"
        raise click.ClickException(msg)
    folder = tempfile.mkdtemp(prefix="plugin-host-demo-")
    try:
        demo = msgspec.structs.replace(settings, data_dir=folder, database=f"sqlite:///{Path(folder) / 'host.db'}")
        with _listen(demo) as listening:
            run_to_the_end(_demo(_new_host(demo, without), demo, listening))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _demo(host: PluginHost, settings: Settings, listening: socket.socket) -> None:
    async with host.lifespan():
        active = [entry for entry in host.standing.generation.plan.active if entry.id != "core"]
        roles = {role for entry in active for role in entry.roles}
        accounts = {
            "admin": ["core.admin"],
            "editor": sorted(roles & {f"{entry.id}.editor" for entry in active}),
            "viewer": sorted(roles & {f"{entry.id}.viewer" for entry in active}),
        }
        passwords = {name: os.environ.get("PLUGIN_HOST_DEMO_PASSWORD") or secrets.token_urlsafe(9) for name in accounts}
        for name, given in accounts.items():
            await host.core.accounts.add(name, passwords[name], display=name.capitalize(), roles=given, checked=False)
        await host.sample_data()
        await _announce(host, listening)
        click.echo("Demonstration: the data is thrown away when it stops. Sign in as")
        for name, given in accounts.items():
            click.echo(f"  {name:<8} password {passwords[name]}   ({', '.join(given) or 'no roles'})")
        await _listen_until_told(host.asgi, settings, listening)
