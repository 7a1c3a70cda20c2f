"""What moved is told to those who listen, and of it only what they may see."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from plugin_host import PluginHost, Settings
from plugin_host.core import changes
from plugin_host.core.api.changes import _messages
from plugin_host.core.changes import Change, Changes
from plugin_host.database import bump
from plugin_host.sdk.context import Actor

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.anyio

EDITOR = Actor(id="e", username="editor", display="Editor", roles=("contacts.editor",))
NOBODY = Actor(id="n", username="nobody", display="Nobody")


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "EVERY", 0.02)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path))


async def told(listening: Any, kinds: set[str]) -> Change:
    async with asyncio.timeout(10):
        async for change in listening:
            if change is not None and change.kind in kinds:
                return change
    raise AssertionError


async def test_a_change_of_wishes_or_of_the_policy_is_told(settings: Settings) -> None:
    async with PluginHost(settings).lifespan() as host:
        listening = Changes(host).listen()
        first = asyncio.create_task(told(listening, {"policy"}))
        await asyncio.sleep(0.1)
        async with host.work() as work:
            await bump(work.db, "policy")
        assert (await first).kind == "policy"
        second = asyncio.create_task(told(listening, {"plugins"}))
        async with host.work() as work:
            await bump(work.db, "wishes")
        assert (await second).kind == "plugins"
        await listening.aclose()


async def test_whoever_is_slow_is_told_that_there_was_much(settings: Settings) -> None:
    async with PluginHost(settings).lifespan() as host:
        watching = Changes(host)
        listening = watching.listen()
        first = asyncio.create_task(anext(listening))
        await asyncio.sleep(0.1)
        for number in range(1000):
            watching._tell(Change("event", "contacts.person.created", str(number)))
        change = await first
        assert change is not None
        assert change.kind == "many"
        await listening.aclose()


async def test_of_an_event_only_those_hear_who_may_see_the_object(settings: Settings) -> None:
    from host_contacts.models import Person

    async with PluginHost(settings).lifespan() as host:
        async with host.work(plugin="contacts") as work:
            person = Person(name="Ada", owner_id="e")
            work.db.add(person)
            await work.db.flush()
            known = person.id
        heard = {}
        for actor in (EDITOR, NOBODY):
            watching = Changes(host)
            messages = _messages(host, watching, actor, "b1")
            hello = await anext(messages)
            assert json.loads(hello.data) == {"build": "b1"}
            coming = asyncio.create_task(anext(messages))
            await asyncio.sleep(0.1)
            watching._tell(Change("event", "contacts.person.created", "somebody else"))
            watching._tell(Change("event", "contacts.person.created", known))
            watching._tell(Change("event", "nobody.thing.happened", known))
            watching._tell(Change("policy"))
            heard[actor.username] = json.loads((await asyncio.wait_for(coming, 10)).data)
            await messages.aclose()
        assert heard["editor"] == {"kind": "event", "name": "contacts.person.created", "key": known}
        assert heard["nobody"] == {"kind": "policy"}
