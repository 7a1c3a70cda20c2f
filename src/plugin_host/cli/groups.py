"""`plugin-host groups …`: groups of people, and the roles that they have through them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
import msgspec

from plugin_host.cli.hosts import host_options, json_option, open_planner, print_json, print_table, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.core.governing.authority import Authority
    from plugin_host.core.governing.shapes import GroupOut
    from plugin_host.core.planner import Planner


@click.group()
def groups() -> None:
    """List and change groups of people.

    A group is named by its name or its id, a person by the user name or the id.

    Example: plugin-host groups create Sales --member ada --role contacts.editor
    """


@groups.command("list")
@host_options
@json_option
def list_groups(config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """List the groups with their roles.

    Example: plugin-host groups list --json
    """
    found = run(_list(config, app))
    if as_json:
        print_json(found)
        return
    print_table(
        ("GROUP", "MEMBERS", "ROLES", "ID"),
        [(g["name"], str(len(g["members"])), ", ".join(g["roles"]) or "-", g["id"]) for g in found["items"]],
    )


@groups.command("show")
@click.argument("group")
@host_options
@json_option
def show_group(group: str, config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Show a group: who is in it, and which roles it gives.

    Example: plugin-host groups show Sales
    """
    found, names = run(_show(config, app, group))
    if as_json:
        print_json(found)
        return
    click.echo(f"{found['name']} ({found['id']})")
    click.echo(f"roles: {', '.join(found['roles']) or 'none'}")
    click.echo(f"members: {', '.join(names.get(each, each) for each in found['members']) or 'none'}")


