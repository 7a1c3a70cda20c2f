from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from plugin_host.plugins.activation import sample, start, stop
from plugin_host.plugins.relay import Relay
from plugin_host.sdk import hookimpl, hookspecs
from plugin_host.sdk.errors import PluginFault, Reason

pytestmark = pytest.mark.anyio

CONTEXT: Any = object()
STEPS: dict[str, Callable[..., Awaitable[None]]] = {
    "startup": lambda relay: start(relay, CONTEXT, 5),
    "shutdown": lambda relay: stop(relay, CONTEXT, 5),
    "sample_data": lambda relay: sample(relay, CONTEXT),
}


def relay_of(hook: str, function: Callable[..., Any]) -> Relay:
    """Make the relay of a plugin whose one hook is this function of the context."""
    return Relay("hello", type("Hello", (), {hook: staticmethod(hookimpl(function))})(), hookspecs)


async def refused(doing: Awaitable[None]) -> Reason:
    with pytest.raises(PluginFault) as caught:
        await doing
    return caught.value.reason


@pytest.mark.parametrize("hook", STEPS)
async def test_a_plain_hook_is_called_with_the_context(hook: str) -> None:
    called: list[Any] = []
    await STEPS[hook](relay_of(hook, lambda context: called.append(context)))  # noqa: PLW0108 - needs the name
    assert called == [CONTEXT]


@pytest.mark.parametrize("hook", STEPS)
async def test_an_asynchronous_hook_is_awaited(hook: str) -> None:
    called: list[Any] = []

    async def function(context: Any) -> None:
        await asyncio.sleep(0)
        called.append(context)

    await STEPS[hook](relay_of(hook, function))
    assert called == [CONTEXT]


@pytest.mark.parametrize("hook", STEPS)
async def test_a_plugin_without_the_hook_is_left_alone(hook: str) -> None:
    relay = Relay("hello", object(), hookspecs)
    await STEPS[hook](relay)
    assert hook not in relay.timings


async def test_a_plain_hook_does_not_hold_up_the_loop() -> None:
    threads: list[int] = []
    await start(relay_of("startup", lambda: threads.append(threading.get_ident())), CONTEXT, 5)
    assert threads != [threading.get_ident()]


async def test_what_a_plain_hook_returns_is_no_matter() -> None:
    await start(relay_of("startup", lambda: 5), CONTEXT, 5)


@pytest.mark.parametrize(
    ("hook", "code"), [("startup", "startup_failed"), ("shutdown", "hook_failed"), ("sample_data", "hook_failed")]
)
@pytest.mark.parametrize(
    "error", [ConnectionError("no printer"), SystemExit("no printer"), GeneratorExit("no printer")]
)
async def test_a_hook_that_fails_is_the_plugins_fault(hook: str, code: str, error: BaseException) -> None:
    def function(context: Any) -> None:
        raise error

    reason = await refused(STEPS[hook](relay_of(hook, function)))
    assert (reason.code, reason.culprits) == (code, ("hello",))
    assert reason.text == f"hello: hook {hook} failed: {type(error).__name__}: no printer."


@pytest.mark.parametrize("error", [ConnectionError, SystemExit, asyncio.CancelledError])
async def test_an_asynchronous_hook_that_fails_is_the_plugins_fault(error: type[BaseException]) -> None:
    async def function(context: Any) -> None:
        await asyncio.sleep(0)
        raise error

    reason = await refused(start(relay_of("startup", function), CONTEXT, 5))
    assert (reason.code, error.__name__ in reason.text) == ("startup_failed", True)


async def test_an_asynchronous_hook_that_hangs_is_cancelled() -> None:
    told: list[str] = []

    async def function(context: Any) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    reason = await refused(start(relay_of("startup", function), CONTEXT, 0.01))
    assert (reason.code, told) == ("time_limit", ["cancelled"])
    assert reason.text == "hello: hook startup took more than 0.01 seconds."


async def test_a_plain_hook_that_hangs_is_left_behind() -> None:
    forever = threading.Event()

    def function() -> None:
        forever.wait()

    reason = await refused(stop(relay_of("shutdown", function), CONTEXT, 0.01))
    forever.set()
    await asyncio.sleep(0.05)  # its late answer must disturb nobody
    assert reason.code == "time_limit"


def test_a_plain_hook_may_end_after_the_loop() -> None:
    forever = threading.Event()
    ended = threading.Event()

    def function(context: Any) -> None:
        forever.wait()
        ended.set()

    asyncio.run(refused(start(relay_of("startup", function), CONTEXT, 0.01)))
    forever.set()
    assert ended.wait(5)


async def test_the_end_of_the_host_is_not_the_plugins_fault() -> None:
    begun = asyncio.Event()

    async def function(context: Any) -> None:
        begun.set()
        await asyncio.sleep(3600)

    task = asyncio.create_task(start(relay_of("startup", function), CONTEXT, 60))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_time_is_kept() -> None:
    relay = relay_of("startup", lambda: None)
    await start(relay, CONTEXT, 5)
    assert "startup" in relay.timings
