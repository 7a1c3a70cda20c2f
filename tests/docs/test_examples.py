"""The plugins of the docs run as they are printed: their files are written out, and a host serves them."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from plugin_host import PluginHost, Settings
from plugin_host.sdk.models import METADATA
from plugin_host.settings import Loader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ROOT: Final = Path(__file__).parents[2]
CAPTIONED: Final = re.compile(r"^```\{code-block\} \w+\n:caption: (\S+)\n\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PASSWORD: Final = "correct horse battery staple"

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def no_other_notes() -> None:
    """Forget the tables of plugins called `notes` that other tests of this process have made."""
    for name in [name for name in METADATA.tables if name.startswith("notes_")]:
        METADATA.remove(METADATA.tables[name])


def files_of(page: str) -> dict[str, str]:
    """Give the files that a page prints, by their captions."""
    return dict(CAPTIONED.findall((ROOT / "docs" / page).read_text(encoding="utf-8")))


def write(page: str, folder: Path) -> None:
    for name, text in files_of(page).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


@asynccontextmanager
async def serve(folder: Path) -> AsyncIterator[PluginHost]:
    """Run a host on the plugins below a folder, with an administrator."""
    loader = Loader(folders=(str(folder / "plugins"),))
    host = PluginHost(Settings(data_dir=str(folder / "data"), loader=loader))
    async with host.lifespan():
        await host.core.accounts.add("ada", PASSWORD, roles=["core.admin"])
        yield host


@asynccontextmanager
async def client(host: PluginHost, *, username: str | None) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"sec-fetch-site": "same-origin"}
    transport = httpx.ASGITransport(host.asgi)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", headers=headers) as opened:
        if username is not None:
            said = {"username": username, "password": PASSWORD, "client": "browser"}
            (await opened.post("/api/core/auth/login", json=said)).raise_for_status()
        yield opened


def test_readme_prints_the_plugin_of_the_tutorial() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    printed = files_of("tutorial/first-plugin.md")
    plugin = [text for name, text in printed.items() if name.startswith("plugins/hello/")]
    assert len(plugin) == 2
    assert [text for text in plugin if text not in readme] == []


async def test_first_plugin_greets_whoever_signed_in(tmp_path: Path) -> None:
    write("tutorial/first-plugin.md", tmp_path)
    async with serve(tmp_path) as host, client(host, username="ada") as browser:
        assert (await browser.get("/api/hello")).json() == {"hello": "ada"}


async def test_first_plugin_greets_nobody_else(tmp_path: Path) -> None:
    write("tutorial/first-plugin.md", tmp_path)
    async with serve(tmp_path) as host, client(host, username=None) as browser:
        assert (await browser.get("/api/hello")).status_code == 401


def test_settings_of_the_tutorial_name_its_folder(tmp_path: Path) -> None:
    write("tutorial/first-plugin.md", tmp_path)
    assert Settings.load(environ={}, cwd=tmp_path).loader.folders == ("./plugins",)


async def test_notes_are_kept_and_shown_to_their_owner(tmp_path: Path) -> None:
    write("how-to/write-a-plugin.md", tmp_path)
    async with serve(tmp_path) as host:
        await host.core.accounts.add("grace", PASSWORD, roles=["notes.editor"])
        async with client(host, username="grace") as browser:
            made = await browser.post("/api/notes/notes", json={"text": "milk"})
            changed = await browser.patch(f"/api/notes/notes/{made.json()['id']}", json={"text": "bread"})
            shown = await browser.get("/api/notes/notes")
    assert [answer.status_code for answer in (made, changed, shown)] == [201, 200, 200]
    assert [note["text"] for note in shown.json()["items"]] == ["bread"]


async def test_notes_of_others_are_not_shown(tmp_path: Path) -> None:
    write("how-to/write-a-plugin.md", tmp_path)
    async with serve(tmp_path) as host:
        await host.core.accounts.add("grace", PASSWORD, roles=["notes.editor"])
        async with client(host, username="ada") as browser:
            note = (await browser.post("/api/notes/notes", json={"text": "secret"})).json()
        async with client(host, username="grace") as browser:
            listed = await browser.get("/api/notes/notes")
            changed = await browser.patch(f"/api/notes/notes/{note['id']}", json={"text": "mine"})
    assert listed.json()["items"] == []
    assert changed.status_code == 404
