"""`/metrics`: the accounts of all plugins, for Prometheus, and for whoever may see them."""

from __future__ import annotations

import logging
import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import SQLAlchemyError

from plugin_host.gateway.gate import SESSION_EXPIRED
from plugin_host.gateway.problems import send_problem
from plugin_host.sdk.errors import Problem
from plugin_host.supervision.exposition import CONTENT_TYPE, Family, Sample, expose

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from plugin_host.core.standing import HostView
    from plugin_host.core.supervisor import Supervisor
    from plugin_host.sdk.context import Actor

PERMISSION: Final = "core.metrics.view"

# What an account's figure is called, and what a number of it is in the unit of the metric.
_FIGURES: Final = (
    ("import", 1e-3, Family("plugin_host_import_seconds", "gauge", "Time that importing the plugin took.")),
    ("startup", 1e-3, Family("plugin_host_startup_seconds", "gauge", "Time that the plugin's startup took.")),
    ("requests", 1, Family("plugin_host_requests_total", "counter", "Requests and WebSockets let in to the plugin.")),
    ("errors", 1, Family("plugin_host_request_errors_total", "counter", "Answers of 500 and above, and exceptions.")),
    ("timeouts", 1, Family("plugin_host_request_timeouts_total", "counter", "Requests called off for being late.")),
    ("overloads", 1, Family("plugin_host_request_overloads_total", "counter", "Requests refused for being too many.")),
    ("in_flight", 1, Family("plugin_host_requests_in_flight", "gauge", "Requests under way.")),
    ("sockets", 1, Family("plugin_host_websockets_open", "gauge", "WebSockets that are open.")),
    (
        "request_time",
        1e-3,
        Family("plugin_host_request_seconds_total", "counter", "Time that requests were under way, WebSockets not."),
    ),
    ("queries", 1, Family("plugin_host_queries_total", "counter", "Queries made while answering.")),
    ("query_time", 1e-3, Family("plugin_host_query_seconds_total", "counter", "Time of those queries and of commits.")),
)
_HOOK: Final = Family("plugin_host_hook_seconds", "gauge", "Time that a hook of the plugin took, by hook.")
_BLOCKS: Final = Family(
    "plugin_host_loop_blocks_total",
    "counter",
    "Times that the plugin blocked the event loop; of nobody's code without.",
)
_BLOCKED: Final = Family("plugin_host_loop_blocked_seconds_total", "counter", "Time of those blocks.")
_WAITING: Final = Family("plugin_host_deliveries_waiting", "gauge", "Events and jobs that are still to be done.")
_OLDEST: Final = Family("plugin_host_deliveries_oldest_seconds", "gauge", "Age of the oldest of those.")
_DEAD: Final = Family("plugin_host_dead_letters", "gauge", "Deliveries that were given up and wait for a person.")
_QUARANTINED: Final = Family("plugin_host_handler_quarantined", "gauge", "1 where a handler or job is in quarantine.")
_HANDLED: Final = Family("plugin_host_deliveries_total", "counter", "Deliveries of this process, by outcome.")
_STATE: Final = Family("plugin_host_plugin_state", "gauge", "1 with the state that the plugin is in.")
_BUILD: Final = Family("plugin_host_build_info", "gauge", "1 with the versions of the host and of Python.")

log = logging.getLogger("plugin_host")


def metrics_endpoint(
    host: HostView, supervisor: Supervisor, authenticate: Callable[[Any], Awaitable[Actor]]
) -> dict[str, Any]:
    """Give the ASGI application of the exact path, for the dispatcher."""

    async def refusal(scope: Any) -> Problem | None:
        try:
            return _refusal(host, await authenticate(scope), scope)
        except Problem as problem:
            return problem
        except Exception:
            log.exception("cannot tell who asks for the metrics")
            return Problem(503, "unavailable", "Sign-in or permissions cannot be checked right now.")

    async def metrics(scope: Any, receive: Any, send: Any) -> None:
        problem = await refusal(scope)
        if problem is not None:
            await send_problem(problem, scope, send)
            return
        body = expose([*_samples(host, supervisor), *await _deliveries(host)]).encode()
        headers = [
            (b"content-type", CONTENT_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return {"/metrics": metrics}


async def _deliveries(host: HostView) -> list[Sample]:
    """Say what waits, as the databases know it, and what was done, as this process knows it."""
    try:
        waiting = await host.desk.backlog()
    except SQLAlchemyError as error:
        log.warning("the metrics go without what waits: %s", error)
        waiting = []
    samples: list[Sample] = []
    for each in waiting:
        label = {"plugin": each.plugin, "subscriber": each.subscriber}
        samples += [
            Sample(_WAITING, each.waiting + each.running, label),
            Sample(_OLDEST, each.oldest or 0.0, label),
            Sample(_DEAD, each.dead, label),
            Sample(_QUARANTINED, each.quarantine is not None, label),
        ]
    for (subscriber, outcome), count in sorted(host.bus.counts().items()):
        samples.append(Sample(_HANDLED, count, {"subscriber": subscriber, "outcome": outcome}))
    return samples


def _refusal(host: HostView, actor: Actor, scope: Any) -> Problem | None:
    if host.standing.may(actor, PERMISSION):
        return None
    if actor.signed_in:
        return Problem(403, "forbidden", f"This needs the permission {PERMISSION!r}.")
    if scope.get(SESSION_EXPIRED):
        return Problem(401, "session_expired", "Your session has ended: sign in again.")
    return Problem(401, "not_signed_in", "Sign in first.")


def _version() -> str:
    try:
        return metadata.version("plugin-host")
    except metadata.PackageNotFoundError:  # run from a source folder that is not installed
        return "unknown"


def _samples(host: HostView, supervisor: Supervisor) -> Iterator[Sample]:
    yield Sample(_BUILD, 1, {"version": _version(), "python": platform.python_version()})
    generation = host.standing.generation
    for entry in generation.plan.entries:
        yield Sample(_STATE, 1, {"plugin": entry.id, "state": entry.state})
    for entry in generation.plan.entries:
        label = {"plugin": entry.id}
        account = supervisor.accounting(entry.id, generation.timings.get(entry.id))
        for figure, unit, family in _FIGURES:
            yield Sample(family, account[figure] * unit, label)
        for hook, spent in account["hooks"].items():
            yield Sample(_HOOK, spent * 1e-3, {**label, "hook": hook})
        yield Sample(_BLOCKS, account["lag"]["count"], label)
        yield Sample(_BLOCKED, account["lag"]["time"] * 1e-3, label)
    nobody = supervisor.unowned_lag
    yield Sample(_BLOCKS, nobody.count, {})
    yield Sample(_BLOCKED, nobody.seconds, {})
