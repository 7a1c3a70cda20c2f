"""What a handler is told of the event or job that it is called for."""

from __future__ import annotations

import datetime as dt

import msgspec


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery of an event to a handler, or one run of a job.

    `id` is the event's (or the enqueued job's) own: the same at every attempt, so it is the key with which outside
    systems tell a repetition. `attempt` counts from 1. `actors` is who caused it, in order: the person (or the
    system), then each plugin that something passed through: `("user:7", "plugin:contacts", "plugin:invoicing")`.
    Each plugin has its place there from the host; none can write another's.
    """

    id: str
    name: str
    version: int
    key: str | None
    attempt: int
    published_at: dt.datetime
    actors: tuple[str, ...]
