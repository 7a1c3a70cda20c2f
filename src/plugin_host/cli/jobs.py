"""`plugin-host jobs list|run`: background work, and running it now."""

from __future__ import annotations

import json

import click

from plugin_host.cli.events import at_desk
from plugin_host.cli.hosts import host_options, json_option, print_json, print_table, run


@click.group()
def jobs() -> None:
    """List the jobs, and run one now.

    Example: plugin-host jobs list
    """


@jobs.command("list")
@host_options
@json_option
def list_jobs(config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """List the jobs that plugins have registered: when they run, what waits, and how the last run went.

    Example: plugin-host jobs list --json
    """
    found = run(at_desk(config, app, lambda desk: desk.jobs()))
    if as_json:
        print_json({"items": found, "next": None})
        return
    print_table(
        ("JOB", "SCHEDULE", "NEXT", "WAITING", "DEAD", "LAST"),
        [
            (
                each.name,
                f"{each.schedule} ({each.timezone})" if each.schedule else "-",
                f"{each.next_at:%Y-%m-%d %H:%M:%S}" if each.next_at else "-",
                str(each.waiting + each.running),
                str(each.dead),
                f"{each.last.outcome} {each.last.ended_at:%Y-%m-%d %H:%M}" if each.last else "never",
            )
            for each in found
        ],
    )


@jobs.command("run")
@click.argument("name")
@click.option("--args", "arguments", help="Its arguments, as a JSON object.")
@host_options
@json_option
def run_job(name: str, arguments: str | None, config: str | None, app: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """Have a job run now, by the server or the worker that runs; if none does, when one is started.

    Example: plugin-host jobs run reporting.rebuild --args '{"year": 2026}'
    """
    from plugin_host.core.operator import operator  # noqa: PLC0415 - brings SQLAlchemy

    payload: bytes | None = None
    if arguments is not None:
        try:
            said = json.loads(arguments)
        except ValueError as error:
            raise click.UsageError(f"--args is no JSON: {error}") from error
        if not isinstance(said, dict):
            raise click.UsageError('--args is a JSON object: {"year": 2026}')
        payload = json.dumps(said).encode()
    done = run(at_desk(config, app, lambda desk: desk.run(name, payload, operator())))
    if as_json:
        print_json(done)
    else:
        click.echo(f"{name} is enqueued ({done.id})")
