"""The fixtures for events, jobs and letters, used as the author of a plugin would."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.sdk import MAIL, EventHandler, Events, Job, Services, hookimpl
from plugin_host.testing.events import FailedError

pytestmark = pytest.mark.anyio


class Said(msgspec.Struct, frozen=True, tag="notes.note.said"):
    text: str


class Notes:
    manifest: ClassVar[dict[str, Any]] = {
        "id": "notes",
        "name": "Notes",
        "version": "1.0",
        "requires": {"core": ">=1.0,<2"},
        "events": {"publishes": ["notes.note.said"]},
    }

    @hookimpl
    def register_events(self) -> list[type]:
        return [Said]

    @hookimpl
    def register_event_handlers(self) -> list[EventHandler]:
        async def tell(event: Said, db: AsyncSession, services: Services) -> None:
            await services.get(MAIL).send(db, "ann@example.org", "Somebody said", event.text)

        return [EventHandler(Said, tell)]

    @hookimpl
    def register_jobs(self) -> list[Job]:
        async def say(db: AsyncSession, events: Events) -> None:
            await events.publish(db, Said("hello"), key="a")

        def fail() -> None:
            raise RuntimeError("no")

        return [Job("notes.say", say), Job("notes.fail", fail)]


@pytest.fixture
def host_plugins() -> list[object]:
    return [Notes()]


async def test_a_job_is_run_with_all_that_follows(run_job: Any, published: Any, sent_mail: list[Any]) -> None:
    await run_job("notes.say")
    assert [(each.name, each.key, each.fields) for each in await published()] == [
        ("notes.note.said", "a", {"text": "hello"})
    ]
    assert await published("notes.note.other") == []
    assert [(letter.to, letter.subject, letter.text) for letter in sent_mail] == [
        ("ann@example.org", "Somebody said", "hello")
    ]


async def test_a_job_that_fails_fails_the_test(run_job: Any) -> None:
    with pytest.raises(FailedError, match=r"notes\.fail: RuntimeError: no"):
        await run_job("notes.fail")


async def test_a_job_that_is_not_there_is_told(run_job: Any) -> None:
    with pytest.raises(LookupError, match=r"there is no job 'notes\.nothing': there are .*notes\.say"):
        await run_job("notes.nothing")
