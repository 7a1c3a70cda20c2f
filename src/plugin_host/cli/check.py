"""`plugin-host check`: tell an author everything at once, with rule codes, files and lines."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from plugin_host.cli.hosts import json_option, print_json, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugin_host.core.checking.rows import Row
    from plugin_host.core.checking.trial import Trial
    from plugin_host.plugins.plan import Candidate, Plan
    from plugin_host.settings import Settings


@click.command()
@click.argument("what", metavar="[PATH|WHEEL|ID]", required=False)
@click.option("--strict", is_flag=True, help="Warnings fail as well.")
@click.option("--config", type=click.Path(dir_okay=False), help="Settings file (default: ./plugin-host.toml).")
@json_option
def check(what: str | None, strict: bool, config: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flags
    """Check a plugin: a folder, a project, a wheel, or an installed one; without a word all installed ones.

    Its files and sources are read, and every rule that they break is told with file and line. Then the plugin is
    resolved beside the installed ones, migrated and activated on a throw-away database, in a process of its own.
    Nothing of yours is written; the plugin's code is run.

    Example: plugin-host check dist/host_contacts-1.0-py3-none-any.whl --strict
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plugin-host-check-")))
        rows = _check(what, config, folder)
        failed = any(row.failed or (strict and row.warnings) for row in rows)
        if as_json:
            print_json({"ok": not failed, "items": rows})
        else:
            for row in rows:
                _tell(row)
        if failed:
            raise click.exceptions.Exit(1)


def _check(what: str | None, config: str | None, folder: Path) -> tuple[Row, ...]:
    from plugin_host.core.checking.rows import Checker, CheckError  # noqa: PLC0415 - brings SQLAlchemy
    from plugin_host.core.checking.throwaway import throwaway  # noqa: PLC0415 - lazy like it

    settings = throwaway(config, folder)
    candidate = _candidate(what, folder)
    plan = _plan(settings, candidate)
    wanted = _wanted(what, candidate, plan)
    checker = Checker(
        plan,
        _attempts(config, folder, candidate, settings),
        candidate=candidate,
        unpacked=folder / "wheel" if candidate is not None and candidate.place.endswith(".whl") else None,
        before=_plan(settings, None) if candidate is not None else None,
    )
    try:
        return checker.check(wanted)
    except CheckError as error:
        raise click.ClickException(str(error)) from error


def _candidate(what: str | None, folder: Path) -> Candidate | None:
    """Find what is to be checked, if it is not an installed plugin."""
    if what is None or not (Path(what).exists() or what.endswith(".whl") or "/" in what):
        return None
    from plugin_host.plugins.preflight import read_path, unpack  # noqa: PLC0415 - lazy

    path = Path(what)
    if not path.exists():
        raise click.ClickException(f"{what} does not exist")
    return unpack(path, folder / "wheel") if path.suffix == ".whl" else read_path(path)


def _plan(settings: Settings, candidate: Candidate | None) -> Plan:
    from plugin_host.core.databases import host_database  # noqa: PLC0415 - brings SQLAlchemy
    from plugin_host.core.planner import Planner  # noqa: PLC0415 - with it

    candidates = () if candidate is None else (candidate,)
    return run(Planner(settings, host_database(settings), candidates=candidates).plan())


def _wanted(what: str | None, candidate: Candidate | None, plan: Plan) -> str | None:
    """Give the id in the plan of what was asked for; None for all."""
    if what is None:
        return None
    if candidate is None:
        if plan.entry(what) is not None:
            return what
        known = ", ".join(entry.id for entry in plan.entries)
        raise click.ClickException(f"{what} is no path, no wheel and no installed plugin; installed are: {known}")
    same = [plugin for plugin, found in plan.found.items() if found.candidate.place == candidate.place]
    # Claimed by two places, it is shown with both.
    return next(iter(same), candidate.id)


def _attempts(
    config: str | None, folder: Path, candidate: Candidate | None, settings: Settings
) -> Callable[[tuple[str, ...]], Trial]:
    """Make what runs the trials, each with a folder of its own."""
    from plugin_host.core.checking import trial  # noqa: PLC0415 - lazy

    limit = settings.limits.import_timeout + settings.limits.startup_timeout + _MIGRATING
    path = [*_roots(candidate), *sys.path]

    def attempt(without: tuple[str, ...]) -> Trial:
        data = Path(tempfile.mkdtemp(dir=folder))
        job = trial.Job(
            config=config,
            folder=str(data),
            candidate=trial.pack(candidate) if candidate is not None else None,
            safe=without,
            path=tuple(path),
            answer=str(data / "answer.json"),
        )
        return trial.run([sys.executable, "-P", "-m", "plugin_host.cli.trial"], job, limit)

    return attempt


_MIGRATING = 30.0  # seconds for what has no limit of its own: migrations, and the start of the process


def _roots(candidate: Candidate | None) -> list[str]:
    """Say where a package is imported from that is not installed: as it will be, beside the others."""
    if candidate is None or candidate.source != "wheel" or candidate.folder is None:
        return []
    top = candidate.folder
    while top.name != candidate.package and top != top.parent:  # a package within a namespace lies deeper
        top = top.parent
    return [str(top.parent if top.name else candidate.folder.parent)]


def _tell(row: Row) -> None:
    name = f"{row.id} {row.version or ''}".strip()
    if row.state == "active":
        click.echo(f"{name} would run ({row.place})")
    else:
        click.echo(f"{name} would be {row.state} ({row.place})")
        if row.reason is not None:
            click.echo(f"      {row.reason.code}: {row.reason.text}")
            if row.reason.way_out:
                click.echo(f"      way out: {row.reason.way_out}")
    for each in row.findings:
        click.echo(f"{each.place or row.id}: {each.code} {each.level}: {each.text}")
        if each.way_out:
            click.echo(f"      way out: {each.way_out}")
