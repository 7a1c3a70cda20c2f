"""A running host with contacts and this plugin in it, and clients that are signed in as whoever a test needs.

Both plugins must be installed, as the host finds them by their entry points. Sign-in is made simple through the door
that embedding applications use: `PluginHost(users=…)`. With PLUGIN_HOST_TEST_POSTGRES (the address of a database in
which other databases may be made) every test runs on PostgreSQL as well.
"""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from plugin_host import PluginHost, Settings
from plugin_host.sdk import Identity, UserRecord, Users

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
    from pathlib import Path

POSTGRES = os.environ.get("PLUGIN_HOST_TEST_POSTGRES")

ROLES = {
    "ann": ("invoicing.editor", "contacts.editor"),
    "eve": ("invoicing.viewer", "contacts.viewer"),
    "kim": ("invoicing.editor",),  # may write invoices, and sees nobody in contacts
    "nobody": (),
}


class KnownUsers(Users):
    """Whoever `X-User` names is signed in."""

    async def authenticate(self, connection: Any) -> Identity | None:
        name = connection.headers.get("x-user")
        return Identity(id=name, username=name, display=name.title(), roles=ROLES[name]) if name else None

    async def get(self, ids: Sequence[str]) -> Mapping[str, UserRecord]:
        return {name: UserRecord(name, name, name.title()) for name in ids if name in ROLES}

    async def search(self, text: str, limit: int = 20) -> Sequence[UserRecord]:
        return list((await self.get([name for name in ROLES if text in name])).values())[:limit]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["sqlite", "postgresql"] if POSTGRES else ["sqlite"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'host.db'}"
        return
    name = f"invoicing_{secrets.token_hex(6)}"
    address = sa.make_url(str(POSTGRES))
    engine = sa.create_engine(address.set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
        yield address.set(database=name).render_as_string(hide_password=False)
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
async def host(database: str, tmp_path: Path) -> AsyncIterator[PluginHost]:
    """A host that runs, on an empty database."""
    host = PluginHost(Settings(data_dir=str(tmp_path), database=database), users=KnownUsers())
    async with host.lifespan():
        yield host


@pytest.fixture
async def client_of(host: PluginHost) -> AsyncIterator[Callable[[str], httpx.AsyncClient]]:
    """Makes clients of `/api` by the name of a user."""
    transport = httpx.ASGITransport(app=host.asgi)
    made: list[httpx.AsyncClient] = []

    def make(user: str) -> httpx.AsyncClient:
        made.append(httpx.AsyncClient(transport=transport, base_url="http://testserver/api", headers={"X-User": user}))
        return made[-1]

    yield make
    for client in made:
        await client.aclose()


@pytest.fixture
def ann(client_of: Callable[[str], httpx.AsyncClient]) -> httpx.AsyncClient:
    return client_of("ann")


@pytest.fixture
def eve(client_of: Callable[[str], httpx.AsyncClient]) -> httpx.AsyncClient:
    return client_of("eve")


@pytest.fixture
def kim(client_of: Callable[[str], httpx.AsyncClient]) -> httpx.AsyncClient:
    return client_of("kim")


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
