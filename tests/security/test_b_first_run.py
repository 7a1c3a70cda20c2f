"""B: before there is anybody, and what the host does not start with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from plugin_host import PluginHost, Settings

from .conftest import PASSWORD, code

pytestmark = pytest.mark.security


def browser(host: PluginHost) -> httpx.AsyncClient:
    headers = {"sec-fetch-site": "same-origin"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(host.asgi), base_url="http://127.0.0.1", headers=headers)


def alone(folder: Path) -> Settings:
    return Settings.load(
        None, {"PLUGIN_HOST_DATA_DIR": str(folder / "d"), "PLUGIN_HOST_LOADER__DISABLED": '["contacts", "invoicing"]'}
    )


@pytest.mark.anyio
async def test_b01_before_there_is_an_administrator_nothing_answers_but_the_set_up(tmp_path: Path) -> None:
    async with PluginHost(alone(tmp_path)).lifespan() as host, browser(host) as nobody:
        for path in ("/api/core/users", "/api/core/auth/me", "/api/core/plugins", "/api/core/openapi.json"):
            assert code(await nobody.get(path)) == (503, "setup_required")
        said = {"username": "root", "password": PASSWORD}
        assert code(await nobody.post("/api/core/auth/login", json=said)) == (503, "setup_required")
        for path in ("/", "/setup", "/health/live", "/api/core/shell"):
            assert (await nobody.get(path)).status_code == 200


@pytest.mark.anyio
async def test_b02_guessing_the_code_makes_it_void(tmp_path: Path) -> None:
    async with PluginHost(alone(tmp_path)).lifespan() as host, browser(host) as nobody:
        printed: list[str] = []
        first = await host.core.setup_code(printed.append)
        said = {"username": "root", "password": PASSWORD}
        assert (await nobody.post("/api/core/setup", json=said)).status_code == 422
        for _ in range(5):
            answer = await nobody.post("/api/core/setup", json={**said, "code": "AAAA-AAAA"})
            assert answer.status_code == 403
        assert printed
        assert printed[-1] != first
        assert (await nobody.post("/api/core/setup", json={**said, "code": first})).status_code == 403
        answer = await nobody.post("/api/core/setup", json={**said, "code": printed[-1]})
        assert answer.status_code == 201


@pytest.mark.anyio
async def test_b04_setting_up_once_more_is_not_there(tmp_path: Path) -> None:
    async with PluginHost(alone(tmp_path)).lifespan() as host, browser(host) as nobody:
        await host.core.accounts.add("root", PASSWORD, roles=["core.admin"])
        await host.core.setup_needed()
        said = {"username": "evil", "password": PASSWORD, "code": "AAAA-AAAA"}
        assert code(await nobody.post("/api/core/setup", json=said)) == (404, "not_found")


SAMPLE = "change-me-change-me-change-me-change-me"


@pytest.mark.parametrize(
    ("words", "variables", "named"),
    [
        ([], {"PLUGIN_HOST_SECRET_KEY": SAMPLE}, "secret_key"),
        ([], {"PLUGIN_HOST_SECRET_KEY": "short"}, "secret_key"),
        (["--strict"], {"PLUGIN_HOST_PLUGINS__SHOP__TOKEN": "changeme"}, "plugins.shop.token"),
        (["--strict"], {"PLUGIN_HOST_SECRET_KEY_FILE": "key"}, "secret_key_file"),
        (["--reload", "--host", "192.0.2.1"], {}, "--reload"),
        (["--host", "192.0.2.1"], {"PYTHONASYNCIODEBUG": "1"}, "PYTHONASYNCIODEBUG"),
    ],
    ids=["a sample", "too short", "a plugin's", "a file for everybody", "reload in public", "debugging in public"],
)
def test_b06_the_host_does_not_start_with_what_anybody_could_guess(
    tmp_path: Path, words: list[str], variables: dict[str, str], named: str
) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "key").write_text("gR7bK2vQ9sLx4TzWm8YhJc3NfDpE6uAa")
    (tmp_path / "key").chmod(0o644)
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PLUGIN_HOST_")}
    command = [sys.executable, "-m", "plugin_host", "serve", "--port", "0", *words]
    done = subprocess.run(
        command, cwd=tmp_path, env={**kept, **variables}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert named in done.stderr
    assert SAMPLE not in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "plugin-host-data").exists()