@groups.command("create")
@click.argument("name")
@click.option("--member", "members", multiple=True, metavar="USER", help="Who is in it; may be said several times.")
@click.option("--role", "given", multiple=True, metavar="ROLE", help="A role to give; may be said several times.")
@host_options
@json_option
def create_group(
    name: str,
    members: tuple[str, ...],
    given: tuple[str, ...],
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Make a group.

    Example: plugin-host groups create Sales --member ada --role contacts.editor
    """

    async def make(authority: Authority, users: Sequence[str]) -> GroupOut:
        from plugin_host.core.governing.groups import GroupIn, make_group  # noqa: PLC0415 - brings SQLAlchemy

        return await make_group(authority, GroupIn(name, list(users), list(given)))

    _tell(run(_change(config, app, make, users=members)), as_json=as_json)


@groups.command("delete")
@click.argument("group")
@host_options
@json_option
def delete_group(group: str, config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Delete a group with all that it was given; the people stay.

    Example: plugin-host groups delete Sales
    """

    async def drop(authority: Authority, _users: Sequence[str]) -> GroupOut:
        from plugin_host.core.governing import groups as service  # noqa: PLC0415 - brings SQLAlchemy
        from plugin_host.core.governing.naming import named_group  # noqa: PLC0415 - with it

        found = await named_group(authority.db, group)
        shown = await service.show_group(authority.db, found.id)
        await service.drop_group(authority, found.id)
        return shown

    found = run(_change(config, app, drop))
    if as_json:
        print_json({"deleted": found["id"], "revision": found["revision"]})
    else:
        click.echo(f"Deleted {found['name']} ({found['id']})")


@groups.command("add")
@click.argument("group")
@click.argument("users", nargs=-1, required=True)
@host_options
@json_option
def add_members(
    group: str,
    users: tuple[str, ...],
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Put people into a group.

    Example: plugin-host groups add Sales ada grace
    """
    change = _edit(group, lambda had, said: {"members": [*had.members, *said]})
    _tell(run(_change(config, app, change, users=users)), as_json=as_json)


@groups.command("remove")
@click.argument("group")
@click.argument("users", nargs=-1, required=True)
@host_options
@json_option
def remove_members(
    group: str,
    users: tuple[str, ...],
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Take people out of a group; they lose its roles at their next request.

    Example: plugin-host groups remove Sales grace
    """
    change = _edit(group, lambda had, said: {"members": [each for each in had.members if each not in said]})
    _tell(run(_change(config, app, change, users=users)), as_json=as_json)


@groups.command("grant")
@click.argument("group")
@click.argument("given", nargs=-1, required=True, metavar="ROLE...")
@host_options
@json_option
def grant_roles(
    group: str,
    given: tuple[str, ...],
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Give everybody in a group roles.

    Example: plugin-host groups grant Sales contacts.editor
    """
    change = _edit(group, lambda had, _said: {"roles": [*had.roles, *given]})
    _tell(run(_change(config, app, change)), as_json=as_json)


@groups.command("revoke")
@click.argument("group")
@click.argument("taken", nargs=-1, required=True, metavar="ROLE...")
@host_options
@json_option
def revoke_roles(
    group: str,
    taken: tuple[str, ...],
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Take roles from a group.

    Example: plugin-host groups revoke Sales contacts.editor
    """
    change = _edit(group, lambda had, _said: {"roles": [each for each in had.roles if each not in taken]})
    _tell(run(_change(config, app, change)), as_json=as_json)


def _tell(group: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(group)
    else:
        members = len(group["members"])
        click.echo(f"{group['name']} ({group['id']}): {members} members, roles: {', '.join(group['roles']) or 'none'}")


def _edit(
    group: str, changed: Callable[[GroupOut, Sequence[str]], dict[str, list[str]]]
) -> Callable[[Authority, Sequence[str]], Awaitable[GroupOut]]:
    async def edit(authority: Authority, users: Sequence[str]) -> GroupOut:
        from plugin_host.core.governing import groups as service  # noqa: PLC0415 - brings SQLAlchemy
        from plugin_host.core.governing.naming import named_group  # noqa: PLC0415 - with it

        found = await named_group(authority.db, group)
        had = await service.show_group(authority.db, found.id)
        said: dict[str, Any] = changed(had, users)
        return await service.edit_group(authority, found.id, service.GroupChange(**said))

    return edit


async def _change(
    config: str | None,
    app: str | None,
    change: Callable[[Authority, Sequence[str]], Awaitable[GroupOut]],
    *,
    users: Sequence[str] = (),
) -> dict[str, Any]:
    from plugin_host.core.governing.operating import changing  # noqa: PLC0415 - brings SQLAlchemy

    planner = open_planner(config, app)
    try:
        async with changing(planner) as authority:
            ids = await _ids(authority.db, planner, users)
            shown = await change(authority, ids)
        return {**msgspec.to_builtins(shown), "revision": authority.revision}
    finally:
        await planner.database.close()


async def _ids(db: AsyncSession, planner: Planner, users: Sequence[str]) -> list[str]:
    from plugin_host.auth.people import People  # noqa: PLC0415 - brings SQLAlchemy
    from plugin_host.core.governing.naming import named_user  # noqa: PLC0415 - with it

    people = People(planner.database)
    return [(await named_user(db, people, user)).id for user in users]


async def _list(config: str | None, app: str | None) -> dict[str, Any]:
    from sqlalchemy import select  # noqa: PLC0415 - slow to import

    from plugin_host.access.tables import Group  # noqa: PLC0415 - with it
    from plugin_host.core.governing.groups import show_groups  # noqa: PLC0415 - with it
    from plugin_host.core.governing.operating import reading  # noqa: PLC0415 - with it

    planner = open_planner(config, app)
    try:
        async with reading(planner) as (db, _ground):
            revision = (await planner.database.revision()).policy
            found = (await db.scalars(select(Group).order_by(Group.name_key))).all()
            shown = [
                each
                for start in range(0, len(found), 200)
                for each in await show_groups(db, found[start : start + 200])
            ]
            return {"items": msgspec.to_builtins(shown), "next": None, "revision": revision}
    finally:
        await planner.database.close()


async def _show(config: str | None, app: str | None, group: str) -> tuple[dict[str, Any], dict[str, str]]:
    from plugin_host.core.governing.groups import show_group as show  # noqa: PLC0415 - brings SQLAlchemy
    from plugin_host.core.governing.naming import named_group  # noqa: PLC0415 - with it
    from plugin_host.core.governing.operating import reading  # noqa: PLC0415 - with it

    planner = open_planner(config, app)
    try:
        async with reading(planner) as (db, ground):
            revision = (await planner.database.revision()).policy
            shown = await show(db, (await named_group(db, group)).id)
            people = await ground.users.get(shown.members)
            names = {user_id: record.username for user_id, record in people.items()}
            return {**msgspec.to_builtins(shown), "revision": revision}, names
    finally:
        await planner.database.close()
