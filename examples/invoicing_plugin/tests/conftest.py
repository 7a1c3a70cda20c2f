"""People who are signed in as whoever a test needs, and something to test with, on SQLite and on PostgreSQL.

The host and its clients come with `plugin-host[testing]`. Contacts and this plugin must be installed, as the host finds
them by their entry points. PostgreSQL is the server that PLUGIN_HOST_TEST_POSTGRES names, or a private one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from plugin_host import Settings
from plugin_host.testing import TestUsers

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    Client = Callable[..., httpx.AsyncClient]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'host.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def host_settings(database: str, tmp_path: Path) -> Settings:
    """Every test runs on both databases."""
    return Settings(data_dir=str(tmp_path), database=database)


@pytest.fixture
def host_users() -> TestUsers:
    """Everybody is known from the beginning."""
    users = TestUsers()
    for name in ("ann", "eve", "kim", "nobody"):
        users.add(name, name.title())
    return users


@pytest.fixture
def ann(client_for: Client) -> httpx.AsyncClient:
    return client_for("ann", ["invoicing.editor", "contacts.editor"], base="/api")


@pytest.fixture
def eve(client_for: Client) -> httpx.AsyncClient:
    return client_for("eve", ["invoicing.viewer", "contacts.viewer"], base="/api")


@pytest.fixture
def kim(client_for: Client) -> httpx.AsyncClient:
    """May write invoices, and sees nobody in contacts."""
    return client_for("kim", ["invoicing.editor"], base="/api")


@pytest.fixture
async def customer(ann: httpx.AsyncClient) -> str:
    """The id of Zoe, who is in contacts."""
    answer = await ann.post("/contacts/people", json={"name": "Zoe", "email": "zoe@example.org"})
    added: str = answer.json()["id"]
    return added


@pytest.fixture
async def draft(ann: httpx.AsyncClient, customer: str) -> str:
    """The path of a draft for Zoe over 12.50 EUR."""
    lines = [{"description": "Tea", "quantity": "1", "unit_price": "12.50"}]
    answer = await ann.post("/invoicing/invoices", json={"customer_id": customer, "lines": lines})
    assert answer.status_code == 201, answer.text
    return f"/invoicing/invoices/{answer.json()['id']}"
