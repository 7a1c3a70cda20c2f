"""A real host on a throw-away data folder, and clients of it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from plugin_host import PluginHost, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

PASSWORD = "correct-horse-battery"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'data' / 'host.db'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def settings(tmp_path: Path, database: str) -> Settings:
    """Give settings with a data folder of their own."""
    return Settings(data_dir=str(tmp_path / "data"), database=database)


@asynccontextmanager
async def running(host: PluginHost) -> AsyncIterator[PluginHost]:
    """Run a host with an administrator, so that it is not in the set-up state."""
    async with host.lifespan():
        await host.core.accounts.add("root", PASSWORD, roles=["core.admin"])
        yield host


def client(host: PluginHost) -> httpx.AsyncClient:
    """Make a browser-like client that has not signed in."""
    transport = httpx.ASGITransport(host.asgi)
    return httpx.AsyncClient(
        transport=transport, base_url="http://127.0.0.1:8000", headers={"sec-fetch-site": "same-origin"}
    )


@asynccontextmanager
async def signed_in(
    host: PluginHost, username: str = "root", roles: tuple[str, ...] = ()
) -> AsyncIterator[httpx.AsyncClient]:
    """Sign somebody in, adding them if they are not `root`."""
    if username != "root":
        await host.core.accounts.add(username, PASSWORD, roles=roles)
    async with client(host) as browser:
        answer = await browser.post("/api/core/auth/login", json={"username": username, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        yield browser


@pytest.fixture
def folder_plugin(tmp_path: Path) -> Callable[..., Path]:
    """Write folder plugins: `folder_plugin("hello", code, **plugin.json keys)`; gives the folder of plugins."""
    import json

    plugins = tmp_path / "plugins"

    def write(plugin_id: str, code: str = "", *, permissions: Any = None, menu: Any = None, **manifest: Any) -> Path:
        folder = plugins / plugin_id
        folder.mkdir(parents=True, exist_ok=True)
        keys = {"id": plugin_id, "name": plugin_id.title(), "version": "1.0", "requires": {"core": ">=1.0,<2"}}
        (folder / "plugin.json").write_text(json.dumps({**keys, **manifest}))
        if permissions is not None:
            (folder / "permissions.json").write_text(json.dumps(permissions))
        if menu is not None:
            (folder / "menu.json").write_text(json.dumps(menu))
        (folder / "__init__.py").write_text(code)
        return plugins

    return write


Opened = "AbstractAsyncContextManager[httpx.AsyncClient]"
