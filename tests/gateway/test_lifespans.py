"""The lifespans of a plugin: one task, a time limit, and the reverse order at the end, also of a half start."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from plugin_host.gateway import lifespans
from plugin_host.gateway.lifespans import Conversation, LifespanError, Lifespans
from plugin_host.sdk import AsgiApp
from plugin_host.sdk.errors import PluginFault

from .conftest import Stage

pytestmark = pytest.mark.anyio

Lifespan = Callable[[], AbstractAsyncContextManager[None]]


def noted(did: list[Any], name: str) -> tuple[str, Lifespan]:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        did.append(f"{name} up")
        task = asyncio.current_task()
        yield
        assert asyncio.current_task() is task
        did.append(f"{name} down")

    return name, lifespan


def failing(error: Exception) -> tuple[str, Lifespan]:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        raise error
        yield

    return "faulty", lifespan


@asynccontextmanager
async def hanging() -> AsyncIterator[None]:
    await asyncio.Event().wait()
    yield


@asynccontextmanager
async def fails_at_the_end() -> AsyncIterator[None]:
    yield
    raise RuntimeError("no end")


async def test_they_stop_in_reverse_order() -> None:
    did: list[Any] = []
    async with Lifespans("shop", [noted(did, "a"), noted(did, "b")], 5).running():
        did.append("running")
    assert did == ["a up", "b up", "running", "b down", "a down"]


async def test_they_may_be_entered_and_left_by_different_tasks() -> None:
    did: list[Any] = []
    stack = AsyncExitStack()
    lifespans = Lifespans("shop", [noted(did, "a")], 5)
    await asyncio.create_task(stack.enter_async_context(lifespans.running()))  # type: ignore[arg-type] # a coroutine
    await asyncio.create_task(stack.aclose())  # type: ignore[arg-type] # a coroutine
    assert did == ["a up", "a down"]


async def test_a_half_start_is_undone_and_told() -> None:
    did: list[Any] = []
    with pytest.raises(PluginFault) as fault:
        async with Lifespans("shop", [noted(did, "a"), failing(ValueError("no printer"))], 5).running():
            did.append("running")
    assert fault.value.reason.code == "startup_failed"
    assert "faulty of shop failed: ValueError: no printer" in fault.value.reason.text
    assert did == ["a up", "a down"]


async def test_a_start_that_hangs_is_given_up() -> None:
    with pytest.raises(PluginFault) as fault:
        async with Lifespans("shop", [("slow", hanging)], 0.01).running():
            pass
    assert fault.value.reason.code == "time_limit"
    assert "longer than 0.01 seconds" in fault.value.reason.text


async def test_an_end_that_fails_is_logged_and_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    did: list[Any] = []
    async with Lifespans("shop", [noted(did, "a"), ("faulty", fails_at_the_end)], 5).running():
        pass
    assert did == ["a up", "a down"]
    assert "the shutdown of faulty failed" in caplog.text


async def test_whoever_gives_up_waiting_leaves_nothing_behind() -> None:
    did: list[Any] = []
    begun = asyncio.Event()

    @asynccontextmanager
    async def hangs() -> AsyncIterator[None]:
        begun.set()
        await asyncio.Event().wait()
        yield

    async def start() -> None:
        async with Lifespans("shop", [noted(did, "a"), ("slow", hangs)], 5).running():
            did.append("running")

    task = asyncio.create_task(start())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "lifespan of shop"))
    assert did == ["a up", "a down"]


async def test_a_foreign_application_that_cannot_start_is_at_fault(stage: Stage) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no licence"})

    built = stage.build(AsgiApp(app, permission="shop.view"))
    with pytest.raises(PluginFault) as fault:
        async with built.running(5):
            pass
    assert "no licence" in fault.value.reason.text


async def test_a_foreign_application_without_lifespan_is_left_alone(stage: Stage) -> None:
    asked = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["type"])
        raise NotImplementedError

    async with stage.build(AsgiApp(app, permission="shop.view")).running(5):
        asked.append("it runs all the same")
    assert asked == ["lifespan", "it runs all the same"]


async def test_a_conversation_ends_when_its_application_does() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        heard.append((await receive())["type"])

    heard: list[str] = []
    conversation = Conversation(app, {"type": "lifespan"})
    await conversation.start()
    await conversation.stop()
    await conversation.stop()
    assert heard == ["lifespan.shutdown"]


async def test_a_conversation_that_was_never_begun_need_not_end() -> None:
    called = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        called.append(scope)

    await Conversation(app, {"type": "lifespan"}).stop()
    assert called == []


async def test_a_shutdown_that_failed_says_so() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed"})

    conversation = Conversation(app, {"type": "lifespan"})
    await conversation.start()
    with pytest.raises(LifespanError, match="gave no message"):
        await conversation.stop()


async def test_a_conversation_that_hangs_is_broken_off() -> None:
    ended: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await Conversation(app, {"type": "lifespan"}).start()
    await asyncio.sleep(0)
    assert ended == [True]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
async def test_whatever_a_start_raises_is_the_plugins_fault(error: BaseException) -> None:
    @asynccontextmanager
    async def ends() -> AsyncIterator[None]:
        raise error
        yield

    with pytest.raises(PluginFault) as refused:
        async with Lifespans("crm", [("its routes", ends)], 5).running():
            pass
    assert refused.value.reason.code == "startup_failed"
    assert type(error).__name__ in refused.value.reason.text


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()])
async def test_whatever_a_shutdown_raises_the_others_are_stopped(error: BaseException) -> None:
    stopped = []

    @asynccontextmanager
    async def well() -> AsyncIterator[None]:
        yield
        stopped.append("well")

    @asynccontextmanager
    async def ends() -> AsyncIterator[None]:
        yield
        raise error

    async with Lifespans("crm", [("one", well), ("two", ends)], 5).running():
        pass
    assert stopped == ["well"]


async def test_a_start_that_will_not_be_cancelled_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifespans, "_LAST_WORDS", 0.1)
    over = asyncio.Event()

    @asynccontextmanager
    async def stubborn() -> AsyncIterator[None]:
        while not over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await over.wait()
        yield

    with pytest.raises(PluginFault) as refused:
        async with Lifespans("crm", [("its routes", stubborn)], 0.05).running():
            pass
    assert refused.value.reason.code == "time_limit"
    over.set()
    await asyncio.sleep(0.05)


async def test_a_shutdown_that_will_not_be_cancelled_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lifespans, "_LAST_WORDS", 0.1)
    over = asyncio.Event()

    @asynccontextmanager
    async def stubborn() -> AsyncIterator[None]:
        yield
        while not over.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await over.wait()

    async with asyncio.timeout(5), Lifespans("crm", [("its routes", stubborn)], 0.05).running():
        pass
    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name() == "lifespan of crm"]  # left behind
    over.set()
    await asyncio.sleep(0.05)
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "lifespan of crm"]
