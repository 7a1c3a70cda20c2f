"""`plugin-host access …`: why somebody may or may not, who may, sharing, and the policy as a file.

The host is started without serving, since only the plugins' code knows their objects; a server that runs beside it
sees what was changed at its next request.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from plugin_host.cli.hosts import host_options, json_option, open_host, open_planner, print_json, print_table
from plugin_host.cli.renaming import renamed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.core.governing.ground import Ground
    from plugin_host.host import PluginHost


@click.group()
def access() -> None:
    """Say why somebody may do something, share objects, and keep the policy in a file.

    Example: plugin-host access explain ada contacts.person.edit 01kd3v
    """


access.add_command(renamed)


@access.command("explain")
@click.argument("actor")
@click.argument("permission")
@click.argument("object", required=False)
@host_options
@json_option
def explain(
    actor: str,
    permission: str,
    object: str | None,  # noqa: A002 - the contract's word
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Say whether somebody may, and why: through which roles, by which rules, and which roles would allow it.

    ACTOR is a user name, or the id of a user. Exits with 0 either way.

    Example: plugin-host access explain ada contacts.person.edit 01kd3v
    """
    from plugin_host.cli.explaining import tell  # noqa: PLC0415 - lazy like the rest

    said = asyncio.run(_explain(config, app, actor, permission, object))
    if as_json:
        print_json(said)
    else:
        tell(said, actor, permission, object)


