"""People who are signed in as whoever a test needs: Ann and Bob are editors, Eve is a viewer, one has no role.

The host and its clients come with `plugin-host[testing]`. The plugin must be installed (`pip install -e .`), as the
host finds it by its entry point.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plugin_host.testing import TestUsers

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    Client = Callable[..., httpx.AsyncClient]

API = "/api/contacts"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def host_users() -> TestUsers:
    """Everybody is known from the beginning, by a number."""
    users = TestUsers()
    for user, name in {"1": "Ann", "2": "Bob", "3": "Eve"}.items():
        users.add(user, name)
    return users


@pytest.fixture
def ann(client_for: Client) -> httpx.AsyncClient:
    return client_for("1", ["contacts.editor"], base=API)


@pytest.fixture
def bob(client_for: Client) -> httpx.AsyncClient:
    return client_for("2", ["contacts.editor"], base=API)


@pytest.fixture
def eve(client_for: Client) -> httpx.AsyncClient:
    return client_for("3", ["contacts.viewer"], base=API)


@pytest.fixture
def nobody(client_for: Client) -> httpx.AsyncClient:
    return client_for("4", base=API)
