"""`plugin-host users create|list`: people, also before the first start."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from plugin_host.cli.hosts import host_options, json_option, open_planner, print_json, print_table, run

if TYPE_CHECKING:
    from plugin_host.core.accounts import Accounts
    from plugin_host.core.planner import Planner


@click.group()
def users() -> None:
    """Add and list people.

    Example: plugin-host users list
    """


@users.command("create")
@click.argument("name")
@click.option("--role", "roles", multiple=True, metavar="ROLE", help="A role to give; may be said several times.")
@click.option("--display", help="The name that people read (default: the user name).")
@click.option(
    "--password-file", "password_file", metavar="FILE|-", help="Read the password from a file, or - for standard input."
)
@host_options
@json_option
def create(  # noqa: PLR0913 - the contract's options
    name: str,
    roles: tuple[str, ...],
    display: str | None,
    password_file: str | None,
    config: str | None,
    app: str | None,
    as_json: bool,  # noqa: FBT001 - click's flag
) -> None:
    """Add a user. The first one with the role core.admin ends the set-up state.

    Example: plugin-host users create ada --role core.admin --password-file -
    """
    password = _read_password(password_file)
    user = run(_create(config, app, name, password, display, roles))
    if as_json:
        print_json(user)
    else:
        click.echo(f"Added {user['username']} ({user['id']}) with roles: {', '.join(user['roles']) or 'none'}")


@users.command("list")
@host_options
@json_option
def list_users(config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """List people with their roles.

    Example: plugin-host users list --json
    """
    people = run(_list(config, app))
    if as_json:
        print_json({"items": people, "next": None})
        return
    print_table(
        ("USERNAME", "NAME", "STATUS", "ROLES", "ID"),
        [(u["username"], u["display"], u["status"], ", ".join(u["roles"]) or "-", u["id"]) for u in people],
    )


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


async def _create(
    config: str | None, app: str | None, name: str, password: str, display: str | None, roles: tuple[str, ...]
) -> dict[str, Any]:
    planner = open_planner(config, app)
    accounts = _accounts(planner)
    try:
        await planner.migrate("core", None, None)
        known = {role for entry in (await planner.verified()).entries for role in entry.roles}
        for role in roles:
            if role not in known:
                raise click.ClickException(f"there is no role {role!r}; there are: {', '.join(sorted(known))}")
        return await accounts.add(name, password, display=display, roles=roles)
    finally:
        accounts.close()
        await planner.database.close()


async def _list(config: str | None, app: str | None) -> list[dict[str, Any]]:
    planner = open_planner(config, app)
    accounts = _accounts(planner)
    try:
        await planner.migrate("core", None, None)
        return await accounts.everybody()
    finally:
        accounts.close()
        await planner.database.close()


def _accounts(planner: Planner) -> Accounts:
    from plugin_host.core.accounts import Accounts  # noqa: PLC0415 - brings SQLAlchemy

    return Accounts(planner.settings, planner.database)
