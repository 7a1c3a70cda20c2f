"""Make a revision for an author: import the plugin's models, draft, and write the file."""

from __future__ import annotations

import asyncio
import importlib.util
from typing import TYPE_CHECKING

import msgspec

from plugin_host.core.migrating.sources import home
from plugin_host.migrations.drafting import draft
from plugin_host.migrations.planning import MigrationError
from plugin_host.plugins import activation
from plugin_host.sdk.errors import PluginFault

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from plugin_host.core.planner import Planner
    from plugin_host.plugins.plan import Found


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """What was drafted. `file` is null where nothing was written: the models and the revisions agree."""

    plugin: str
    revision: str
    file: str | None
    needs: dict[str, str]
    operations: tuple[str, ...]
    warnings: tuple[str, ...]


async def make(planner: Planner, plugin: str, message: str, *, drops: bool = False, empty: bool = False) -> Made:
    """Write the next revision of a plugin from its models; `empty` writes one for an author to fill in.

    Raises `MigrationError` where it would take something away and nobody said `drops`, and for a plugin that is not
    there, cannot be imported, or lies where packages are installed.
    """
    where = await home(planner, plugin)
    plan = await planner.plan()
    found = plan.found[plugin]
    folder = _folder(plugin, found)
    needed = [plan.found[other] for other in where.source.requires if other in plan.found]
    await asyncio.to_thread(import_models, [*needed, found])
    made = await asyncio.to_thread(draft, where.source, where.sources, message, planner.databases.of(plugin))
    if made.drops and not drops:
        raise MigrationError(
            f"this would {' and '.join(made.drops)}, with all that is in there; a rename looks the same. Say --drop if"
            " that is meant, and nobody reads it any more"
        )
    file = None
    if made.operations or empty:
        file = folder / made.name
        folder.mkdir(exist_ok=True)
        with file.open("x", encoding="utf-8") as written:
            written.write(made.text)
    return Made(
        plugin=plugin,
        revision=made.revision,
        file=str(file) if file is not None else None,
        needs=made.needs,
        operations=made.operations,
        warnings=made.warnings,
    )


def _folder(plugin: str, found: Found) -> Path:
    folder = found.candidate.folder
    if folder is None or not {"site-packages", "dist-packages"}.isdisjoint(folder.parts):
        raise MigrationError(
            f"{plugin} is installed as a package ({found.candidate.place}): install its source with pip install -e,"
            " and make the revision there"
        )
    return folder / "migrations"


def import_models(plugins: Sequence[Found]) -> None:
    """Import plugins, and their `models`, where nothing else does. Raises `MigrationError`."""
    for each in plugins:
        try:
            activation.load(each)
        except PluginFault as fault:
            raise MigrationError(fault.reason.text) from fault
        name = f"{each.candidate.package}.models"
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
