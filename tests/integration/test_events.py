"""Events and jobs in a running host: from one plugin's route to another's handler, and what operators see of it."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from click.testing import CliRunner
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host import PluginHost, Settings
from plugin_host.cli.main import cli
from plugin_host.events.administration import Wanted
from plugin_host.sdk import (
    FILES,
    MAIL,
    Access,
    Actor,
    Delivery,
    EventHandler,
    Events,
    Job,
    Jobs,
    Services,
    get,
    hookimpl,
    post,
)

from .conftest import running, signed_in

pytestmark = pytest.mark.anyio


class Made(msgspec.Struct, frozen=True, tag="shop.order.made"):
    n: int
    customer: str = "Ann"


class Hidden(msgspec.Struct, frozen=True, tag="shop.order.hidden"):
    n: int


class SmallerMade(msgspec.Struct, frozen=True, tag="shop.order.made"):
    """What the listener needs of it."""

    n: int


@post("/orders", permission="shop.make")
async def make_order(data: dict[str, int], db: AsyncSession, events: Events, jobs: Jobs) -> None:
    await events.publish(db, Made(data["n"]), key="orders")
    await jobs.enqueue(db, "shop.pack")
    if data["n"] < 0:
        raise RuntimeError("no such order")


@get("/file/{key:str}", permission="signed-in")
async def get_file(key: str, access: Access, db: AsyncSession, services: Services) -> Any:
    return await services.get(FILES).download(db, key, access=access, permission="shop.make", name='a"b.html')


class Shop:
    manifest: ClassVar[dict[str, Any]] = {
        "id": "shop",
        "name": "Shop",
        "version": "1.0",
        "requires": {"core": ">=1.0,<2"},
        "events": {"publishes": ["shop.order.made"]},
    }
    permissions: ClassVar[dict[str, Any]] = {
        "permissions": [{"name": "shop.make", "title": "Make"}],
        "roles": [{"name": "shop.editor", "title": "Editor", "grants": [{"permission": "shop.make"}]}],
    }

    def __init__(self) -> None:
        self.packed: list[Any] = []

    @hookimpl
    def register_events(self) -> list[type]:
        return [Made, Hidden]

    @hookimpl
    def register_routes(self) -> list[Any]:
        return [make_order, get_file]

    @hookimpl
    def register_jobs(self) -> list[Job]:
        async def pack(delivery: Delivery, actor: Actor) -> None:
            self.packed.append((delivery.actors[1:], actor.username))

        return [Job("shop.pack", pack, schedule="0 3 1 1 *")]


class Books:
    """Listens to the shop."""

    manifest: ClassVar[dict[str, Any]] = {
        "id": "books",
        "name": "Books",
        "version": "1.0",
        "requires": {"core": ">=1.0,<2", "shop": ">=1"},
        "asks": ["shop.make"],
        "events": {"subscribes": ["shop.order.made"]},
    }

    def __init__(self, event: type = SmallerMade) -> None:
        self.event = event
        self.got: list[Any] = []
        self.fail = False

    @hookimpl
    def register_event_handlers(self) -> list[EventHandler]:
        async def on_made(event: SmallerMade, delivery: Delivery, actor: Actor, access: Access) -> None:
            if self.fail:
                raise RuntimeError("out of ink")
            self.got.append((event.n, delivery.actors[1:], actor.username, await access.can("shop.make")))

        return [EventHandler(self.event, on_made, retry=0)]


def make(settings: Settings, *plugins: object, **options: Any) -> PluginHost:
    events = {"poll": 0.05}
    return PluginHost(
        msgspec.structs.replace(settings, events=type(settings.events)(**events)), plugins=plugins, **options
    )


async def until(true: Any) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.02)


async def test_from_a_route_to_the_handler_of_another_plugin(settings: Settings) -> None:
    shop, books = Shop(), Books()
    async with running(make(settings, shop, books)) as host, signed_in(host, "ann", ("shop.editor",)) as ann:
        assert (await ann.post("/api/shop/orders", json={"n": 1})).status_code == 201
        assert (await ann.post("/api/shop/orders", json={"n": -1})).status_code == 500
        await until(lambda: books.got and shop.packed)
        assert books.got == [(1, ("plugin:shop",), "ann", True)]
        assert shop.packed == [(("plugin:shop",), "ann")]


async def test_who_has_lost_the_right_meanwhile_has_none_in_the_handler(settings: Settings) -> None:
    shop, books = Shop(), Books()
    host = make(settings, shop, books)
    host.bus.works = False
    async with running(host), signed_in(host, "ann", ("shop.editor",)) as ann, signed_in(host) as root:
        await ann.post("/api/shop/orders", json={"n": 1})
        person = (await ann.get("/api/core/auth/me")).json()["user"]
        answer = await root.patch(f"/api/core/users/{person['id']}", json={"status": "disabled"})
        assert answer.status_code == 200, answer.text
        await host.bus.relay(host.database).run_pending()
    assert books.got == [(1, ("plugin:shop",), "", False)]


@pytest.mark.security
async def test_a_foreign_name_cannot_be_published(settings: Settings) -> None:
    async with running(make(settings, Shop(), Books())) as host, host.work(plugin="books") as work:
        with pytest.raises(LookupError, match=r"books cannot publish 'shop\.order\.made': it is an event of 'shop'"):
            await work.events.publish(work.db, SmallerMade(1))
        with pytest.raises(LookupError, match=r"books has no job 'shop\.pack'"):
            await work.jobs.enqueue(work.db, "shop.pack")


@pytest.mark.security
async def test_an_event_that_its_owner_keeps_to_itself_cannot_be_listened_to(settings: Settings) -> None:
    books = Books(Hidden)
    books.manifest = {**Books.manifest, "events": {"subscribes": ["shop.order.hidden"]}}  # type: ignore[misc]
    async with running(make(settings, Shop(), books)) as host:
        entry = host.standing.generation.plan.entry("books")
        assert entry is not None
        assert entry.reason is not None
        assert (entry.state, entry.reason.code) == ("refused", "hook_invalid")
        assert "shop keeps that event to itself" in entry.reason.text


@pytest.mark.security
async def test_a_new_subscription_waits_for_consent(settings: Settings) -> None:
    """J01: an upgrade that listens to more goes on with what it had."""
    shop, books = Shop(), Books()
    books.manifest = {**Books.manifest, "events": {}}  # type: ignore[misc]

    class Quiet(Books):
        @hookimpl
        def register_event_handlers(self) -> list[EventHandler]:
            return []

    quiet = Quiet()
    quiet.manifest = books.manifest  # type: ignore[misc]
    async with running(make(settings, shop, quiet)):
        pass
    host = make(settings, shop, books)
    async with host.lifespan(), signed_in(host) as root:
        entry = host.standing.generation.plan.entry("books")
        assert entry is not None
        assert entry.awaiting == ("shop.order.made",)
        await root.post("/api/shop/orders", json={"n": 1})
        await host.consent("books")
        async with host.work(plugin="shop") as work:
            await work.events.publish(work.db, Made(2))
        await until(lambda: books.got)
        await asyncio.sleep(0.2)
        assert [each[0] for each in books.got] == [2]


async def test_a_subscriber_that_is_switched_off_gets_its_backlog_when_it_is_back(settings: Settings) -> None:
    shop, books = Shop(), Books()
    async with running(make(settings, shop, books)) as host, signed_in(host) as root:
        await host.wish("books", "disabled")
        await root.post("/api/shop/orders", json={"n": 1})
        rows = (await root.get("/api/core/events/backlog")).json()["items"]
        (waiting,) = [row for row in rows if row["plugin"] == "books"]
        assert (waiting["waiting"], waiting["dead"], waiting["oldest"] >= 0) == (1, 0, True)
        assert books.got == []
        await host.wish("books", "enabled")
        await until(lambda: books.got)


async def test_dead_letters_are_seen_delivered_again_and_thrown_away(settings: Settings) -> None:
    shop, books = Shop(), Books()
    books.fail = True
    async with running(make(settings, shop, books)) as host, signed_in(host) as root:
        for n in (1, 2, 3):
            await root.post("/api/shop/orders", json={"n": n})
        found: dict[str, Any] = {"items": []}
        async with asyncio.timeout(20):
            while len(found["items"]) < 3:
                found = (await root.get("/api/core/events/dead")).json()
        first = found["items"][-1]
        subscriber = "books:shop.order.made:on_made"
        assert {key: first[key] for key in ("name", "subscriber", "plugin", "key", "attempts", "error", "payload")} == {
            "name": "shop.order.made",
            "subscriber": subscriber,
            "plugin": "books",
            "key": "orders",
            "attempts": 1,
            "error": "RuntimeError: out of ink",
            "payload": {"type": "shop.order.made", "n": 1, "customer": "Ann"},
        }
        page = (await root.get("/api/core/events/dead", params={"limit": 2})).json()
        rest = (await root.get("/api/core/events/dead", params={"limit": 2, "cursor": page["next"]})).json()
        assert page["items"] + rest["items"] == found["items"]
        assert (await root.get("/api/core/events/dead", params={"plugin": "shop"})).json()["items"] == []
        books.fail = False
        assert (await root.post(f"/api/core/events/dead/{first['id']}/retry")).json() == {"count": 1}
        await until(lambda: books.got)
        assert books.got[0][0] == 1
        second = rest["items"][0] if rest["items"][0]["id"] != first["id"] else page["items"][-1]
        assert (await root.post(f"/api/core/events/dead/{second['id']}/discard")).json() == {"count": 1}
        assert (await root.post(f"/api/core/events/dead/{second['id']}/retry")).status_code == 404
        assert (await root.post("/api/core/events/dead/nonsense/retry")).status_code == 404
        answer = await root.post("/api/core/events/dead/retry", json={"subscriber": subscriber})
        assert answer.json() == {"count": 1}
        await until(lambda: len(books.got) == 2)
        answer = await root.post("/api/core/events/replay", json={"subscriber": subscriber})
        assert answer.json() == {"count": 3}
        await until(lambda: len(books.got) == 5)
        done = [row["action"] for row in (await root.get("/api/core/audit")).json()["items"]]
        assert {"core.delivery.retried", "core.delivery.discarded", "core.subscriber.replayed"} <= set(done)


async def test_jobs_are_listed_run_and_remembered(settings: Settings) -> None:
    shop = Shop()
    async with running(make(settings, shop)) as host, signed_in(host) as root:
        jobs = {row["name"]: row for row in (await root.get("/api/core/jobs")).json()["items"]}
        assert {"core.mail.send", "core.events.tidy", "core.files.collect", "shop.pack"} <= set(jobs)
        assert (jobs["shop.pack"]["schedule"], jobs["shop.pack"]["timezone"]) == ("0 3 1 1 *", "UTC")
        assert jobs["shop.pack"]["next_at"].endswith("-01-01T03:00:00Z")
        said = (await root.post("/api/core/jobs/shop.pack/run", json={})).json()["id"]
        await until(lambda: shop.packed)
        assert shop.packed == [(("plugin:shop",), "root")]
        runs: list[Any] = []
        async with asyncio.timeout(20):
            while not runs:
                runs = (await root.get("/api/core/jobs/shop.pack/runs")).json()["items"]
        assert (runs[0]["event_id"], runs[0]["outcome"], runs[0]["attempt"]) == (said, "done", 1)
        assert (await root.post("/api/core/jobs/shop.nothing/run", json={})).status_code == 404


@pytest.mark.security
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/events/dead"),
        ("POST", "/events/dead/1/retry"),
        ("POST", "/events/dead/1/discard"),
        ("POST", "/events/dead/retry"),
        ("POST", "/events/dead/discard"),
        ("POST", "/events/replay"),
        ("GET", "/events/backlog"),
        ("GET", "/jobs"),
        ("GET", "/jobs/shop.pack/runs"),
        ("POST", "/jobs/shop.pack/run"),
    ],
)
async def test_only_those_who_manage_events_see_or_touch_them(tmp_path: Path, method: str, path: str) -> None:
    settings = Settings(data_dir=str(tmp_path / "data"))
    async with running(make(settings, Shop())) as host, signed_in(host, "ann", ("shop.editor",)) as ann:
        assert (await ann.request(method, f"/api/core{path}", json={})).status_code == 403


async def test_a_file_is_sent_so_that_no_browser_runs_it(settings: Settings) -> None:
    async with running(make(settings, Shop())) as host, signed_in(host, "ann", ("shop.editor",)) as ann:
        async with host.work(plugin="shop") as work:
            key = await work.services.get(FILES).put(work.db, "../../x.html", b"<script>alert(1)</script>")
        answer = await ann.get(f"/api/shop/file/{key}")
        assert answer.content == b"<script>alert(1)</script>"
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["content-disposition"].startswith('attachment; filename="a_b.html"')
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in answer.headers["content-security-policy"]
        async with signed_in(host, "bob") as bob:
            assert (await bob.get(f"/api/shop/file/{key}")).status_code == 403


async def test_a_letter_without_a_server_is_written_to_the_log(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "plugin_host.mail")
    async with running(make(settings, Shop())) as host, signed_in(host) as root:
        ann = await root.post(
            "/api/core/users", json={"username": "ann", "password": "correct-horse-1", "email": "ann@example.org"}
        )
        assert ann.status_code == 201, ann.text
        async with host.work(plugin="shop") as work:
            await work.services.get(MAIL).send(work.db, f"user:{ann.json()['id']}", "Hello", "It is ready.")
        await until(lambda: "letter to ann@example.org: Hello" in caplog.text)


def test_commands_see_what_a_host_left(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop, books = Shop(), Books()
    books.fail = True

    async def leave() -> None:
        async with running(make(settings, shop, books)) as host:
            async with host.work(plugin="shop") as work:
                await work.events.publish(work.db, Made(1))
            while not (await host.desk.dead(Wanted())).items:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)

    asyncio.run(leave())
    config = tmp_path / "plugin-host.toml"
    config.write_text(f"data_dir = {settings.data_dir!r}\ndatabase = {settings.database!r}\n")

    def call(*words: str) -> Any:
        result = CliRunner().invoke(cli, [*words, "--config", str(config), "--json"], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return json.loads(result.output)

    (letter,) = call("events", "dead")["items"]
    assert letter["error"] == "RuntimeError: out of ink"
    assert call("events", "retry", letter["id"]) == {"count": 1}
    assert call("events", "replay", "books:shop.order.made:on_made") == {"count": 1}
    assert "shop.pack" in {row["name"] for row in call("jobs", "list")["items"]}
    assert call("jobs", "run", "shop.pack")["id"]
