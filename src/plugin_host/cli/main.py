"""`plugin-host`: the click group. Commands are loaded when used; words it does not know are plugins' commands."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Any, Final

import click

# The word, where its command is, and the line of the help: help must not import what it describes.
COMMANDS: Final = {
    "serve": ("plugin_host.cli.serve:serve", "Run the server."),
    "plan": ("plugin_host.cli.plan:plan", "Say what starting now would do."),
    "plugins": ("plugin_host.cli.plugins:plugins", "List and show the plugins."),
    "check": ("plugin_host.cli.check:check", "Check a plugin before it is installed or published."),
    "doctor": ("plugin_host.cli.doctor:doctor", "Say what is wrong with this installation, and what to do."),
    "migrate": ("plugin_host.cli.migrate:migrate", "Bring the tables up to date, or take them back."),
    "makemigration": ("plugin_host.cli.makemigration:makemigration", "Write a plugin's next revision from its models."),
    "migrations": ("plugin_host.cli.migrations:migrations", "Look into the ledger of migrations, and mend."),
    "users": ("plugin_host.cli.users:users", "Add and look after people."),
    "auth": ("plugin_host.cli.auth:auth", "Look after the keys that sign access tokens."),
    "audit": ("plugin_host.cli.audit:audit", "Read the audit log, and verify it."),
    "groups": ("plugin_host.cli.groups:groups", "List and change groups of people."),
    "roles": ("plugin_host.cli.roles:roles", "List and show roles."),
    "access": ("plugin_host.cli.access:access", "Say why somebody may, share objects, keep the policy in a file."),
    "config": ("plugin_host.cli.config:config", "Show the settings and where each comes from."),
    "openapi": ("plugin_host.cli.openapi:openapi", "Print the OpenAPI document of the plugins that would run."),
    "events": ("plugin_host.cli.events:events", "See what could not be delivered; deliver again."),
    "jobs": ("plugin_host.cli.jobs:jobs", "List the jobs, and run one now."),
    "worker": ("plugin_host.cli.worker:worker", "Deliver events and run jobs, without serving."),
    "schema": ("plugin_host.cli.plan:schema", "Print the JSON Schema of a manifest file."),
}


class Commands(click.Group):
    """A group whose commands are imported when asked for; other words name plugins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the host's own commands; plugins' are not imported for a help page."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command of the host, or the commands of the plugin of that name."""
        if cmd_name in COMMANDS:
            module, _, name = COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(import_module(module), name)
            return command
        from plugin_host.cli.commands import plugin_group  # noqa: PLC0415 - lazy like the others

        return plugin_group(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(word, line) for word, (_where, line) in COMMANDS.items()])
        with formatter.section("Plugins"):
            formatter.write_text("plugin-host PLUGIN … runs the commands that an active plugin brings.")


def _version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    if value:
        from plugin_host import __version__  # noqa: PLC0415 - reads the installed metadata, only now

        click.echo(f"plugin-host {__version__}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
def cli() -> None:
    """Host plugins: find them, check them, run their migrations, serve them.

    Example: plugin-host serve --demo
    """


def main(arguments: list[str] | None = None) -> None:
    """Run the command line: exit code 0 done, 1 refused or failed with its reason, 2 misuse."""
    code = _run(arguments)
    running: Any = sys.modules.get("plugin_host.cli.running")
    if running is not None and running.LEFT_BEHIND.is_set():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # Python itself would wait for the threads for ever
    sys.exit(code)


def _run(arguments: list[str] | None) -> int:
    try:
        # Without standalone mode click gives back the code of an `Exit`, instead of ending the process.
        code = cli.main(arguments, prog_name="plugin-host", standalone_mode=False)
    except click.Abort:
        click.echo("Stopped.", err=True)
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except Exception as error:
        told = str(error) if _is_known(error) else _told_by_database(error)
        if told is None:
            raise
        click.echo(f"plugin-host: {told}", err=True)
        return 1
    return code if isinstance(code, int) else 0


def _is_known(error: Exception) -> bool:
    """Tell whether the error is worded for operators: then one line says it all, and no traceback helps."""
    known: list[Any] = [
        getattr(module, name)
        for where, name in (
            ("plugin_host.settings", "SettingsError"),
            ("plugin_host.database", "DatabaseError"),
            ("plugin_host.host", "HostError"),
            ("plugin_host.migrations.planning", "MigrationError"),
            ("plugin_host.sdk.errors", "PluginFault"),
            ("plugin_host.sdk.errors", "Problem"),
        )
        # A class that was never imported cannot have been raised.
        if (module := sys.modules.get(where)) is not None
    ]
    return isinstance(error, tuple(known))


def _told_by_database(error: Exception) -> str | None:
    """Word what a database says that is not there, not reachable, busy or broken; None for errors in a question."""
    errors: Any = sys.modules.get("sqlalchemy.exc")  # as above
    if errors is None or not isinstance(error, errors.DatabaseError | errors.InterfaceError):
        return None
    if isinstance(error, errors.DataError | errors.IntegrityError | errors.InternalError | errors.ProgrammingError):
        return None
    said = str(error.orig).strip().partition("\n")[0]
    if "locked" in said:
        return f"the database is busy ({said}): another process has kept it for long; try again, or stop that one"
    return f"the database cannot be used ({said}): see that it runs, and check `database` in the settings"
