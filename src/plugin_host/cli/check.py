"""`plugin-host check`: would this plugin run? Static checks, then a real activation on a throw-away database."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from plugin_host.cli.hosts import json_option, print_json, run

if TYPE_CHECKING:
    from plugin_host.plugins.plan import Candidate, Plan


@click.command()
@click.argument("what", metavar="[PATH|WHEEL|ID]", required=False)
@click.option("--strict", is_flag=True, help="Warnings fail as well: what hooks add beyond the files.")
@click.option("--config", type=click.Path(dir_okay=False), help="Settings file (default: ./plugin-host.toml).")
@json_option
def check(what: str | None, strict: bool, config: str | None, as_json: bool) -> None:  # noqa: FBT001 - click's flags
    """Check a plugin: a folder, a project, a wheel, or an installed one; without a word all installed ones.

    The files are read, the plugin is resolved beside the installed ones, migrated and activated on a
    throw-away database. Nothing of yours is written; the plugin's code is run.

    Example: plugin-host check dist/host_contacts-1.0-py3-none-any.whl
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plugin-host-check-")))
        candidate = _candidate(what, folder)
        plan, warnings = run(_activate(config, folder, candidate))
        wanted = candidate.id if candidate is not None else what
        rows = [_row(entry, warnings) for entry in plan.entries if wanted is None or entry.id == wanted]
        if not rows:
            known = ", ".join(entry.id for entry in plan.entries)
            raise click.ClickException(f"{what} is no path, no wheel and no installed plugin; installed are: {known}")
        failed = any(row["state"] != "active" or (strict and row["warnings"]) for row in rows)
        if as_json:
            print_json({"ok": not failed, "items": rows})
        else:
            for row in rows:
                _tell(row)
        if failed:
            raise click.exceptions.Exit(1)


def _candidate(what: str | None, folder: Path) -> Candidate | None:
    """Find what is to be checked, if it is not an installed plugin."""
    if what is None or not (Path(what).exists() or what.endswith(".whl") or "/" in what):
        return None
    from plugin_host.plugins.preflight import read_path, unpack  # noqa: PLC0415 - lazy

    path = Path(what)
    if not path.exists():
        raise click.ClickException(f"{what} does not exist")
    candidate = unpack(path, folder / "wheel") if path.suffix == ".whl" else read_path(path)
    if candidate.source == "wheel" and candidate.folder is not None:
        # Imported as it will be when installed: its top-level package is beside the others.
        sys.path.insert(0, str(candidate.folder.parent))
    return candidate


async def _activate(config: str | None, folder: Path, candidate: Candidate | None) -> tuple[Plan, dict[str, list[str]]]:
    from plugin_host.host import PluginHost  # noqa: PLC0415 - brings the web stack
    from plugin_host.settings import Settings  # noqa: PLC0415 - with it

    loaded = Settings.load(config)
    settings = msgspec.structs.replace(
        loaded,
        loader=msgspec.structs.replace(loaded.loader, strict=False),
        data_dir=str(folder / "data"),
        database=f"sqlite:///{folder / 'data' / 'host.db'}",
    )
    host = PluginHost(settings, candidates=() if candidate is None else (candidate,))
    async with host.lifespan():
        generation = host.standing.generation
        warnings = {plugin: list(part.beyond) for plugin, part in generation.declared.items()}
        return generation.plan, warnings


def _row(entry: Any, warnings: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "id": entry.id,
        "version": entry.version,
        "place": entry.place,
        "state": entry.state,
        "reason": entry.reason,
        "warnings": warnings.get(entry.id, []),
        "verified": entry.verified,
    }


def _tell(row: dict[str, Any]) -> None:
    if row["state"] == "active":
        click.echo(f"{row['id']} {row['version'] or ''} would run ({row['place']})")
    else:
        reason = row["reason"]
        click.echo(f"{row['id']} {row['version'] or ''} would be {row['state']} ({row['place']})")
        click.echo(f"      {reason.code}: {reason.text}")
        if reason.way_out:
            click.echo(f"      way out: {reason.way_out}")
    for warning in row["warnings"]:
        click.echo(f"      warning: {warning}")
