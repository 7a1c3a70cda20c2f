"""`plugin-host audit list|verify`: who did what, and whether anybody changed what was written down."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import click

from plugin_host.cli.hosts import host_options, json_option, open_planner, print_json, print_table, run

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Awaitable, Callable

    from plugin_host.audit.verification import Verification

MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"])


@click.group()
def audit() -> None:
    """Read the audit log, and verify that nobody changed it.

    Example: plugin-host audit list --action "core.user.*"
    """


@audit.command("list")
@click.option("--actor", help="Only what this person did: an id or a user name.")
@click.option("--plugin", help="Only actions of this plugin, or on its behalf.")
@click.option("--action", help='Only this action, as core.user.created, or several: "core.user.*".')
@click.option("--since", type=MOMENT, help="From this moment on (UTC).")
@click.option("--until", type=MOMENT, help="Before this moment (UTC).")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True, help="How many, the newest first.")
@click.option("--cursor", help="Go on behind a page: its `next`.")
@click.option("--refusals", is_flag=True, help="Show the counters of what nobody in particular was refused.")
@host_options
@json_option
def list_audit(
    limit: int,
    cursor: str | None,
    refusals: bool,  # noqa: FBT001 - click's flags
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001
    **wanted: Any,
) -> None:
    """List who did what, the newest first.

    Example: plugin-host audit list --actor ada --since 2026-11-01 --json
    """
    page = run(_list(config, app, wanted, limit, cursor, refusals=refusals))
    if as_json:
        print_json(page)
    elif refusals:
        print_table(
            ("HOUR", "ACTION", "CODE", "COUNT"),
            [(_when(row.hour), row.action, row.code, str(row.count)) for row in page.items],
        )
    else:
        print_table(
            ("AT", "ACTOR", "ACTION", "OBJECT", "OUTCOME", "VIA"),
            [
                (
                    _when(e.at),
                    _plain(e.username) or e.kind,
                    e.action,
                    _plain(e.object or "-"),
                    e.outcome,
                    ", ".join(e.via),
                )
                for e in page.items
            ],
        )
        if page.next is not None:
            click.echo(f"There is more: --cursor {page.next}")


@audit.command("verify")
@click.option(
    "--head", metavar="POSITION:HASH", help="The end of the chain as it was noted before: must still be in it."
)
@host_options
@json_option
def verify_audit(head: str | None, config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - a flag
    """Read the whole chain, and say what was changed, removed or moved, and where.

    Note the end that it prints, somewhere else: with --head, a chain that was made anew shows as well.

    Example: plugin-host audit verify --head 1042:5f1c…
    """
    if head is not None and not re.fullmatch(r"\d{1,18}:[0-9a-f]{64}", head):
        raise click.UsageError(f"--head {head}: give what `plugin-host audit verify` printed, POSITION:HASH")
    quiet = as_json or not sys.stderr.isatty()
    found = run(_verify(config, app, head, None if quiet else _progress))
    if as_json:
        print_json(found)
    else:
        _print(found)
    if not found.ok:
        raise click.exceptions.Exit(1)


def _print(found: Verification) -> None:
    for fault in found.faults:
        click.echo(f"{fault.kind}: {fault.text}")
    waiting = f", {found.unsealed} more wait to be sealed" if found.unsealed else ""
    verdict = "as they were sealed" if found.ok else f"with {len(found.faults)} faults"
    click.echo(f"{found.entries} entries from {found.first} on, {verdict}{waiting}.")
    click.echo(f"The chain ends at {found.head.position}:{found.head.hash}")


def _progress(count: int) -> None:
    click.echo(f"\r{count} entries …", nl=False, err=True)


def _when(moment: dt.datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _plain(said: str) -> str:
    """Leave out what would steer a terminal: names are other people's."""
    return "".join(each if each.isprintable() else "?" for each in said)


async def _list(
    config: str | None, app: str | None, wanted: dict[str, Any], limit: int, cursor: str | None, *, refusals: bool
) -> Any:
    from plugin_host.core import trail  # noqa: PLC0415 - brings SQLAlchemy
    from plugin_host.sdk.listing import Listing  # noqa: PLC0415 - with it

    async def read(db: Any) -> Any:
        if refusals:
            return await trail.list_refusals(db, wanted["since"])
        return await trail.list_entries(db, Listing(limit=limit, cursor=cursor), trail.Wanted(**wanted))

    return await _reading(config, app, read)


async def _verify(
    config: str | None, app: str | None, head: str | None, progress: Callable[[int], None] | None
) -> Verification:
    from plugin_host.audit.chain import Head  # noqa: PLC0415 - brings SQLAlchemy
    from plugin_host.audit.verification import verify  # noqa: PLC0415 - with it

    position, _, noted = (head or "").partition(":")
    known = Head(int(position), noted) if head else None

    async def read(db: Any) -> Verification:
        return await verify(db, known, progress)

    found: Verification = await _reading(config, app, read)
    return found


async def _reading(config: str | None, app: str | None, read: Callable[[Any], Awaitable[Any]]) -> Any:
    planner = open_planner(config, app)
    try:
        await planner.migrate("core", None, None)
        unit = planner.database.unit(write=False)
        try:
            return await read(unit.session)
        finally:
            await unit.close()
    finally:
        await planner.database.close()
