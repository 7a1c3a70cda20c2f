"""Run one delivery: read the event, open a unit of work, call the handler; its commit is the acknowledgement.

Where the handler's database is the one of the delivery, effect and acknowledgement are one transaction: the effect is
there exactly once, whatever dies when. Where it is another, the effect and a row of that database's inbox are one
transaction, and the delivery goes afterwards. What a handler does outside a database may happen again.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import functools
import inspect
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import sqlalchemy as sa

from plugin_host.events.backoff import backoff
from plugin_host.events.claiming import acknowledge, forget_job, note_run
from plugin_host.events.codec import NOTHING, Undecodable, decode
from plugin_host.events.publishing import Origin, insert_of
from plugin_host.events.tables import inbox
from plugin_host.sdk.calls import CURRENT_CALL, Call
from plugin_host.sdk.contributions import DeadLetter, Discard, Retry
from plugin_host.sdk.delivery import Delivery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.events.bindings import Handler
    from plugin_host.events.claiming import Claimed
    from plugin_host.sdk.context import Actor, Work

log = logging.getLogger("plugin_host.events")

LAST_WORDS: Final = 1.0
"""Seconds that a handler which was cancelled for its time limit has, to end."""

_LONGEST: Final = 366 * 86400.0
_NAMED: Final = frozenset({"actor", "access", "events", "jobs"})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a delivery. `kept`: it is acknowledged already, with the handler's own transaction."""

    kind: Literal["done", "retry", "dead", "lost"]
    error: str = ""
    after: float = 0.0
    kept: bool = False
    actor: str = ""
    began: float = 0.0


@dataclass(frozen=True, slots=True)
class Hands:
    """What running takes from the host: how to open work, whom to act for, and where blocking functions go."""

    open_work: Callable[[str, Actor, Delivery], Work]
    actor_of: Callable[[Origin, str, bool], Awaitable[Actor]]
    in_thread: Callable[[str, Callable[[], Any]], Awaitable[Any]]
    same_database: Callable[[str, object], bool]


class LeaseLost(Exception):
    """Somebody else has the delivery by now: what was done here is undone."""


async def run_delivery(claimed: Claimed, handler: Handler, hands: Hands, place: object) -> Outcome:
    """Run one delivery that was claimed in the database `place`. Never raises, but for being cancelled."""
    began = time.time()
    try:
        origin = msgspec.json.decode(claimed.origin, type=Origin)
        value = _value(claimed, handler)
    except (Undecodable, msgspec.DecodeError) as error:
        return Outcome("dead", str(error), began=began)
    named = origin.chain[0]
    try:
        actor = await hands.actor_of(origin, handler.plugin, not _NAMED.isdisjoint(handler.wanted))
        told = Delivery(
            id=claimed.event_id,
            name=claimed.name,
            version=claimed.version,
            key=claimed.key,
            attempt=claimed.attempts,
            published_at=dt.datetime.fromtimestamp(claimed.created, dt.UTC),
            actors=origin.chain,
        )
        work = hands.open_work(handler.plugin, actor, told)
    except Exception as error:  # noqa: BLE001 - the database, or a plugin that has just gone: not the handler's fault
        return Outcome("retry", _describe(error), after=1.0, actor=named, began=began)
    same = hands.same_database(handler.plugin, place)
    call = _Call(claimed, handler, work, same=same, actor=named, began=began)
    return await call.run(value, hands)


def judge(error: BaseException, claimed: Claimed, handler: Handler) -> Outcome:
    """Say what follows from what a handler raised."""
    if isinstance(error, Retry):
        return Outcome("retry", str(error), after=_seconds(error.after))
    if isinstance(error, DeadLetter):
        return Outcome("dead", str(error) or "the handler gave it up")
    if isinstance(error, Discard):
        return Outcome("done")
    if isinstance(error, LeaseLost):
        return Outcome("lost")
    text = _describe(error)
    if claimed.attempts > handler.retry:
        return Outcome("dead", text)
    return Outcome("retry", text, after=backoff(claimed.attempts))


