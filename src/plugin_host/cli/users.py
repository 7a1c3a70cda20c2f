"""`plugin-host users …`: people, also before the first start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from plugin_host.cli.hosts import host_options, json_option, open_planner, print_json, print_table, run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from plugin_host.core.accounts import Accounts
    from plugin_host.core.planner import Planner


@click.group()
def users() -> None:
    """Add and look after people.

    Example: plugin-host users list
    """


@users.command("create")
@click.argument("name")
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="A role to give; may be said several times.")
@click.option("--display", help="The name that people read (default: the user name).")
@click.option("--email", help="The mail address.")
@click.option(
    "--password-file", "password_file", metavar="FILE|-", help="Read the password from a file, or - for standard input."
)
@click.option("--service", is_flag=True, help="A machine: it has no password, only tokens.")
@host_options
@json_option
def create(  # noqa: PLR0913, PLR0917 - the contract's options, which click passes by name
    name: str,
    roles: tuple[str, ...],
    display: str | None,
    email: str | None,
    password_file: str | None,
    service: bool,  # noqa: FBT001 - click's flags
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Add a user. The first one with the role core.admin ends the set-up state.

    Example: plugin-host users create ada --role core.admin --password-file -
    """
    if service and password_file is not None:
        raise click.UsageError("a machine has no password: leave out --password-file")
    password = None if service else _read_password(password_file)
    kind = "service" if service else "person"

    async def add(accounts: Accounts) -> dict[str, Any]:
        return await accounts.add(name, password, display=display, email=email, roles=roles, kind=kind)

    _tell(run(_with(config, app, add, roles)), "Added", as_json=as_json)


