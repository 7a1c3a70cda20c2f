"""Permissions that have another name now: what was given under the old one is kept when an operator agrees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plugin_host.access.orphans import Rename, rename, renames
from plugin_host.audit import Entry, record
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from plugin_host.core.standing import Standing
    from plugin_host.database import Databases
    from plugin_host.sdk.context import Actor
    from plugin_host.sdk.manifest import Permission


async def waiting(databases: Databases, standing: Standing) -> list[Rename]:
    """Say which permissions of the active plugins have another name now, and what still says the old one."""
    found: dict[str, Rename] = {}
    for plugin, part in standing.generation.declared.items():
        for database in dict.fromkeys((databases.default, databases.of(plugin))):
            unit = database.unit(write=False)
            try:
                for each in await renames(unit.session, part.permissions):
                    found[each.old] = _together(found[each.old], each) if each.old in found else each
            finally:
                await unit.close()
    return [found[old] for old in sorted(found)]


async def agree(databases: Databases, standing: Standing, old: str, actor: Actor) -> Rename:
    """Let everything that says the old name say the new one. Raises `Problem` 404 if no permission was called so."""
    plugin, permission = _now(standing, old)
    done = Rename(old, permission.name, 0, 0, 0)
    # The plugin's own database first: if the other fails, doing it again does the rest.
    for database in dict.fromkeys((databases.of(plugin), databases.default)):
        unit = database.unit()
        try:
            done = _together(done, await rename(unit.session, old, permission, actor.id))
            if database is databases.default:
                detail = {"before": old, "after": permission.name}
                await record(
                    unit.session,
                    Entry(
                        action="core.permission.renamed",
                        actor=actor,
                        object=f"permission:{permission.name}",
                        detail=detail,
                    ),
                )
            await unit.commit()
        finally:
            await unit.close()
    assert done is not None  # noqa: S101 - there is one database at least
    return done


def _now(standing: Standing, old: str) -> tuple[str, Permission]:
    for plugin, part in standing.generation.declared.items():
        for permission in part.permissions:
            if old in permission.formerly and old not in standing.snapshot.catalogue:
                return plugin, permission
    raise Problem(404, "not_found", f"No permission of an active plugin says that it was called {old[:200]!r}.")


def _together(one: Rename, other: Rename) -> Rename:
    return Rename(one.old, one.new, one.rules + other.rules, one.roles + other.roles, one.grants + other.grants)
