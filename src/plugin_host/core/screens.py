"""The screens of what stands, ready for the page: declared ones are put together from the plugins' own descriptions.

That is done when somebody first opens the page after plugins came or went, and kept as long as they stand.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from plugin_host.gateway.openapi import Part
from plugin_host.sdk.screens import DeclaredScreen, shown_operations
from plugin_host.shell.declared import ScreenError, for_person, operations_of, resolve
from plugin_host.shell.screens import visible_screens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from plugin_host.core.openapi import Documents
    from plugin_host.core.standing import HostView, Standing
    from plugin_host.shell.declared import Operation

log = logging.getLogger("plugin_host")


class Screens:
    """Gives each person their screens. `documents` describes the plugins' routes."""

    def __init__(self, host: HostView, documents: Documents) -> None:
        self._host = host
        self._documents = documents
        self._standing: Standing | None = None
        self._made: dict[tuple[str, str], dict[str, Any]] = {}

    async def visible(self, can: Callable[[str], bool]) -> list[dict[str, Any]]:
        """Give the screens that a person may open, in the words of the page; `can` answers for that person."""
        standing = self._host.standing
        made = await self._declared(standing)
        return [
            {**screen, **for_person(made[key], can)} if (key := (screen["plugin"], screen["id"])) in made else screen
            for screen in visible_screens(standing.screens, can)
        ]

    async def _declared(self, standing: Standing) -> Mapping[tuple[str, str], dict[str, Any]]:
        """Put the declared screens together. One that cannot be drawn says why, and the others stand."""
        if standing is self._standing:
            return self._made
        described: dict[str, dict[str, Operation] | str] = {}
        made = {}
        for plugin in standing.generation.declared:
            manifest = standing.generation.plan.found[plugin].manifest
            for screen in manifest.ui.screens if manifest is not None and manifest.ui is not None else ():
                if isinstance(screen, DeclaredScreen):
                    made[plugin, screen.id] = await self._one(standing, plugin, screen, described)
        self._standing, self._made = standing, made
        return made

    async def _one(
        self,
        standing: Standing,
        plugin: str,
        screen: DeclaredScreen,
        described: dict[str, dict[str, Operation] | str],
    ) -> dict[str, Any]:
        parts = {key: _address(standing, plugin, path) for key, path in screen.parts.items()}
        named = {name for _place, name in shown_operations(screen)}
        for owner in {name.partition(".")[0] if "." in name else plugin for name in named}:
            if owner not in described:
                described[owner] = await self._operations(standing, owner)

        def find(name: str) -> Operation | None:
            owner, _, own = name.rpartition(".")
            known = described[owner or plugin]
            if isinstance(known, str):
                raise ScreenError(f"the routes of {owner or plugin} cannot be described: {known}")
            return known.get(own)

        try:
            return {**resolve(screen, plugin, find), "parts": parts, "problem": None}
        except ScreenError as error:
            log.warning("plugin %s: the screen %r cannot be drawn: %s", plugin, screen.id, error)
            return {**_NOTHING, "parts": parts, "problem": f"{error}."}

    async def _operations(self, standing: Standing, plugin: str) -> dict[str, Operation] | str:
        if plugin not in standing.generation.apps:
            return f"{plugin} is not active"
        part = await self._documents.part(plugin)
        if not isinstance(part, Part):
            return part
        catalogue = standing.snapshot.catalogue

        def has_object(permission: str) -> bool:
            return permission in catalogue and catalogue.entry(permission).typ in standing.objects

        return operations_of(plugin, part.paths, part.schemas, has_object)


_NOTHING: dict[str, Any] = {
    "operations": {},
    "schemas": {},
    "columns": [],
    "form": [],
    "search": False,
    "sort": [],
    "filters": [],
    "actions": [],
    "refs": {},
    "tabs": [],
    "empty": None,
    "slot": "",
}


def _address(standing: Standing, plugin: str, path: str) -> str:
    """Give the address of a module that draws a part, with the name of what it exports behind a `#`."""
    file, _, name = path.partition("#")
    return f"{standing.assets[plugin].url(file.removeprefix('./'))}#{name or 'mount'}"
