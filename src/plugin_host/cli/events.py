"""`plugin-host events dead|retry|replay`: what could not be delivered, and what is to be delivered again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import click

from plugin_host.cli.hosts import host_options, json_option, open_planner, print_json, print_table, run

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Awaitable, Callable

    from plugin_host.core.desk import Desk

T = TypeVar("T")

MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"])


@click.group()
def events() -> None:
    """See what could not be delivered, and deliver again.

    Example: plugin-host events dead
    """


@events.command("dead")
@click.option("--plugin", help="Only those of this plugin's handlers and jobs.")
@click.option("--subscriber", help="Only those of this handler or job.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="How many, the newest first.")
@click.option("--cursor", help="Go on behind a page: its `next`.")
@host_options
@json_option
def list_dead(  # noqa: PLR0913 - the options
    plugin: str | None,
    subscriber: str | None,
    limit: int,
    cursor: str | None,
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """List the deliveries that were given up, each with its last error.

    Example: plugin-host events dead --plugin contacts --json
    """
    from plugin_host.events.administration import Wanted  # noqa: PLC0415 - brings SQLAlchemy

    wanted = Wanted(plugin=plugin, subscriber=subscriber)
    page = run(at_desk(config, app, lambda desk: desk.dead(wanted, limit, cursor)))
    if as_json:
        print_json(page)
        return
    print_table(
        ("ID", "SUBSCRIBER", "KEY", "ATTEMPTS", "FAILED", "ERROR"),
        [
            (
                each.id,
                each.subscriber,
                each.key or "-",
                str(each.attempts),
                f"{each.failed_at:%Y-%m-%d %H:%M}" if each.failed_at else "-",
                (each.error or "-").partition("\n")[0][:80],
            )
            for each in page.items
        ],
    )
    if page.next is not None:
        click.echo(f"There is more: --cursor {page.next}")


@events.command("retry")
@click.argument("letter", metavar="ID", required=False)
@click.option("--all", "everything", is_flag=True, help="All dead letters, or all of --plugin or --subscriber.")
@click.option("--plugin", help="With --all: only those of this plugin.")
@click.option("--subscriber", help="With --all: only those of this handler or job.")
@click.option("--discard", is_flag=True, help="Throw away instead.")
@host_options
@json_option
def retry(  # noqa: PLR0913 - the options
    letter: str | None,
    everything: bool,  # noqa: FBT001 - click's flags
    plugin: str | None,
    subscriber: str | None,
    discard: bool,  # noqa: FBT001
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Deliver a dead letter again, or all; or throw away. A handler in quarantine leaves it.

    Example: plugin-host events retry --all --plugin contacts
    """
    if (letter is None) == (not everything):
        raise click.UsageError("name one dead letter by its ID (plugin-host events dead lists them), or say --all")
    from plugin_host.core.operator import operator  # noqa: PLC0415 - as below
    from plugin_host.events.administration import Wanted  # noqa: PLC0415 - brings SQLAlchemy

    wanted, actor = Wanted(plugin=plugin, subscriber=subscriber), operator()

    def do(desk: Desk) -> Awaitable[Any]:
        if letter is not None:
            return desk.discard(letter, actor) if discard else desk.retry(letter, actor)
        return desk.discard_all(wanted, actor) if discard else desk.retry_all(wanted, actor)

    done = run(at_desk(config, app, do))
    if as_json:
        print_json(done)
    else:
        click.echo(f"{done.count} {'thrown away' if discard else 'to be delivered again'}")


@events.command("replay")
@click.argument("subscriber")
@click.option("--from", "since", type=MOMENT, help="From this moment on (UTC); without it, all that is kept.")
@host_options
@json_option
def replay(
    subscriber: str,
    since: dt.datetime | None,
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Deliver again what is kept of a handler's event: to one that came later, or that did it wrong.

    Example: plugin-host events replay "reporting:contacts.person.created:on_created" --from 2026-11-01
    """
    import datetime as dt  # noqa: PLC0415 - only here

    from plugin_host.core.operator import operator  # noqa: PLC0415 - brings SQLAlchemy

    moment = None if since is None else since.replace(tzinfo=dt.UTC)
    done = run(at_desk(config, app, lambda desk: desk.replay(subscriber, moment, operator())))
    if as_json:
        print_json(done)
    else:
        click.echo(f"{done.count} to be delivered again to {subscriber}")


async def at_desk(config: str | None, app: str | None, do: Callable[[Desk], Awaitable[T]]) -> T:
    """Do something at the desk of a host that is not started: a running one finds it at its next look."""
    from plugin_host.core.desk import Desk  # noqa: PLC0415 - brings SQLAlchemy

    planner = open_planner(config, app)
    try:
        await planner.plan()  # says which plugins have databases of their own
        return await do(Desk(planner.databases))
    finally:
        await planner.databases.close()
