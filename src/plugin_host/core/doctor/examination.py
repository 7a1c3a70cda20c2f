"""The round of the doctor: one check after the other, and none of them can spoil the others. Writes nothing."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from plugin_host.core.databases import host_database
from plugin_host.core.doctor import environment, installation, plugins
from plugin_host.core.doctor.database import check_database
from plugin_host.core.doctor.findings import Finding, first_line
from plugin_host.core.doctor.precautions import check_dangers
from plugin_host.core.planner import Planner
from plugin_host.database import DatabaseError
from plugin_host.settings import Settings, SettingsError
from plugin_host.supervision.starts import Starts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence


async def examine(config: str | None, environ: Mapping[str, str], planner: Planner | None = None) -> list[Finding]:
    """Look at an installation: by its settings file and variables, or the one of an application's `planner`."""
    embedded = planner is not None
    found = [*_safely("python", environment.check_python)]
    if planner is None:
        found += _safely("settings", lambda: installation.check_settings(config, environ))
        try:
            settings = Settings.load(config, environ)
            planner = Planner(settings, host_database(settings))
        except SettingsError:
            found += _safely("versions", environment.check_host)
            text = "Files, database and plugins were not looked at: it is the settings that say where they are."
            return [*found, Finding(check="settings", level="note", text=text)]
        except (DatabaseError, ImportError) as error:
            way_out = "Correct `database`."
            if isinstance(error, ImportError):
                way_out = "Run: pip install 'plugin-host[postgres]'"
            found += _safely("versions", environment.check_host)
            return [*found, Finding(check="database", level="error", text=f"{first_line(error)}.", way_out=way_out)]
    try:
        file = None if embedded else installation.settings_file(config, environ)
        found += await _examine(planner, file, None if embedded else environ)
    finally:
        await planner.database.close()
    return found


def document(findings: Sequence[Finding]) -> dict[str, Any]:
    """Give what `plugin-host doctor --json` prints: `ok` says that there is no error."""
    return {"ok": all(finding.level != "error" for finding in findings), "items": list(findings)}


async def _examine(planner: Planner, config: Path | None, environ: Mapping[str, str] | None) -> list[Finding]:
    """Look at all that settings say; without `environ` at those of an application, which has a server of its own."""
    settings, database = planner.settings, planner.database
    extras = () if database.path is not None else ("postgres",)
    found = _safely("versions", lambda: environment.check_host(extras))
    if environ is not None:
        found += _safely("addresses", lambda: installation.check_addresses(settings))
        found += _safely("precautions", lambda: check_dangers(settings, config, environ))
    found += _safely("files", lambda: installation.check_files(settings, config))
    found += _safely("disk", lambda: installation.check_disk(settings))
    looked = await asyncio.to_thread(_safely, "database", lambda: check_database(database))
    found += looked
    starts = Starts(Path(settings.data_dir) / "starting.json")
    found += _safely("starts", lambda: plugins.check_starts(starts.state()))
    if not any(finding.level in {"ok", "note"} for finding in looked):
        text = "Tables and plugins were not looked at: the database cannot be used."
        return [*found, Finding(check="plugins", level="note", text=text)]
    try:
        plan = await planner.verified()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        return [*found, _failed("plugins", error)]
    for plugin, own in planner.databases.groups().items():
        looked = await asyncio.to_thread(_safely, "database", partial(check_database, own))
        found += [msgspec.structs.replace(each, text=f"{plugin}'s own: {each.text}") for each in looked]
    found += _safely("tables", lambda: plugins.check_tables(plan, settings))
    found += _safely("settings", lambda: plugins.check_plugin_settings(plan, settings))
    found += _safely("plugins", lambda: plugins.check_plugins(plan))
    return found


def _safely(check: str, look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    """Gather what a check finds; that it failed itself is a finding too."""
    found: list[Finding] = []
    try:
        found.extend(look())
    except Exception as error:  # noqa: BLE001 - a doctor does not faint
        found.append(_failed(check, error))
    return found


def _failed(check: str, error: Exception) -> Finding:
    text = f"This could not be looked at: {type(error).__name__}: {first_line(error)}."
    return Finding(check=check, level="error", text=text, way_out="Correct what it says, and run doctor again.")
