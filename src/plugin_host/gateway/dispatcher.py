"""The dispatcher: whole path segments decide who answers. One table, swapped in one assignment.

Litestar's mounts compare the beginnings of texts, so that `/api/crm` would answer `/api/crmfoo`; here the
segment is a key of a dictionary. Requests under way are counted for each application, so that one that was
taken out of the table can be waited for.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from plugin_host.gateway.foreign import BASE, PATH
from plugin_host.gateway.problems import send_problem, word_closes
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Application = Callable[[Any, Any, Any], Awaitable[None]]

# Spellings that another layer, a proxy or a file system, could read as another address.
_ODD: Final = re.compile(r"//|/\.{1,2}(?:/|$)|[\x00-\x1f\x7f\\;]")
# First segments that are no pages of the shell, in any spelling.
_NO_PAGES: Final = frozenset({"api", "ui", "health", "metrics", "schema", "static", "well", ".well-known"})
_UI_PARTS: Final = 5

_NOT_FOUND: Final = Problem(404, "not_found")
_GET_ONLY: Final = Problem(405, "method_not_allowed", "Only GET is answered here.", headers={"allow": "GET, HEAD"})
_STARTING: Final = Problem(503, "starting", "The host is starting.", headers={"retry-after": "1"})
_STOPPING: Final = Problem(503, "stopping", "The host is stopping.", headers={"retry-after": "5"})


@dataclass(frozen=True)
class Table:
    """What answers where, all below the base path.

    `apps` are the applications of the active plugins by id (`/api/<id>/…`); `answer` gives status and code for
    the ids that have none; `page` answers every page of the shell; `assets` is called with plugin, folder and
    path of `/ui/<plugin>/<folder>/<path>`; `extra` are exact paths, such as `/health/live`.
    """

    apps: Mapping[str, Application]
    answer: Callable[[str], tuple[int, str]]
    page: Application
    assets: Callable[[Any, Any, Any, str, str, str], Awaitable[None]]
    extra: Mapping[str, Application] = field(default_factory=dict)


class Dispatcher:
    """The ASGI application below the edge, for HTTP and WebSocket scopes that are the dispatcher's to change.

    Sets `scope["plugin_host.base"]`, the path that the host stands under (the protocol's `root_path`).
    """

    def __init__(self) -> None:
        self._table: Table | None = None
        self._slots: dict[str, _Slot] = {}
        self._leaving: dict[str, list[_Slot]] = {}
        self._closed = False

    @property
    def open(self) -> bool:
        """Whether there is a table and the host is not stopping."""
        return self._table is not None and not self._closed

    def swap(self, table: Table) -> None:
        """Answer by another table from now on; requests under way end where they began."""
        slots: dict[str, _Slot] = {}
        for plugin, app in table.apps.items():
            old = self._slots.get(plugin)
            slots[plugin] = old if old is not None and old.app is app else _Slot(app)
        for plugin, slot in self._slots.items():
            if slots.get(plugin) is not slot:
                self._leave(plugin, slot)
        self._slots = slots
        self._table = table
        self._closed = False

    def close(self) -> None:
        """Answer the plugins' API with 503 from now on; then drain them."""
        self._closed = True
        for plugin, slot in self._slots.items():
            self._leave(plugin, slot)
        self._slots = {}

    async def drain(self, plugin: str, grace: float) -> bool:
        """Wait until nothing is under way in the applications of a plugin that were taken out of the table.

        Waits at most `grace` seconds; gives False if something still is.
        """
        slots = self._leaving.pop(plugin, [])
        try:
            async with asyncio.timeout(grace):
                for slot in slots:
                    await slot.drained()
        except TimeoutError:
            return False
        return True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or a WebSocket."""
        table = self._table
        if table is None:
            await send_problem(_STARTING, scope, send)
            return
        path: str = scope["path"]
        base: str = (scope.get("root_path") or "").rstrip("/")
        if base and (path.startswith(f"{base}/") or path == base):
            # Only whole segments, only at the front, and only once: a server may or may not have put it there.
            path = path[len(base) :] or "/"
        scope[BASE] = base
        if _is_odd(path):
            await send_problem(_NOT_FOUND, scope, send)
        elif path.startswith("/api/"):
            await self._call(table, scope, receive, send, path)
        else:
            await _call_shell(table, scope, receive, send, path)

    async def _call(self, table: Table, scope: Any, receive: Any, send: Any, path: str) -> None:
        plugin = path[5:].partition("/")[0]
        slot = self._slots.get(plugin)
        if slot is None:
            status, code = table.answer(plugin)
            await send_problem(_STOPPING if self._closed else Problem(status, code), scope, send)
            return
        scope[PATH] = scope["path"] = path
        scope["root_path"] = ""
        # A fresh one: an outer Litestar keeps its own view of the request in the state that it hands on.
        scope["state"] = state = dict(scope.get("state") or ())
        state.pop("_ls_connection_state", None)
        if scope["type"] == "websocket":
            send = word_closes(scope, send)
        slot.count += 1
        try:
            await slot.app(scope, receive, send)
        finally:
            slot.count -= 1
            if slot.idle is not None and slot.count == 0:
                slot.idle.set()

    def _leave(self, plugin: str, slot: _Slot) -> None:
        self._leaving.setdefault(plugin, []).append(slot)


class _Slot:
    """An application and how much is under way in it."""

    __slots__ = ("app", "count", "idle")

    def __init__(self, app: Application) -> None:
        self.app = app
        self.count = 0
        self.idle: asyncio.Event | None = None  # there when somebody waits

    async def drained(self) -> None:
        while self.count:
            self.idle = self.idle or asyncio.Event()
            self.idle.clear()
            await self.idle.wait()


def _is_odd(path: str) -> bool:
    # Four looks at a text cost a third of the expression: it has the last word on the few that are suspicious.
    if path[:1] != "/":  # `OPTIONS *`
        return True
    suspicious = "//" in path or "/." in path or ";" in path or "\\" in path or not path.isprintable()
    return suspicious and _ODD.search(path) is not None


async def _call_shell(table: Table, scope: Any, receive: Any, send: Any, path: str) -> None:
    """Answer what is not API: an exact path, the shell's files, or its page."""
    extra = table.extra.get(path)
    parts = path.split("/", 4)
    first = parts[1]
    is_file = first == "ui" and len(parts) == _UI_PARTS
    is_page = extra is None and not is_file
    if scope["type"] == "websocket" or (is_page and (first.lower() in _NO_PAGES or "." in first)):
        await send_problem(_NOT_FOUND, scope, send)
    elif scope["method"] not in ("GET", "HEAD"):
        await send_problem(_GET_ONLY, scope, send)
    elif extra is not None:
        await extra(scope, receive, send)
    elif is_file:
        await table.assets(scope, receive, send, parts[2], parts[3], parts[4])
    else:
        await table.page(scope, receive, send)