@access.command("who-can")
@click.argument("permission")
@click.argument("object", required=False)
@host_options
@json_option
def who_can(
    permission: str,
    object: str | None,  # noqa: A002 - the contract's word
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """List who may do something: with an object, with this one, else with at least one.

    Example: plugin-host access who-can contacts.person.edit 01kd3v
    """
    said = asyncio.run(_who_can(config, app, permission, object))
    if as_json:
        print_json(said)
        return
    rows = [
        (each["username"], each["display"], ", ".join(each["through"]) or "-", each["id"]) for each in said["items"]
    ]
    print_table(("USERNAME", "NAME", "THROUGH", "ID"), rows)


@access.command("share")
@click.argument("permission")
@click.argument("object")
@click.argument("subject")
@click.option("--until", metavar="MOMENT", help="When it ends: 2027-01-31, or 2027-01-31T12:00:00Z.")
@click.option("--deny", is_flag=True, help="Deny it instead, whatever else allows it.")
@host_options
@json_option
def share(  # noqa: PLR0913 - its options
    permission: str,
    object: str,  # noqa: A002 - the contract's word
    subject: str,
    until: str | None,
    deny: bool,  # noqa: FBT001 - click's flag
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Give somebody a permission on one object.

    SUBJECT is user:<name>, group:<name> or role:<name>; ids will do as well.

    Example: plugin-host access share contacts.person.edit 01kd3v user:ada --until 2027-01-31
    """
    given = asyncio.run(_share(config, app, (permission, object, subject), _moment(until), deny=deny))
    if as_json:
        print_json(given)
    else:
        word = "denied" if deny else "allowed"
        end = f" until {given['until']}" if given["until"] else ""
        click.echo(f"{given['subject']} is {word} {permission} on {object}{end} ({given['id']})")


@access.command("export")
@host_options
def export(config: str | None, app: str | None) -> None:
    """Print the policy as JSON: administrators' roles, groups, who has which role, rules, and grants.

    Example: plugin-host access export > policy.json
    """
    click.echo(msgspec.json.format(asyncio.run(_export(config, app)), indent=2).decode())


@access.command("import")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--dry-run", is_flag=True, help="Say who would gain and lose what, and change nothing.")
@click.option("--replace", is_flag=True, help="Remove what the file does not name, in the sections it has.")
@host_options
@json_option
def import_(
    file: str,
    dry_run: bool,  # noqa: FBT001 - click's flag
    replace: bool,  # noqa: FBT001 - click's flag
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Make the policy what a file says, all of it or nothing; says who gains and who loses what.

    Example: plugin-host access import policy.json --dry-run
    """
    from plugin_host.cli.explaining import tell_change  # noqa: PLC0415 - lazy like the rest

    said = asyncio.run(_import(config, app, _read(file), dry_run=dry_run, replace=replace))
    if as_json:
        print_json(said)
    else:
        tell_change(said, dry_run=dry_run)


def _read(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        msg = f"cannot read {file}: {error}"
        raise click.ClickException(msg) from error


def _moment(said: str | None) -> dt.datetime | None:
    if said is None:
        return None
    try:
        moment = dt.datetime.fromisoformat(said)
    except ValueError as error:
        msg = f"--until {said}: write 2027-01-31, or 2027-01-31T12:00:00Z"
        raise click.UsageError(msg) from error
    return moment if moment.tzinfo is not None else moment.astimezone()  # the operator's own clock


@asynccontextmanager
async def _started(config: str | None, app: str | None) -> AsyncIterator[tuple[PluginHost, Ground]]:
    from plugin_host.core.governing.ground import ground_of  # noqa: PLC0415 - brings SQLAlchemy

    host = open_host(config, app)
    async with host.lifespan():
        people = host.users or host.core.people
        yield host, ground_of(host.standing, people, foreign=host.users is not None)


async def _share(
    config: str | None, app: str | None, said: tuple[str, str, str], until: dt.datetime | None, *, deny: bool
) -> dict[str, Any]:
    from plugin_host.core.governing.authority import Authority  # noqa: PLC0415 - brings SQLAlchemy
    from plugin_host.core.governing.grants import GrantIn, Place, make_grant  # noqa: PLC0415 - with it
    from plugin_host.core.governing.naming import Names  # noqa: PLC0415 - with it
    from plugin_host.core.governing.places import Places  # noqa: PLC0415 - with it
    from plugin_host.core.operator import operator  # noqa: PLC0415 - with it

    permission, object_id, subject = said
    async with _started(config, app) as (host, ground), host.work(operator()) as work:
        authority = await Authority.open(work.db, work.actor, ground)
        own = (await Names.read(work.db)).own(subject)
        data = GrantIn(own, permission, object_id, "deny" if deny else "allow", until)
        async with Places(host).of(permission, work.actor, Place(work.db, work.access)) as place:
            made = await make_grant(authority, place, data)
        return {**msgspec.to_builtins(made), "revision": authority.revision}


async def _export(config: str | None, app: str | None) -> bytes:
    from plugin_host.core.governing.exchange import write_policy  # noqa: PLC0415 - brings SQLAlchemy

    planner = open_planner(config, app)
    unit = planner.database.unit(write=False)
    try:
        await planner.migrate("core", None, None)
        return msgspec.json.encode(await write_policy(unit.session))
    finally:
        await unit.close()
        await planner.database.close()


async def _explain(
    config: str | None, app: str | None, actor: str, permission: str, object_id: str | None
) -> dict[str, Any]:
    from plugin_host.core.governing.asking import Asking  # noqa: PLC0415 - brings SQLAlchemy

    async with _started(config, app) as (host, ground), _reading(host) as db:
        asking = Asking(host, ground.users)
        why = await asking.explain(await asking.somebody(db, actor), permission, object_id)
        said: dict[str, Any] = msgspec.to_builtins(why)
        said.pop("revision")
        return said


async def _who_can(config: str | None, app: str | None, permission: str, object_id: str | None) -> dict[str, Any]:
    from plugin_host.core.governing.asking import Asking  # noqa: PLC0415 - brings SQLAlchemy

    async with _started(config, app) as (host, ground), _reading(host) as db:
        asking = Asking(host, ground.users)
        items: list[Any] = []
        cursor: str | None = None
        while True:
            found, cursor = await asking.who_can(db, permission, object_id, 200, cursor)
            items += found
            if cursor is None:
                break
        revision = host.standing.snapshot.policy.revision
        return {"items": msgspec.to_builtins(items), "next": None, "revision": revision}


async def _import(config: str | None, app: str | None, raw: bytes, *, dry_run: bool, replace: bool) -> dict[str, Any]:
    from plugin_host.core.governing.authority import Authority  # noqa: PLC0415 - brings SQLAlchemy
    from plugin_host.core.governing.exchange import PolicyFile, read_policy  # noqa: PLC0415 - with it
    from plugin_host.core.governing.grants import Place  # noqa: PLC0415 - with it
    from plugin_host.core.governing.trial import effects  # noqa: PLC0415 - with it
    from plugin_host.core.operator import operator  # noqa: PLC0415 - with it

    try:
        file = msgspec.json.decode(raw, type=PolicyFile)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        msg = f"this is no policy file: {error}"
        raise click.ClickException(msg) from error
    async with _started(config, app) as (host, ground), host.work(operator()) as work:
        authority = await Authority.open(work.db, work.actor, ground)
        await read_policy(authority, Place(work.db, work.access), file, replace=replace)
        after = await authority.close()
        revision = authority.revision
        found = await effects(work.db, authority.before, after)
        if dry_run:
            await authority.undo()
            revision = host.standing.snapshot.policy.revision
        return {"items": msgspec.to_builtins(found), "revision": revision}


@asynccontextmanager
async def _reading(host: PluginHost) -> AsyncIterator[AsyncSession]:
    unit = host.database.unit(write=False)
    try:
        yield unit.session
    finally:
        await unit.close()