@users.command("invite")
@click.argument("name")
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="A role to give; may be said several times.")
@click.option("--display", help="The name that people read (default: the user name).")
@click.option("--email", help="The mail address.")
@host_options
@json_option
def invite(  # noqa: PLR0913 - the contract's options
    name: str,
    roles: tuple[str, ...],
    display: str | None,
    email: str | None,
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Print a link with which a person chooses a password; somebody of a new name is added.

    Example: plugin-host users invite bob --role contacts.editor --email bob@example.org
    """

    async def make(accounts: Accounts) -> dict[str, Any]:
        known = {user["username"].casefold() for user in await accounts.everybody()}
        if name.casefold() not in known:
            await accounts.add(name, None, display=display, email=email, roles=roles)
        elif roles or display or email:
            raise click.ClickException(f"there is {name!r} already: invite them without --role, --display and --email")
        return {**await accounts.show(name), "invitation": await accounts.make_link(name, "invitation")}

    made = run(_with(config, app, make, roles))
    if as_json:
        print_json(made)
    else:
        click.echo(f"{made['invitation']['url']}\nIt works once, until {made['invitation']['expires_at']}.")


@users.command("list")
@host_options
@json_option
def list_users(config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """List people with their roles.

    Example: plugin-host users list --json
    """

    async def everybody(accounts: Accounts) -> list[dict[str, Any]]:
        return await accounts.everybody()

    people = run(_with(config, app, everybody))
    if as_json:
        print_json({"items": people, "next": None})
        return
    print_table(
        ("USERNAME", "NAME", "STATUS", "ROLES", "ID"),
        [(u["username"], u["display"], u["status"], ", ".join(u["roles"]) or "-", u["id"]) for u in people],
    )


@users.command("show")
@click.argument("name")
@host_options
@json_option
def show(name: str, config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Show one person, by user name or id.

    Example: plugin-host users show ada
    """

    async def find(accounts: Accounts) -> dict[str, Any]:
        return await accounts.show(name)

    user = run(_with(config, app, find))
    if as_json:
        print_json(user)
        return
    for key, value in user.items():
        click.echo(f"{key + ':':10} {', '.join(value) if isinstance(value, list) else value}")


@users.command("enable")
@click.argument("name")
@host_options
@json_option
def enable(name: str, config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Let somebody sign in again.

    Example: plugin-host users enable bob
    """
    _tell(run(_set_status(config, app, name, "active")), "Enabled", as_json=as_json)


@users.command("disable")
@click.argument("name")
@host_options
@json_option
def disable(name: str, config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Shut somebody out: sessions and tokens end at their next request, in every process.

    Example: plugin-host users disable bob
    """
    _tell(run(_set_status(config, app, name, "disabled")), "Disabled", as_json=as_json)


@users.command("set-password")
@click.argument("name")
@click.option(
    "--password-file", "password_file", metavar="FILE|-", help="Read the password from a file, or - for standard input."
)
@click.option("--link", is_flag=True, help="Print a link instead, with which the person chooses one.")
@host_options
@json_option
def set_password(
    name: str,
    password_file: str | None,
    link: bool,  # noqa: FBT001 - click's flags
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Give somebody a new password; every session of theirs ends.

    Example: plugin-host users set-password ada --password-file -
    """
    if link and password_file is not None:
        raise click.UsageError("give --link or --password-file, not both")
    if link:

        async def make(accounts: Accounts) -> dict[str, Any]:
            return await accounts.make_link(name, "reset")

        made = run(_with(config, app, make))
        if as_json:
            print_json(made)
        else:
            click.echo(f"{made['url']}\nIt works once, until {made['expires_at']}.")
        return
    password = _read_password(password_file)

    async def change(accounts: Accounts) -> dict[str, Any]:
        return await accounts.set_password(name, password)

    _tell(run(_with(config, app, change)), "Changed the password of", as_json=as_json)


@users.command("grant")
@click.argument("name")
@click.argument("roles", nargs=-1, required=True)
@host_options
@json_option
def grant(
    name: str,
    roles: tuple[str, ...],
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Give somebody roles; holds at their next request.

    Example: plugin-host users grant bob contacts.editor
    """

    async def give(accounts: Accounts) -> dict[str, Any]:
        return await accounts.change_roles(name, give=roles)

    _tell(run(_with(config, app, give, roles)), "Changed", as_json=as_json)


@users.command("revoke")
@click.argument("name")
@click.argument("roles", nargs=-1, required=True)
@host_options
@json_option
def revoke(
    name: str,
    roles: tuple[str, ...],
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Take roles away from somebody; holds at their next request.

    Example: plugin-host users revoke bob contacts.editor
    """

    async def take(accounts: Accounts) -> dict[str, Any]:
        return await accounts.change_roles(name, take=roles)

    _tell(run(_with(config, app, take)), "Changed", as_json=as_json)


def _tell(user: dict[str, Any], verb: str, *, as_json: bool) -> None:
    if as_json:
        print_json(user)
    else:
        roles = ", ".join(user["roles"]) or "none"
        click.echo(f"{verb} {user['username']} ({user['id']}), {user['status']}, with roles: {roles}")


def _read_password(source: str | None) -> str:
    if source is None:
        if not sys.stdin.isatty():
            raise click.UsageError("give the password with --password-file FILE, or - for standard input")
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    if source == "-":
        return sys.stdin.readline().rstrip("\r\n")
    try:
        return Path(source).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"cannot read the password from {source}: {error}"
        raise click.ClickException(msg) from error


async def _set_status(
    config: str | None, app: str | None, name: str, status: Literal["active", "disabled"]
) -> dict[str, Any]:
    async def change(accounts: Accounts) -> dict[str, Any]:
        return await accounts.set_status(name, status)

    changed: dict[str, Any] = await _with(config, app, change)
    return changed


async def _with(
    config: str | None,
    app: str | None,
    work: Callable[[Accounts], Awaitable[Any]],
    roles: Collection[str] = (),
) -> Any:
    """Do some work with the accounts, whose tables are there then; `roles` must be known ones."""
    planner = open_planner(config, app)
    accounts = _accounts(planner)
    try:
        await planner.migrate("core", None, None)
        if roles:
            known = {role for entry in (await planner.verified()).entries for role in entry.roles}
            known |= await accounts.own_roles()
            for role in roles:
                if role not in known:
                    raise click.ClickException(f"there is no role {role!r}; there are: {', '.join(sorted(known))}")
        return await work(accounts)
    finally:
        accounts.close()
        await planner.database.close()


def _accounts(planner: Planner) -> Accounts:
    from plugin_host.core.accounts import Accounts  # noqa: PLC0415 - brings SQLAlchemy

    return Accounts(planner.settings, planner.database)
