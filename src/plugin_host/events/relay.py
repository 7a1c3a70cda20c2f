"""The relay: claims what is due in one database, has it run, and keeps the outcome. Every process may run one.

1. A hint after a commit, or the poll, says that there may be something: the poll is the truth.
2. What is due is claimed by lease, as many as can be run at once.
3. Each runs in a unit of work of its own (`running`). What left nothing in the database is taken off in groups.
4. What was under way when a process died is run alone, so that the one that kills is found out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import SQLAlchemyError

from plugin_host.events import claiming, leases, subscribing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from plugin_host.database import Database
    from plugin_host.events.bindings import Handler
    from plugin_host.events.claiming import Claimed
    from plugin_host.events.running import Outcome

log = logging.getLogger("plugin_host.events")

GROUP: Final = 10
"""So many deliveries whose handlers left nothing in the database are taken off at once: what a kill repeats at most."""

PAUSE: Final = 5.0
"""Seconds until a database that failed is tried again."""

_SUSPECTS_EVERY: Final = 1.0
_RETRIES_EVERY: Final = 8


class Relay:
    """Works on the deliveries of one database.

    `run` runs one that was claimed. `concurrency` is how many at once, and `ahead` how many more are claimed with them,
    where a claim costs a wait for the disk; `poll` and `lease` are seconds.
    """

    def __init__(  # noqa: PLR0913 - one of each
        self,
        database: Database,
        run: Callable[[Claimed, Handler], Awaitable[Outcome]],
        *,
        concurrency: int = 20,
        ahead: int = 0,
        poll: float = 1.0,
        lease: float = claiming.LEASE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self._database = database
        self._run = run
        self._concurrency = concurrency + ahead
        self._turns = asyncio.Semaphore(concurrency)
        self._poll = poll
        self._lease = lease
        self._clock = clock
        self._handlers: Mapping[str, Handler] = {}
        self._off: frozenset[str] = frozenset()
        self._under_way: dict[asyncio.Task[None], Claimed] = {}
        self._done: list[Claimed] = []
        self._wakes = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._claims = 0
        self._more = False
        self._suspect: asyncio.Task[None] | None = None
        self._suspected_at = 0.0
        self._tended_at = 0.0

    def serve(self, handlers: Mapping[str, Handler]) -> None:
        """Work for these handlers from now on, by subscriber."""
        self._handlers = handlers
        self.wake()

    def wake(self) -> None:
        """Look now: something may have been committed. Any thread may call this."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wakes.set)

    async def drain(self, plugin: str, limit: float) -> None:
        """Wait until nothing of a plugin is under way; what goes on after `limit` seconds is cut, and given back."""
        tasks = [task for task, claimed in self._under_way.items() if _plugin_of(claimed) == plugin and not task.done()]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=limit)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=PAUSE)

    @contextlib.asynccontextmanager
    async def working(self, grace: float) -> AsyncIterator[None]:
        """Work until the end of the block; then what is under way has `grace` seconds to end."""
        self._loop = asyncio.get_running_loop()
        stop, finished = asyncio.Event(), asyncio.Event()
        working = asyncio.create_task(self._work(stop), name="plugin-host relay")
        renewing = asyncio.create_task(self._renew(finished), name="plugin-host leases")
        try:
            yield
        finally:
            self._loop = None
            # Told, not cancelled: in the middle of a statement the database would answer with an error of its own.
            stop.set()
            self._wakes.set()
            await end_task(working)
            await self._finish(grace)
            finished.set()
            await end_task(renewing)

    async def look(self) -> int:
        """Claim and start what is due, as far as there is room. Gives how many were started."""
        room = self._concurrency - len(self._under_way)
        names = self._handlers.keys() - self._off
        if room <= 0 or not names:
            return 0
        now = self._clock()
        if not self._more and self._database.dialect == "sqlite":  # claiming takes the lock of the only writer
            async with self._session(write=False) as session:
                if not await claiming.is_waiting(session, names, now):
                    return 0
        self._claims += 1
        async with self._session() as session:
            claimed = await claiming.claim(
                session,
                names,
                most=room,
                token=leases.new_token(),
                now=now,
                lease=self._lease,
                retries_first=self._claims % _RETRIES_EVERY == 0,
            )
        self._more = len(claimed) == room
        for each in claimed:
            self._start(each)
        return len(claimed)

    async def run_pending(self) -> int:
        """Run all that is due now, until nothing is; for tests and commands. Gives how many were run."""
        count = 0
        while True:
            started = await self.look() + await self._run_suspects()
            while self._under_way:
                await asyncio.wait(self._under_way)
            if not started and not self._done:
                return count
            count += started
            await self._take_off()

    # -- the loop ------------------------------------------------------------------------------------------------

    async def _work(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._wakes.clear()
            try:
                idle = await self._round()
            except (SQLAlchemyError, OSError) as error:
                log.warning("the relay cannot use the database, and tries again in %g seconds: %s", PAUSE, error)
                await wait_for(stop, PAUSE)
            except Exception:
                log.exception("the relay failed; it goes on in %g seconds", PAUSE)
                await wait_for(stop, PAUSE)
            else:
                if idle and not stop.is_set():
                    await wait_for(self._wakes, self._poll)

    async def _round(self) -> bool:
        """Look once; tells whether there is nothing to do until something happens."""
        await self._tend()
        if self._clock() - self._suspected_at >= _SUSPECTS_EVERY:
            await self._run_suspects()
        if self._more and len(self._under_way) > self._concurrency // 2:
            return True  # what ends wakes us: to claim a few at a time would cost more than it brings
        if await self.look():
            return False
        if self._done:  # others of their key wait for these to be taken off
            await self._take_off()
            return False
        return True

    def _start(self, claimed: Claimed) -> asyncio.Task[None]:
        task = asyncio.create_task(self._handle(claimed), name=f"plugin-host {claimed.subscriber}")
        self._under_way[task] = claimed
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.pop(task, None)
        self._wakes.set()
        if not task.cancelled() and task.exception() is not None:
            log.error(
                "a delivery could not be ended; it is tried again when its lease has ended", exc_info=task.exception()
            )

    async def _handle(self, claimed: Claimed) -> None:
        handler = self._handlers.get(claimed.subscriber)
        if handler is None:  # its plugin went between claim and start
            async with self._session() as session:
                await claiming.release(session, [claimed])
            return
        try:
            async with self._turns:
                outcome = await self._run(claimed, handler)
        except asyncio.CancelledError:
            async with self._session() as session:
                await claiming.release(session, [claimed])
            raise
        self.counts[claimed.subscriber, outcome.kind] += 1
        if outcome.kept or outcome.kind == "lost":
            return
        if outcome.kind == "done" and handler.job is None:
            self._done.append(claimed)
            if len(self._done) >= GROUP:
                await self._take_off()
            return
        await self._keep(claimed, handler, outcome)

    async def _keep(self, claimed: Claimed, handler: Handler, outcome: Outcome) -> None:
        now = self._clock()
        async with self._session() as session:
            if outcome.kind == "retry":
                mine = await claiming.put_back(session, claimed, outcome.error, now + outcome.after, now)
            elif outcome.kind == "dead":
                mine = await claiming.bury(session, claimed, outcome.error, now)
            else:
                mine = await claiming.acknowledge(session, claimed)
            if mine and handler.job is not None:
                if outcome.kind == "done":
                    await claiming.forget_job(session, claimed)
                await claiming.note_run(
                    session,
                    claimed,
                    actor=outcome.actor,
                    started=outcome.began,
                    ended=now,
                    outcome=outcome.kind,
                    error=outcome.error or None,
                )

    async def _take_off(self) -> None:
        """Take off what is done and left nothing in this database."""
        while self._done:
            group, self._done = self._done[:GROUP], self._done[GROUP:]
            async with self._session() as session:
                await claiming.acknowledge_all(session, group)

    async def _run_suspects(self) -> int:
        """Run what was under way when a process died: each alone, since one of them may be what it died of.

        Others are waited for, and wait, a few seconds at most: a long job does not hold up everything.
        """
        self._suspected_at = self._clock()
        count = 0
        names = self._handlers.keys() - self._off
        while names and (self._suspect is None or self._suspect.done()):
            async with self._session(write=False) as session:
                if not await claiming.is_suspect_waiting(session, names, self._clock()):
                    break
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=PAUSE)
            await self._take_off()
            async with self._session() as session:
                claimed = await claiming.claim(
                    session,
                    names,
                    most=1,
                    token=leases.new_token(),
                    now=self._clock(),
                    lease=self._lease,
                    suspects=True,
                )
            if not claimed:
                break
            count += 1
            self._suspect = self._start(claimed[0])
            await asyncio.wait([self._suspect], timeout=PAUSE)
        return count

    async def _tend(self) -> None:
        """Now and then: end leases whose holders are gone, and see who is in quarantine."""
        now = self._clock()
        if 0 <= now - self._tended_at < min(self._poll, self._lease / 3):
            return
        self._tended_at = now
        async with self._session(write=False) as session:
            self._off = await subscribing.quarantined(session)
            dead = await leases.held_by_the_dead(session, now)
            far = await claiming.is_lease_too_long(session, now, self._lease)
        if dead or far:
            async with self._session() as session:
                await leases.end(session, dead, now)
                await claiming.shorten_leases(session, now, self._lease)

    async def _renew(self, finished: asyncio.Event) -> None:
        while not await wait_for(finished, self._lease / 3):
            held = [*self._under_way.values(), *self._done]
            if held:
                try:
                    async with self._session() as session:
                        await claiming.renew(session, held, self._clock() + self._lease)
                except (SQLAlchemyError, OSError) as error:
                    log.warning("leases cannot be renewed: %s", error)

    async def _finish(self, grace: float) -> None:
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=PAUSE)
        with contextlib.suppress(SQLAlchemyError, OSError):
            await self._take_off()

    @contextlib.asynccontextmanager
    async def _session(self, *, write: bool = True) -> AsyncIterator[Any]:
        unit = self._database.unit(write=write)
        try:
            yield unit.session
            await unit.commit()
        finally:
            await unit.close()


async def wait_for(event: asyncio.Event, seconds: float) -> bool:
    """Wait until an event is set, but no longer than this; tells whether it is."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


async def end_task(task: asyncio.Task[None]) -> None:
    """Let a task end that was told to; what does not, in `PAUSE` seconds, is cancelled."""
    await asyncio.wait({task}, timeout=PAUSE)
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=PAUSE)


def _plugin_of(claimed: Claimed) -> str:
    """Read whose handler it is: `<plugin>:<event>:<name>` of an event, `<plugin>.<word>` of a job."""
    return claimed.subscriber.replace(":", ".", 1).partition(".")[0]
