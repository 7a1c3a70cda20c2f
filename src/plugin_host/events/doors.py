"""What plugins are handed: `events` and `jobs`, each bound to one plugin and one call, so nobody speaks for another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.events.codec import encode
from plugin_host.events.publishing import Message, Origin, enqueue, publish
from plugin_host.events.subscribing import replay
from plugin_host.events.tables import MAX_KEY
from plugin_host.sdk.context import Events, Jobs

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    import msgspec

    from plugin_host.events.bindings import Bound, Handler


class Doors(Events, Jobs):
    """The events and jobs of one plugin, in the name of one call's origin."""

    def __init__(self, bound: Bound, origin: Origin, wake: Callable[[], None]) -> None:
        self._bound = bound
        self._origin = origin
        self._wake = wake

    async def publish(self, db: AsyncSession, event: msgspec.Struct, key: str | None = None) -> str:
        """Publish an event of this plugin."""
        _check_session(db, "events.publish")
        plugin, kind = self._bound.plugin, type(event)
        name = getattr(kind, "__struct_config__", None) and kind.__struct_config__.tag
        found = self._bound.events.get(name) if isinstance(name, str) else None
        if found is None or found.struct is not kind:
            raise LookupError(self._unknown(name, kind))
        message = Message(
            "event", found.name, found.version, plugin, encode(event), self._origin.through(plugin), _key(key)
        )
        return await publish(db, message, self._wake)

    async def replay(self, db: AsyncSession, event: type[msgspec.Struct], since: dt.datetime | None = None) -> int:
        """Have the plugin's own handlers of an event called again."""
        _check_session(db, "events.replay")
        name = event.__struct_config__.tag
        subscribers = [each.subscriber for each in self._bound.handlers if each.event == name]
        if not subscribers:
            msg = f"{self._bound.plugin} has no handler of {name!r}, so there is nobody to replay it to"
            raise LookupError(msg)
        moment = since.timestamp() if since is not None else 0.0
        return sum([await replay(db, subscriber, moment) for subscriber in subscribers])

    async def enqueue(self, db: AsyncSession, name: str, args: msgspec.Struct | None = None) -> str:
        """Enqueue a job of this plugin."""
        _check_session(db, "jobs.enqueue")
        job = self._bound.jobs.get(name)
        if job is None:
            known = ", ".join(sorted(self._bound.jobs)) or "none"
            msg = f"{self._bound.plugin} has no job {name!r}: its jobs are {known}"
            raise LookupError(msg)
        return await enqueue(db, message_of(job, args, self._origin.through(self._bound.plugin)), self._wake)

    def _unknown(self, name: object, kind: type[Any]) -> str:
        plugin = self._bound.plugin
        if isinstance(name, str) and "." in name and name.partition(".")[0] != plugin:
            return f"{plugin} cannot publish {name!r}: it is an event of {name.partition('.')[0]!r}"
        if name in self._bound.events:
            return f"{plugin} publishes {name!r} as {kind.__qualname__}, which is not the type that it registered"
        known = ", ".join(sorted(self._bound.events)) or "none"
        return f"{plugin} cannot publish {kind.__name__}: register_events returned {known}"


def message_of(job: Handler, args: msgspec.Struct | None, origin: Origin) -> Message:
    """Make what is enqueued for a job. Raises `TypeError` for arguments that are not the job's."""
    name, struct = job.subscriber, job.struct
    if struct is None and args is not None:
        msg = f"the job {name} takes no arguments"
        raise TypeError(msg)
    if struct is not None and args is None:
        try:
            args = struct()
        except TypeError as error:
            msg = f"the job {name} needs its arguments, a {struct.__name__}: {error}"
            raise TypeError(msg) from error
    if struct is not None and type(args) is not struct:
        msg = f"the job {name} takes a {struct.__name__}, not a {type(args).__name__}"
        raise TypeError(msg)
    unique: str | None = None
    if job.unique_by is not None:
        unique = job.unique_by(args)
        if not isinstance(unique, str) or len(unique) > MAX_KEY:
            msg = f"unique_by of {name} gives {unique!r:.60}: it must be a text of at most {MAX_KEY} characters"
            raise TypeError(msg)
    return Message("job", name, 1, job.plugin, encode(args), origin, key=unique, unique_key=unique)


def slot_message(job: Handler) -> Message:
    """Make what a schedule enqueues."""
    return message_of(job, None, Origin(("system:system", f"plugin:{job.plugin}")))


def _check_session(db: object, what: str) -> None:
    if not isinstance(db, AsyncSession):
        msg = f"{what} takes the session of your transaction first, not {type(db).__name__}: {what}(db, …)"
        raise TypeError(msg)


def _key(key: object) -> str | None:
    if key is None or isinstance(key, str):
        return key
    msg = f"the key of an event is a text, not {type(key).__name__}"
    raise TypeError(msg)
