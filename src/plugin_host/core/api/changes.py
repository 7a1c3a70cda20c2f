"""A stream of what moved, for pages that are open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar.response import ServerSentEvent, ServerSentEventMessage

from plugin_host.core.changes import Changes
from plugin_host.sdk.context import Actor
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.routing import get

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from plugin_host.core.changes import Change
    from plugin_host.core.standing import HostView


def change_routes(host: HostView, build: str) -> list[Any]:
    """Make the handler; `build` names the shell's files: a page that has others is told to load itself anew."""
    changes = Changes(host)

    @get("/changes", permission="signed-in")
    async def stream_changes(actor: Actor) -> ServerSentEvent:
        """Tell what moved, as server-sent events: `plugins`, `policy`, `event` with a name and an id, or `many`.

        Only what the person may see: of events those of objects that they may view. The first message is `hello`.
        """
        return ServerSentEvent(_messages(host, changes, actor, build))

    return [stream_changes]


async def _messages(
    host: HostView, changes: Changes, actor: Actor, build: str
) -> AsyncIterator[ServerSentEventMessage]:
    yield ServerSentEventMessage(event="hello", data=msgspec.json.encode({"build": build}).decode(), retry=5000)
    async for change in changes.listen():
        if change is None:
            yield ServerSentEventMessage(comment="still here")
        elif change.kind != "event" or await _may_know(host, actor, change):
            yield ServerSentEventMessage(event=change.kind, data=msgspec.json.encode(change).decode())


async def _may_know(host: HostView, actor: Actor, change: Change) -> bool:
    """Tell whether the person may see what an event is about: the object of its key, by `<id>.<object>.view`."""
    standing = host.standing
    typ = change.name.rpartition(".")[0]
    permission = f"{typ}.view"
    if permission not in standing.snapshot.catalogue or not standing.may(actor, permission):
        return False
    model = standing.objects.get(typ)
    if model is None:
        return True
    if change.key is None:
        return False
    async with host.work(actor, plugin=typ.partition(".")[0]) as work:
        try:
            await work.access.get(model, change.key, permission)
        except Problem:
            return False
    return True
