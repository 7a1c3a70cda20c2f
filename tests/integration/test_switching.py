"""A plugin is switched off and on 200 times while another one is asked all the time: nothing is lost, nothing is left.

The host is called in this process, without a server between: what fails is the host's doing, and what it keeps can be
counted.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import FunctionType
from typing import Any, Final

import httpx
import msgspec
import pytest

from plugin_host import PluginHost, Settings

from .conftest import running, signed_in

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

WARM_UP: Final = 50
HALF: Final = 100
CLIENTS: Final = 2
AT_ONCE: Final = 90
"""Requests of one plugin under way: fewer than `limits.concurrency`."""

STEADY: Final = """
from plugin_host.sdk import get, hookimpl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

@get("/", permission="signed-in")
async def hello(db: AsyncSession) -> dict[str, int]:
    return {"one": (await db.execute(text("SELECT 1"))).scalar_one()}

@hookimpl
def register_routes():
    return [hello]
"""

COMING: Final = """
from plugin_host.sdk import AsgiApp, Health, PluginBase, Service, ServiceKey, get, hookimpl, object_id
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped

EVENTS = []

class Base(PluginBase, plugin="coming"):
    pass

class Thing(Base):
    __tablename__ = "coming_thing"
    __object__ = "coming.thing"
    id: Mapped[str] = object_id()

@get("/", permission="coming.view")
async def things(db: AsyncSession) -> list[str]:
    return [thing.id for thing in await db.scalars(select(Thing))]

async def app(scope, receive, send):
    while scope["type"] == "lifespan":
        message = await receive()
        EVENTS.append(message["type"])
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"foreign"})

@hookimpl
def register_routes():
    return [things, AsgiApp(app, path="/foreign", permission="coming.view")]

@hookimpl
def register_services():
    return [Service(ServiceKey("coming.things", 1), object())]

@hookimpl
def register_health():
    async def fine() -> Health:
        return Health("ok")
    return [fine]

@hookimpl
async def startup():
    EVENTS.append("startup")

@hookimpl
async def shutdown():
    EVENTS.append("shutdown")
"""

TABLE: Final = """
import sqlalchemy as sa
from alembic import op

def upgrade() -> None:
    op.create_table("coming_thing", sa.Column("id", sa.String(26), primary_key=True))
"""

ONE_LIFE: Final = ["lifespan.startup", "startup", "shutdown", "lifespan.shutdown"]


@pytest.fixture
async def host(tmp_path: Path, folder_plugin: Callable[..., Path]) -> AsyncIterator[PluginHost]:
    folders = folder_plugin("steady", STEADY)
    folder_plugin(
        "coming",
        COMING,
        permissions={
            "permissions": [{"name": "coming.view", "title": "See"}],
            "roles": [{"name": "coming.viewer", "title": "Viewer", "grants": [{"permission": "coming.view"}]}],
        },
        menu={"items": [{"id": "coming.all", "title": "Coming", "to": "/coming", "permission": "coming.view"}]},
    )
    (folders / "coming" / "migrations").mkdir()
    (folders / "coming" / "migrations" / "0001_thing.py").write_text(TABLE)
    settings = Settings(data_dir=str(tmp_path / "data"))
    loader = msgspec.structs.replace(settings.loader, folders=(str(folders),), disabled=("contacts", "invoicing"))
    async with running(PluginHost(msgspec.structs.replace(settings, loader=loader))) as host:
        yield host


class Load:
    """Clients that ask the steady plugin without a pause."""

    def __init__(self, browser: httpx.AsyncClient) -> None:
        self.browser = browser
        self.answers: Counter[str] = Counter()
        self._enough = False

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Ask until the end of the block."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(self._ask())
            try:
                yield
            finally:
                self._enough = True

    async def _ask(self) -> None:
        while not self._enough:
            answer = await self.browser.get("/api/steady/")
            self.answers[f"{answer.status_code} {answer.text[:200]}"] += 1
            await asyncio.sleep(0.005)


async def switch(browser: httpx.AsyncClient) -> None:
    """Switch the plugin off and on again; what it adds goes and comes with it."""
    off = await browser.post("/api/core/plugins/coming/disable")
    assert (off.status_code, off.json()["state"]) == (200, "disabled"), off.text
    assert (await browser.get("/api/coming/")).status_code == 404
    on = await browser.post("/api/core/plugins/coming/enable")
    assert (on.status_code, on.json()["state"]) == (200, "active"), on.text
    assert (await browser.get("/api/coming/")).json() == []


def living() -> tuple[Counter[str], int]:
    """Count what lives: objects by type (functions within functions by name), and blocks of memory."""
    for _ in range(3):
        gc.collect()
    blocks = sys.getallocatedblocks()
    return Counter(map(kind, gc.get_objects())), blocks


def kind(each: object) -> str:
    if isinstance(each, FunctionType) and "<locals>" in each.__qualname__:
        return sys.intern(f"function {each.__module__}.{each.__qualname__}")
    return sys.intern(f"{type(each).__module__}.{type(each).__qualname__}")  # one text for all the counts


def grown(counts: list[Counter[str]], at_least: int) -> dict[str, list[int]]:
    """Name what is more each time, by so many at least: a cache that grows once is no leak."""
    steps = [Counter(after) for after in counts[1:]]
    for step, before in zip(steps, counts, strict=False):
        step.subtract(before)
    return {each: [step[each] for step in steps] for each in steps[0] if min(step[each] for step in steps) >= at_least}


@pytest.fixture
def unlogged() -> Iterator[None]:
    """Log nothing: pytest keeps each record, and what it names, until the test is over."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("unlogged")
