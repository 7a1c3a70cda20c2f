"""What a plugin's own tests need: fixtures that come with the package, and a suite for its migrations.

Install `plugin-host[testing]`, and pytest knows the fixtures: `host` (a running host on an empty database),
`client_for(user, roles)`, `clock`. The suite runs with `pytest --plugin-host contacts`, or where a test file says

    class TestMigrations(MigrationSuite):
        plugin = "contacts"
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from plugin_host.testing.migrations import MigrationSuite
    from plugin_host.testing.time import Clock
    from plugin_host.testing.users import TestUsers

__all__ = ["Clock", "MigrationSuite", "TestUsers"]

_PLACES: Final = {
    "Clock": "plugin_host.testing.time",
    "MigrationSuite": "plugin_host.testing.migrations",
    "TestUsers": "plugin_host.testing.users",
}


def __getattr__(name: str) -> Any:
    """Import a name when it is asked for: pytest imports this package in every run."""
    if name not in _PLACES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_PLACES[name]), name)
