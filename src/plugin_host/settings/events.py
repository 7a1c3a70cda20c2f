"""`[events]`: how events are delivered and jobs are run."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from plugin_host.settings.section import Section


class Events(Section, frozen=True, kw_only=True):
    """`[events]`: events and jobs. The defaults are right for one server."""

    relay: Annotated[
        Literal["serve", "worker"],
        Meta(
            description="Who delivers events and runs jobs: every process of `serve`, or only `plugin-host worker`, "
            "which then must run."
        ),
    ] = "serve"
    concurrency: Annotated[
        int, Meta(ge=1, le=100, description="Handlers and jobs that one process runs at once; on SQLite at most 4.")
    ] = 8
    poll: Annotated[
        float,
        Meta(gt=0, le=60, description="Seconds between two looks for what other processes have published."),
    ] = 1.0
    lease: Annotated[
        float,
        Meta(
            ge=1,
            le=3600,
            description="Seconds after which the work of a process that does not answer any more goes to another one.",
        ),
    ] = 30.0
    keep_days: Annotated[
        float, Meta(ge=0, description="Days for which events are kept once they are delivered, to be replayed.")
    ] = 7.0
    keep_runs_days: Annotated[
        float, Meta(ge=0, description="Days for which it is kept what became of a run of a job.")
    ] = 30.0