async def test_switching_under_load_loses_no_request_and_keeps_nothing(host: PluginHost) -> None:
    async with signed_in(host, "vera", ("coming.viewer", "core.admin")) as browser:
        kinds, blocks = [], []
        for rounds in (WARM_UP, HALF, HALF):
            load = Load(browser)
            async with load.going_on():
                for _ in range(rounds):
                    await switch(browser)
            assert set(load.answers) == {'200 {"one":1}'}
            assert load.answers.total() > rounds
            counted, more = living()
            kinds.append(counted)
            blocks.append(more)
        # One object kept by each switching would be a hundred in each half.
        assert grown(kinds, HALF // 2) == {}
        assert min(blocks[2] - blocks[1], blocks[1] - blocks[0]) < 10 * HALF, blocks
        assert (await browser.get("/api/coming/foreign")).text == "foreign"
        items = (await browser.get("/api/core/menu")).json()["items"]
        assert "coming.all" in [item["id"] for item in items]
        assert events() == [*ONE_LIFE * (WARM_UP + 2 * HALF), "lifespan.startup", "startup"]


def events() -> list[str]:
    """Give what the plugin was told, in order."""
    return list(sys.modules["coming"].EVENTS)


async def test_requests_that_are_let_in_while_their_plugin_is_switched_off_are_answered(host: PluginHost) -> None:
    """Whoever was before the switch is served, however far it had come; whoever came after it gets 404."""
    async with signed_in(host, "vera", ("coming.viewer",)) as browser:
        answers: Counter[str] = Counter()
        for n in range(20):
            switching = asyncio.create_task(host.wish("coming", "disabled"))
            asked = []
            while not switching.done():
                if len(asked) < AT_ONCE:
                    asked.append(asyncio.create_task(browser.get("/api/coming/")))
                await asyncio.sleep(0.001 * (n % 4))
            await switching
            answers.update(answer.text for answer in await asyncio.gather(*asked))
            await host.wish("coming", "enabled")
        gone = {answer for answer in answers if "urn:plugin-host:problem:not_found" in answer}
        assert set(answers) - gone == {"[]"}


async def test_a_request_under_way_ends_and_then_its_plugin_is_stopped(
    tmp_path: Path, folder_plugin: Callable[..., Path]
) -> None:
    folders = folder_plugin("lasting", LASTING)
    settings = Settings(data_dir=str(tmp_path / "data"))
    loader = msgspec.structs.replace(settings.loader, folders=(str(folders),), disabled=("contacts", "invoicing"))
    async with (
        running(PluginHost(msgspec.structs.replace(settings, loader=loader))) as host,
        signed_in(host) as browser,
    ):
        slow = asyncio.create_task(browser.get("/api/lasting/"))
        await until(lambda: sys.modules["lasting"].EVENTS == ["begun"])
        off = asyncio.create_task(browser.post("/api/core/plugins/lasting/disable"))
        await until(lambda: host.standing.generation.plan.entry("lasting").state == "disabled")  # type: ignore[union-attr]
        assert (await browser.get("/api/lasting/")).status_code == 404
        sys.modules["lasting"].GO.set()
        assert (await slow).json() == {"done": "yes"}
        assert (await off).json()["state"] == "disabled"
        assert sys.modules["lasting"].EVENTS == ["begun", "ended", "stopped"]


LASTING: Final = """
import asyncio
from plugin_host.sdk import get, hookimpl

EVENTS = []
GO = asyncio.Event()

@get("/", permission="signed-in")
async def slow() -> dict[str, str]:
    EVENTS.append("begun")
    await GO.wait()
    EVENTS.append("ended")
    return {"done": "yes"}

@hookimpl
def register_routes():
    return [slow]

@hookimpl
async def shutdown():
    EVENTS.append("stopped")
"""


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - there is nobody to set an event
            await asyncio.sleep(0.01)
