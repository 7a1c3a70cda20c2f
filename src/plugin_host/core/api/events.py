"""Events and jobs, for those who look after them: dead letters, what waits, jobs and their runs."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from litestar.params import QueryParameter

from plugin_host.core.desk import Counted, Enqueued, JobOut
from plugin_host.events.administration import Backlog, DeadLetter, Run, Wanted
from plugin_host.sdk.context import Actor
from plugin_host.sdk.listing import Listing, Page
from plugin_host.sdk.routing import get, post

if TYPE_CHECKING:
    from plugin_host.core.desk import Desk

MANAGE: Final = "core.events.manage"


class Replay(msgspec.Struct, forbid_unknown_fields=True):
    """Which subscriber is to get its events again, and since when."""

    subscriber: str
    since: dt.datetime | None = None


class RunIn(msgspec.Struct, forbid_unknown_fields=True):
    """The arguments with which a job is to run."""

    args: dict[str, Any] | None = None


def event_routes(desk: Desk) -> list[Any]:
    """Make the handlers."""

    @get("/events/dead", permission=MANAGE)
    async def list_dead_letters(
        listing: Listing,
        plugin: Annotated[str | None, QueryParameter(description="Whose handler.")] = None,
        name: Annotated[str | None, QueryParameter(description="The event or the job.")] = None,
        subscriber: Annotated[str | None, QueryParameter(description="The handler.")] = None,
    ) -> Page[DeadLetter]:
        """List the deliveries that were given up, each with its payload and its last error; the newest first."""
        wanted = Wanted(plugin=plugin, name=name, subscriber=subscriber)
        return await desk.dead(wanted, listing.limit, listing.cursor)

    @post("/events/dead/{letter_id:str}/retry", permission=MANAGE, status_code=200)
    async def retry_dead_letter(letter_id: str, actor: Actor) -> Counted:
        """Deliver a dead letter again; its handler leaves quarantine."""
        return await desk.retry(letter_id, actor)

    @post("/events/dead/{letter_id:str}/discard", permission=MANAGE, status_code=200)
    async def discard_dead_letter(letter_id: str, actor: Actor) -> Counted:
        """Throw a dead letter away."""
        return await desk.discard(letter_id, actor)

    @post("/events/dead/retry", permission=MANAGE, status_code=200)
    async def retry_dead_letters(data: Wanted, actor: Actor) -> Counted:
        """Deliver all dead letters of a plugin, a name or a subscriber again; all there are, if none is named."""
        return await desk.retry_all(data, actor)

    @post("/events/dead/discard", permission=MANAGE, status_code=200)
    async def discard_dead_letters(data: Wanted, actor: Actor) -> Counted:
        """Throw away all dead letters of a plugin, a name or a subscriber; all there are, if none is named."""
        return await desk.discard_all(data, actor)

    @get("/events/backlog", permission=MANAGE)
    async def list_backlog() -> Page[Backlog]:
        """Say of each handler and job what waits for it, how old the oldest is, and whether it is in quarantine."""
        return Page(await desk.backlog())

    @post("/events/subscribers/{subscriber:str}/resume", permission=MANAGE, status_code=200)
    async def resume_subscriber(subscriber: str, actor: Actor) -> Counted:
        """End the quarantine of a handler or a job."""
        return await desk.resume(subscriber, actor)

    @post("/events/replay", permission=MANAGE, status_code=200)
    async def replay_events(data: Replay, actor: Actor) -> Counted:
        """Deliver again what is kept of a handler's event, since a moment."""
        return await desk.replay(data.subscriber, data.since, actor)

    @get("/jobs", permission=MANAGE)
    async def list_jobs() -> Page[JobOut]:
        """List the jobs: their schedules, what waits, and what became of the last run."""
        return Page(await desk.jobs())

    @get("/jobs/{job:str}/runs", permission=MANAGE)
    async def list_job_runs(job: str, listing: Listing) -> Page[Run]:
        """List what became of the runs of a job, the newest first."""
        return await desk.runs(job, listing.limit, listing.cursor)

    @post("/jobs/{job:str}/run", permission=MANAGE, status_code=200)
    async def run_job(job: str, data: RunIn, actor: Actor) -> Enqueued:
        """Run a job now, beside its schedule; gives the id under which its run will stand."""
        return await desk.run(job, None if data.args is None else msgspec.json.encode(data.args), actor)

    return [
        list_dead_letters,
        retry_dead_letter,
        discard_dead_letter,
        retry_dead_letters,
        discard_dead_letters,
        list_backlog,
        resume_subscriber,
        replay_events,
        list_jobs,
        list_job_runs,
        run_job,
    ]
