"""A generation: all plugins that answer at one time. A new one replaces it whole, in one assignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from plugin_host.plugins.declaring import Declared
    from plugin_host.plugins.plan import Plan

_NOT_THERE: Final = frozenset({"disabled", "orphaned"})


@dataclass(frozen=True, slots=True)
class Generation:
    """What stands: the plan, and of each active plugin its application, what it declared, its routes and timings.

    `number` counts the generations of one host.
    """

    number: int
    plan: Plan
    apps: Mapping[str, Callable[[Any, Any, Any], Awaitable[None]]]
    declared: Mapping[str, Declared]
    routes: Mapping[str, Sequence[Any]]
    timings: Mapping[str, Mapping[str, float]]

    def answer(self, plugin: str) -> tuple[int, str]:
        """Say what a request for a plugin without an application is answered: status and code.

        503 with the code of the reason if the plugin is parked by a fault; 404 if it is disabled, orphaned or
        unknown: then there is nothing to wait for.
        """
        entry = self.plan.entry(plugin)
        if entry is None or entry.reason is None or entry.state in _NOT_THERE:
            return 404, "not_found"
        return 503, entry.reason.code
