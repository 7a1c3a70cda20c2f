"""The lag watch: a blocked event loop is noticed, and whoever blocks it is named."""

from __future__ import annotations

import asyncio
import logging
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plugin_host.supervision.lag import NOBODY, LagWatch

pytestmark = pytest.mark.anyio

LIMIT = 0.1


def written(folder: Path, name: str, source: str) -> dict[str, Any]:
    """Write a module of a plugin, and run it from its file."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(textwrap.dedent(source))
    names: dict[str, Any] = {}
    exec(compile(file.read_text(), str(file), "exec"), names)  # noqa: S102 - our own text
    return names


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return tmp_path / "shop"


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def seen(watch: LagWatch, plugin: str, count: int = 1) -> None:
    """Wait until a block is on the account; the watcher writes it when the loop has turned again."""
    await until(lambda: plugin in watch.lags and watch.lags[plugin].count >= count)


async def test_a_plugin_that_blocks_the_loop_is_named_with_its_line(shop: Path) -> None:
    names = written(shop, "routes.py", "import time\n\nasync def handler():\n    time.sleep(0.4)\n")
    watch = LagWatch(LIMIT)
    watch.know({"shop": shop})
    async with watch.watching():
        await asyncio.sleep(LIMIT)
        await names["handler"]()
        await seen(watch, "shop")
    lag = watch.lags["shop"]
    assert lag.count == 1
    assert lag.place == "shop/routes.py:4"
    assert 0.2 < lag.worst == lag.seconds < 5


async def test_a_library_that_blocks_for_a_plugin_is_the_plugins_fault(shop: Path, tmp_path: Path) -> None:
    library = written(tmp_path / "lib", "client.py", "import time\n\ndef ask():\n    time.sleep(0.4)\n")
    names = written(shop, "routes.py", "async def handler(ask):\n    return ask()\n")
    watch = LagWatch(LIMIT)
    watch.know({"crm": tmp_path / "crm", "shop": shop})
    async with watch.watching():
        await asyncio.sleep(LIMIT)
        await names["handler"](library["ask"])
        await seen(watch, "shop")
    assert watch.lags["shop"].place == "shop/routes.py:2"


async def test_the_innermost_of_two_plugins_is_at_fault(shop: Path, tmp_path: Path) -> None:
    service = written(tmp_path / "crm", "service.py", "import time\n\ndef look_up():\n    time.sleep(0.4)\n")
    names = written(shop, "routes.py", "async def handler(look_up):\n    return look_up()\n")
    watch = LagWatch(LIMIT)
    watch.know({"crm": tmp_path / "crm", "shop": shop})
    async with watch.watching():
        await asyncio.sleep(LIMIT)
        await names["handler"](service["look_up"])
        await seen(watch, "crm")
    assert "shop" not in watch.lags


async def test_a_folder_that_only_begins_alike_is_another_one(shop: Path, tmp_path: Path) -> None:
    names = written(tmp_path / "shopping", "routes.py", "import time\n\nasync def handler():\n    time.sleep(0.4)\n")
    watch = LagWatch(LIMIT)
    watch.know({"shop": shop})
    async with watch.watching():
        await asyncio.sleep(LIMIT)
        await names["handler"]()
        await seen(watch, NOBODY)
    assert "shop" not in watch.lags
    assert watch.lags[NOBODY].place.startswith(str(tmp_path / "shopping"))


async def test_blocks_add_up_and_the_worst_is_kept(shop: Path) -> None:
    names = written(shop, "routes.py", "import time\n\nasync def handler(seconds):\n    time.sleep(seconds)\n")
    watch = LagWatch(LIMIT)
    watch.know({"shop": shop})
    async with watch.watching():
        for count, seconds in enumerate((0.2, 0.6, 0.3), 1):
            await asyncio.sleep(LIMIT)
            await names["handler"](seconds)
            await seen(watch, "shop", count)
    lag = watch.lags["shop"]
    assert lag.count == 3
    assert lag.worst < lag.seconds


async def test_the_log_names_a_place_once_a_minute(shop: Path, caplog: pytest.LogCaptureFixture) -> None:
    names = written(shop, "routes.py", "import time\n\nasync def handler():\n    time.sleep(0.3)\n")
    watch = LagWatch(LIMIT)
    watch.know({"shop": shop})
    with caplog.at_level(logging.WARNING, "plugin_host"):
        async with watch.watching():
            for count in (1, 2):
                await asyncio.sleep(LIMIT)
                await names["handler"]()
                await seen(watch, "shop", count)
    assert [record.args[0] for record in caplog.records if record.args] == ["plugin shop"]


async def test_a_loop_that_turns_is_left_alone(shop: Path) -> None:
    watch = LagWatch(2.0)
    watch.know({"shop": shop})
    async with watch.watching():
        await asyncio.sleep(1.2)
    assert watch.lags == {}


async def test_its_thread_ends_with_the_block() -> None:
    def watchers() -> list[str]:
        return [thread.name for thread in threading.enumerate() if thread.name == "plugin-host lag"]

    watch = LagWatch(LIMIT)
    async with watch.watching():
        assert watchers()
    await until(lambda: not watchers())
    async with watch.watching():  # and it can begin again
        await asyncio.sleep(LIMIT)


def test_a_loop_that_is_closed_under_it_ends_the_thread() -> None:
    async def forget() -> Any:
        block = LagWatch(LIMIT).watching()
        await block.__aenter__()
        return block  # not left

    loop = asyncio.new_event_loop()
    block = loop.run_until_complete(forget())
    loop.close()
    wait_until(lambda: not [thread for thread in threading.enumerate() if thread.name == "plugin-host lag"])
    assert block is not None


def wait_until(happened: Callable[[], bool]) -> None:
    for _ in range(1000):
        if happened():
            return
        time.sleep(0.01)
    pytest.fail("it did not happen within ten seconds")
