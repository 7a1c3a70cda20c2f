"""Which call this is, for what is written down far from the route: set by the gate, read by the audit log."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final, NamedTuple


class Call(NamedTuple):
    """A request, a delivery or a job: its id, and the plugin whose code answers it."""

    id: str
    plugin: str


CURRENT_CALL: Final[ContextVar[Call | None]] = ContextVar("plugin_host_call", default=None)
