"""Threads of a plugin's own: it may fill them, and everybody else still has theirs."""

from __future__ import annotations

import asyncio
import contextvars
import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from litestar import get as litestar_get
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler

from plugin_host.gateway import threads as threads_module
from plugin_host.gateway.dispatcher import Dispatcher, Table
from plugin_host.gateway.threads import Threads, own_threads
from plugin_host.sdk import get

from .conftest import Stage, answer, client, page

pytestmark = pytest.mark.anyio


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Give what the blocking functions wait for; it is opened at the end."""
    opened = threading.Event()
    yield opened
    opened.set()


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


async def test_fifty_blocking_handlers_of_one_plugin_leave_another_alone(gate: threading.Event) -> None:
    @get("/block", permission="shop.view")
    def block() -> dict[str, str]:
        gate.wait()
        return {}

    @get("/answer", permission="crm.view")
    def at_once() -> dict[str, str]:
        return {"thread": threading.current_thread().name}

    # As few as there can be: whoever used the event loop's threads would wait for the others.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    stage = Stage(held={"shop.view", "crm.view"})
    shop, crm = stage.build(block), stage.build(at_once, plugin="crm")
    own_threads(shop.app, Threads("shop", 8))
    own_threads(crm.app, Threads("crm", 8))
    dispatcher = Dispatcher()
    dispatcher.swap(Table({"shop": shop.app, "crm": crm.app}, answer, page, page))
    async with client(dispatcher) as opened:
        blocked = [asyncio.create_task(opened.get("/api/shop/block")) for _ in range(50)]
        await until(lambda: sum(thread.name.startswith("shop ") for thread in threading.enumerate()) == 8)
        answered = await asyncio.wait_for(opened.get("/api/crm/answer"), 5)
        assert answered.json()["thread"].startswith("crm ")
        assert await asyncio.wait_for(asyncio.to_thread(lambda: 7), 5) == 7  # and the host has its own
        assert not any(task.done() for task in blocked)
        gate.set()
        assert [each.status_code for each in await asyncio.gather(*blocked)] == [200] * 50


async def test_dependencies_and_guards_run_in_them_too(stage: Stage) -> None:
    seen: dict[str, str] = {}

    def note(what: str) -> None:
        seen[what] = threading.current_thread().name

    def size() -> int:
        note("dependency")
        return 3

    def look(connection: Any, handler: BaseRouteHandler) -> None:
        note("guard")

    @litestar_get(
        "/",
        permission="shop.view",
        dependencies={"size": Provide(size, sync_to_thread=True)},
        guards=[look],
        sync_to_thread=True,
    )
    def show(size: int) -> dict[str, int]:
        note("handler")
        return {"size": size}

    built = stage.build(show)
    own_threads(built.app, Threads("shop", 1))
    async with client(stage.edge(dataclasses.replace(built))) as opened:
        assert (await opened.get("/api/shop")).json() == {"size": 3}
    assert seen == dict.fromkeys(("dependency", "guard", "handler"), "shop 1")


async def test_no_more_run_at_once_than_there_may_be(gate: threading.Event) -> None:
    threads = Threads("few", 3)
    now = most = 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.002)
        with lock:
            now -= 1

    await asyncio.gather(*(threads.run(work) for _ in range(40)))
    assert most <= 3
    assert threads.count <= 3


async def test_a_thread_is_used_again() -> None:
    threads = Threads("one", 8)
    names = {await threads.run(lambda: threading.current_thread().name) for _ in range(20)}
    assert len(names) <= 2  # two, when the first is still on its way back


async def test_what_is_called_off_while_it_waits_is_never_made(gate: threading.Event) -> None:
    threads = Threads("queue", 1)
    made: list[str] = []
    first = asyncio.create_task(threads.run(gate.wait))
    second = asyncio.create_task(threads.run(made.append, "second"))
    await asyncio.sleep(0.01)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    gate.set()
    await first
    await threads.run(made.append, "third")
    assert made == ["third"]


async def test_one_that_hangs_can_be_left_behind(gate: threading.Event) -> None:
    threads = Threads("hang", 2)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(threads.run(gate.wait), 0.02)
    assert await threads.run(lambda: "other") == "other"


async def test_it_sees_the_callers_context() -> None:
    word = contextvars.ContextVar("word", default="")
    word.set("hello")
    assert await Threads("context", 1).run(word.get) == "hello"


async def test_what_it_raises_is_raised() -> None:
    threads = Threads("raise", 1)
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 / 0)
    assert await threads.run(lambda: 1) == 1


@pytest.mark.parametrize("kind", [StopIteration, SystemExit, KeyboardInterrupt])
async def test_what_would_end_the_event_loop_comes_as_an_error(kind: type[BaseException]) -> None:
    def work() -> None:
        raise kind

    with pytest.raises(RuntimeError, match=kind.__name__) as caught:
        await Threads("exit", 1).run(work)
    assert isinstance(caught.value.__cause__, kind)


async def test_idle_threads_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_module, "IDLE", 0.02)
    threads = Threads("idle", 4)
    await asyncio.gather(*(threads.run(time.sleep, 0.01) for _ in range(4)))
    await until(lambda: threads.count == 0)
    assert await threads.run(lambda: "again") == "again"


async def test_their_threads_do_not_keep_the_process() -> None:
    assert await Threads("daemon", 1).run(lambda: threading.current_thread().daemon)


def test_an_event_loop_that_ended_meanwhile_is_no_error(gate: threading.Event) -> None:
    threads = Threads("late", 1)

    async def leave() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(threads.run(gate.wait), 0.02)

    asyncio.run(leave())
    gate.set()

    async def again() -> str:
        return str(await threads.run(lambda: "fine"))

    assert asyncio.run(again()) == "fine"