class _Call:
    """One call of a handler, and the end of its unit of work."""

    def __init__(self, claimed: Claimed, handler: Handler, work: Work, *, same: bool, actor: str, began: float) -> None:
        self._claimed = claimed
        self._handler = handler
        self._work = work
        self._same = same
        self._actor = actor
        self._began = began

    async def run(self, value: Any, hands: Hands) -> Outcome:
        unit = self._work.unit
        left: asyncio.Task[Any] | None = None
        try:
            if not self._same and self._claimed.attempts > 1 and await self._was_handled():
                return self._said(Outcome("done"))
            left = await self._call(value, hands)
            if left is not None:
                text = f"took more than its {self._handler.timeout:g} seconds"
                return self._said(judge(TimeoutError(text), self._claimed, self._handler))
            kept = await self._keep()
            return self._said(Outcome("done", kept=kept))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # this process stops
            return self._said(judge(RuntimeError("it was cancelled"), self._claimed, self._handler))
        except BaseException as error:
            outcome = judge(error, self._claimed, self._handler)
            if outcome.kind in ("retry", "dead") and not isinstance(error, Retry | DeadLetter):
                log.warning(
                    "%s failed at %s (attempt %s)",
                    self._handler.subscriber,
                    self._claimed.event_id,
                    self._claimed.attempts,
                    exc_info=error,
                )
            return self._said(outcome)
        finally:
            if left is None or left.done():
                await _close(unit)
            else:
                left.add_done_callback(lambda _task: _close_later(unit))

    async def _call(self, value: Any, hands: Hands) -> asyncio.Task[Any] | None:
        """Call the handler. Gives its task if it goes on after its time limit, whatever it is told."""
        task = asyncio.ensure_future(_outcome_of(self._arguments(value), self._handler, hands, self._claimed.event_id))
        try:
            await asyncio.wait({task}, timeout=self._handler.timeout)
        except asyncio.CancelledError:
            task.cancel()
            with contextlib.suppress(BaseException):
                await asyncio.wait({task}, timeout=LAST_WORDS)
            raise
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=LAST_WORDS)
            if not task.done():
                log.error("%s goes on after its time limit, and is left behind", self._handler.subscriber)
            return task
        error = task.result()
        if error is not None:
            raise error
        return None

    def _arguments(self, value: Any) -> Callable[[], dict[str, Any]]:
        own = "args" if self._handler.job is not None else "event"
        work = self._work
        return lambda: {name: value if name == own else getattr(work, name) for name in self._handler.wanted}

    async def _keep(self) -> bool:
        """End the unit of work; tells whether the delivery is acknowledged with it."""
        unit = self._work.unit
        if not unit.opened:
            return False
        session = unit.session
        if not self._same:
            done: Any = await session.execute(_note_handled(session, self._claimed))
            if done.rowcount == 0:  # somebody else was as far as this, and has committed
                await unit.rollback()
                return False
            await unit.commit()
            return False
        if not await acknowledge(session, self._claimed):
            raise LeaseLost
        if self._handler.job is not None:
            await forget_job(session, self._claimed)
            await note_run(
                session, self._claimed, actor=self._actor, started=self._began, ended=time.time(), outcome="done"
            )
        await unit.commit()
        return True

    async def _was_handled(self) -> bool:
        claimed = self._claimed
        row = sa.select(inbox.c.handled).where(
            inbox.c.subscriber == claimed.subscriber,
            inbox.c.event_id == claimed.event_id,
            inbox.c.delivery_id == claimed.id,
        )
        return (await self._work.unit.session.execute(row)).first() is not None

    def _said(self, outcome: Outcome) -> Outcome:
        return Outcome(outcome.kind, outcome.error, outcome.after, outcome.kept, self._actor, self._began)


async def _outcome_of(
    arguments: Callable[[], dict[str, Any]], handler: Handler, hands: Hands, number: str
) -> BaseException | None:
    """Call a handler and give what it raised: a task that raises SystemExit would end the event loop."""
    CURRENT_CALL.set(Call(number, handler.plugin))  # of this task only
    try:
        call = functools.partial(handler.fn, **arguments())
        if _is_async(handler.fn):
            await call()
        else:
            returned = await hands.in_thread(handler.plugin, call)
            if inspect.isawaitable(returned):
                await returned
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - handed on, to be judged
        return error
    return None


def _is_async(fn: Any) -> bool:
    while isinstance(fn, functools.partial):
        fn = fn.func
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(getattr(fn, "__call__", None))  # noqa: B004


def _value(claimed: Claimed, handler: Handler) -> Any:
    if handler.struct is None:
        return None
    if handler.job is not None:
        payload = b"{}" if claimed.payload == NOTHING else claimed.payload
        return decode(payload, handler.struct, claimed.version)
    return decode(claimed.payload, handler.struct, claimed.version, handler.owner)


def _note_handled(session: AsyncSession, claimed: Claimed) -> Any:
    row = {
        "subscriber": claimed.subscriber,
        "event_id": claimed.event_id,
        "delivery_id": claimed.id,
        "handled": time.time(),
    }
    insert = insert_of(session.get_bind().dialect.name)(inbox).values(row)
    return insert.on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def _seconds(after: Any) -> float:
    seconds = after.total_seconds() if isinstance(after, dt.timedelta) else after
    if not isinstance(seconds, int | float) or seconds != seconds:  # noqa: PLR0124 - this is what tells NaN
        return backoff(1)
    return min(max(float(seconds), 0.0), _LONGEST)


def _describe(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001 - the plugin's own class, which may raise anything
        return type(error).__name__


async def _close(unit: Any) -> None:
    """Give the connection back; what is not committed is undone. A connection that is broken is no news here."""
    if unit.opened:
        with contextlib.suppress(Exception):
            await unit.close()


def _close_later(unit: Any) -> None:
    task = asyncio.ensure_future(_close(unit))
    _CLOSING.add(task)
    task.add_done_callback(_CLOSING.discard)


_CLOSING: Final[set[asyncio.Task[None]]] = set()
