"""The OpenAPI document of what stands: made when somebody asks, part by part, and kept as long as it holds.

1. Each plugin's part is made once for each time that it was activated, in a thread of its own with a time limit, for
   plugins may describe their types themselves. One that fails or hangs is left out, with a warning in the document
   and in the log, and is not tried again before the plugin is activated anew.
2. The parts of a generation are merged and written once; every further question is a look-up.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from plugin_host.auth.sessions import PLAIN_NAME, SECURE_NAME
from plugin_host.gateway.openapi import DescribeError, Part, document, merge
from plugin_host.plugins.activation import in_thread
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plugin_host.core.standing import HostView
    from plugin_host.plugins.generation import Generation
    from plugin_host.plugins.plan import PlanEntry

log = logging.getLogger("plugin_host")

LIMIT: Final = 10.0
"""Seconds that describing one plugin may take; milliseconds are usual."""

ABOUT: Final = (
    "What the active plugins of this host take and answer. Errors are `application/problem+json`. A program that sends "
    "the session cookie and changes something also sends an `Origin` header of this host, as browsers do."
)


class Written(NamedTuple):
    """A document as it is sent: its JSON, and the entity tag of it."""

    body: bytes
    etag: str


class Documents:
    """Gives the documents of one host."""

    def __init__(self, host: HostView, limit: float = LIMIT) -> None:
        self._host = host
        self._limit = limit
        self._parts: dict[str, tuple[object, Part | str]] = {}
        self._written: dict[tuple[str, str], Written] = {}
        self._generation: Generation | None = None
        self._making = asyncio.Lock()

    async def write(self, base: str = "", plugin: str = "") -> Written:
        """Give the document of all active plugins, or of one. Raises `Problem` 404 if that one is not active.

        `base` is the path that the host stands under, for where there is no `public_url`.
        """
        async with self._making:  # of several who ask at once, one makes it
            generation = self._host.standing.generation
            if generation is not self._generation:
                self._generation = generation
                self._written.clear()
            if plugin and plugin not in generation.apps:
                raise Problem(404, "not_found", f"There is no active plugin {plugin!r}.")
            key = (base, plugin)
            if key not in self._written:
                self._written[key] = await self._make(generation, base, plugin)
            return self._written[key]

    async def part(self, plugin: str) -> Part | str:
        """Describe the routes of one active plugin, or say why that cannot be done."""
        async with self._making:
            return await self._part(self._host.standing.generation, plugin)

    async def _make(self, generation: Generation, base: str, plugin: str) -> Written:
        entries = [entry for entry in generation.plan.active if entry.id in generation.apps]
        # What no longer stands is forgotten; another application of the same plugin has another part.
        self._parts = {each: kept for each, kept in self._parts.items() if generation.apps.get(each) is kept[0]}
        wanted = [entry for entry in entries if plugin in ("", entry.id)]
        parts = [(entry.id, await self._part(generation, entry.id)) for entry in wanted]

        def write() -> Written:
            made = merge(
                (part for _plugin, part in parts if isinstance(part, Part)),
                info={"title": self._host.settings.theme.name, "version": _version(), "description": ABOUT},
                server=self._host.settings.public_url or base or "/",
                tags=list(_tags(generation, wanted)),
                schemes=self._schemes(),
                warnings=[{"plugin": each, "reason": part} for each, part in parts if isinstance(part, str)],
            )
            body = msgspec.json.encode(made)
            return Written(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"')

        return await in_thread(write)

    async def _part(self, generation: Generation, plugin: str) -> Part | str:
        """Give a plugin's part, or why there is none."""
        if plugin not in self._parts:
            app, routes = generation.apps[plugin], generation.routes[plugin]
            try:
                inner = getattr(app, "app", app)  # behind its guard
                part = await in_thread(lambda: _attempt(plugin, inner, routes), self._limit)
            except TimeoutError:
                part = f"describing its routes takes longer than {self._limit:g} s"
            if isinstance(part, str):
                log.warning("plugin %s is left out of the OpenAPI document: %s", plugin, part)
            else:
                for warning in part.warnings:
                    log.warning("plugin %s: %s", plugin, warning)
            self._parts[plugin] = (app, part)
        return self._parts[plugin][1]

    def _schemes(self) -> Mapping[str, Any]:
        """Say how callers prove who they are; an embedding application's own way is not known here."""
        if self._host.users is not None:
            return {}
        https = (self._host.settings.public_url or "").startswith("https:")
        return {
            "session": {
                "type": "apiKey",
                "in": "cookie",
                "name": SECURE_NAME if https else PLAIN_NAME,
                "description": "Set by `POST /api/core/auth/login`.",
            },
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "description": "An access token of `POST /api/core/auth/login`, or a personal or service token.",
            },
        }


def _attempt(plugin: str, app: Any, routes: Iterable[Any]) -> Part | str:
    """Describe a plugin; whatever its code raises becomes a sentence."""
    try:
        return document(plugin, app, routes)
    except DescribeError as error:
        return str(error)
    except BaseException as error:  # noqa: BLE001 - a plugin may even try to end the process
        return f"its routes cannot be described: {type(error).__name__}{_said(error)}"


def _said(error: BaseException) -> str:
    try:
        return f": {error}"[:500]
    except Exception:  # noqa: BLE001 - foreign code words it
        return ""


def _tags(generation: Generation, entries: Iterable[PlanEntry]) -> Iterable[dict[str, str]]:
    for entry in entries:
        manifest = generation.plan.found[entry.id].manifest
        said = manifest.description if manifest is not None else ""
        yield {
            "name": entry.id,
            "description": said or entry.name,
            "x-displayName": entry.name,
            "x-version": entry.version or "",
        }


def _version() -> str:
    try:
        return metadata.version("plugin-host")
    except metadata.PackageNotFoundError:  # run from a source folder that is not installed
        return "0+unknown"
