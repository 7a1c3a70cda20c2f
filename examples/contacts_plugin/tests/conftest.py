"""A running host with this plugin in it, and clients that are signed in as whoever a test needs.

The plugin must be installed (`pip install -e .`), as the host finds it by its entry point. Sign-in is made simple
through the door that embedding applications use: `PluginHost(users=…)`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from plugin_host import PluginHost, Settings
from plugin_host.sdk import Identity, UserRecord, Users

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

NAMES = {"1": "Ann", "2": "Bob", "3": "Eve"}
ROLES = {"1": ("contacts.editor",), "2": ("contacts.editor",), "3": ("contacts.viewer",), "4": ()}


class KnownUsers(Users):
    """Ann and Bob are editors, Eve is a viewer, and number 4 has no role: whoever `X-User` names is signed in."""

    async def authenticate(self, connection: Any) -> Identity | None:
        user = connection.headers.get("x-user")
        if user is None:
            return None
        name = NAMES.get(user, "Nobody")
        return Identity(id=user, username=name.lower(), display=name, roles=ROLES[user])

    async def get(self, ids: Sequence[str]) -> Mapping[str, UserRecord]:
        return {user: UserRecord(user, NAMES[user].lower(), NAMES[user]) for user in ids if user in NAMES}

    async def search(self, text: str, limit: int = 20) -> Sequence[UserRecord]:
        found = [UserRecord(user, name.lower(), name) for user, name in NAMES.items()]
        return [user for user in found if text in user.username][:limit]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[PluginHost]:
    """A host that runs, on an empty database."""
    host = PluginHost(Settings(data_dir=str(tmp_path / "data")), users=KnownUsers())
    async with host.lifespan():
        yield host


@pytest.fixture
async def client_of(host: PluginHost) -> AsyncIterator[Callable[[str], httpx.AsyncClient]]:
    """Makes clients of `/api/contacts` by the number of a user."""
    transport = httpx.ASGITransport(app=host.asgi)
    made: list[httpx.AsyncClient] = []

    def make(user: str) -> httpx.AsyncClient:
        headers = {"X-User": user}
        made.append(httpx.AsyncClient(transport=transport, base_url="http://testserver/api/contacts", headers=headers))
        return made[-1]

    yield make
    for client in made:
        await client.aclose()


@pytest.fixture
def ann(client_of: Callable[[str], httpx.AsyncClient]) -> httpx.AsyncClient:
    return client_of("1")


@pytest.fixture
def bob(client_of: Callable[[str], httpx.AsyncClient]) -> httpx.AsyncClient:
    return client_of("2")


@pytest.fixture
def eve(client_of: Callable[[str], httpx.AsyncClient]) -> httpx.AsyncClient:
    return client_of("3")


@pytest.fixture
def nobody(client_of: Callable[[str], httpx.AsyncClient]) -> httpx.AsyncClient:
    return client_of("4")
