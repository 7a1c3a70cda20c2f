"""The tutorial's first plugin: two files in a folder, served a minute after reading."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from plugin_host import PluginHost, Settings

from .conftest import client, running, signed_in

pytestmark = pytest.mark.anyio

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial" / "first-plugin.md"


def files_of_the_tutorial() -> dict[str, str]:
    """Cut the two files out of the page: what people type is what is tested."""
    text = TUTORIAL.read_text(encoding="utf-8")
    blocks = re.findall(r"^:caption: plugins/hello/(\S+)\n\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return dict(blocks)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    folder = tmp_path / "plugins" / "hello"
    folder.mkdir(parents=True)
    for name, text in files_of_the_tutorial().items():
        (folder / name).write_text(text)
    base = Settings(data_dir=str(tmp_path / "data"))
    return msgspec.structs.replace(base, loader=msgspec.structs.replace(base.loader, folders=(str(folder.parent),)))


async def test_the_first_plugin_greets_whoever_has_signed_in(settings: Settings) -> None:
    async with running(PluginHost(settings)) as host, signed_in(host) as browser:
        assert (await browser.get("/api/hello")).json() == {"hello": "root"}


async def test_the_first_plugin_greets_nobody_else(settings: Settings) -> None:
    async with running(PluginHost(settings)) as host, client(host) as stranger:
        assert (await stranger.get("/api/hello")).status_code == 401


def test_the_first_plugin_is_short() -> None:
    files = files_of_the_tutorial()
    lines = [line for text in files.values() for line in text.splitlines() if line.strip()]
    assert len(files) == 2
    assert len(lines) <= 15
