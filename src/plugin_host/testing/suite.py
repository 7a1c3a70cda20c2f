"""What `pytest --plugin-host ID` collects."""

from __future__ import annotations

from typing import Any

import pytest

from plugin_host.testing.migrations import MigrationSuite


@pytest.fixture(autouse=True)
def _plugin(request: pytest.FixtureRequest) -> None:
    suite: Any = request.cls
    suite.plugin = request.config.getoption("--plugin-host") or request.config.getini("plugin_host")


class TestMigrations(MigrationSuite):
    """The migrations of the plugin that pytest was told of."""
