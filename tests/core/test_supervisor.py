"""The supervisor: what is late is called off, what fails too often is quarantined, and everything is accounted for."""

from __future__ import annotations

import asyncio
import importlib.util
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from litestar import Litestar, get

from plugin_host.core import supervisor as supervisor_module
from plugin_host.core.api.metrics import metrics_endpoint
from plugin_host.core.supervisor import ENOUGH, Supervisor
from plugin_host.gateway.gate import WORK
from plugin_host.gateway.guard import STATUS
from plugin_host.sdk.context import ANONYMOUS, Actor
from plugin_host.sdk.errors import Problem, Reason
from plugin_host.settings.schema import Limits

pytestmark = pytest.mark.anyio

ANN = Actor(id="7", username="ann", display="Ann")
LIMITS = Limits(
    request_timeout=60.0, errors_per_minute=5, error_share=0.5, timeouts_per_minute=2, concurrency=3, lag=0.1
)


class Quarantine:
    """Writes down which plugin was taken off, and why; fails as often as it is told to."""

    def __init__(self, failures: int = 0) -> None:
        self.said: list[tuple[str, Reason]] = []
        self.failures = failures

    async def __call__(self, plugin: str, reason: Reason) -> None:
        self.said.append((plugin, reason))
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the database is locked")


@pytest.fixture
def quarantine() -> Quarantine:
    return Quarantine()


@pytest.fixture
def supervisor(quarantine: Quarantine) -> Supervisor:
    return Supervisor(LIMITS, quarantine)


def application() -> Litestar:
    """Make a plugin's application: what it does is in the scope, so that there is no gate to go through."""

    @get("/")
    async def root() -> None: ...

    return Litestar([root], openapi_config=None, logging_config=None)


def guarded(supervisor: Supervisor, plugin: str, folder: Path | None = None) -> Any:
    guard = supervisor.guard(plugin, application(), folder)
    supervisor.watch({plugin: folder})

    async def play(scope: Any, receive: Any, send: Any) -> None:
        await scope["act"](scope)

    guard.app = play  # type: ignore[assignment] # in the place of Litestar
    return guard


async def call(guard: Any, act: Any) -> None:
    await guard({"type": "http", "path": "/", "method": "GET", WORK: None, "act": act}, None, send)


async def send(message: Any) -> None: ...


async def until(happened: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not happened():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)


async def fail(scope: Any) -> None:
    scope[STATUS] = 500


async def succeed(scope: Any) -> None:
    scope[STATUS] = 200


async def hang(scope: Any) -> None:
    await asyncio.Event().wait()


async def test_a_plugin_that_fails_too_often_is_quarantined_once(
    supervisor: Supervisor, quarantine: Quarantine
) -> None:
    shop = guarded(supervisor, "shop")
    supervisor.look(0)
    for _ in range(8):
        await call(shop, fail)
    supervisor.look(1)
    supervisor.look(2)
    await asyncio.sleep(0)
    assert [(plugin, reason.code) for plugin, reason in quarantine.said] == [("shop", "runtime_errors")]


async def test_one_that_cannot_be_quarantined_is_so_when_it_fails_again(supervisor: Supervisor) -> None:
    quarantine = Quarantine(failures=1)
    supervisor = Supervisor(LIMITS, quarantine)
    shop = guarded(supervisor, "shop")
    supervisor.look(0)
    for now in (1, 2, 3):
        for _ in range(5):
            await call(shop, fail)
        supervisor.look(now)
        await asyncio.sleep(0.01)
    assert [plugin for plugin, _ in quarantine.said] == ["shop", "shop"]


async def test_a_plugin_that_mostly_answers_goes_on(supervisor: Supervisor, quarantine: Quarantine) -> None:
    shop = guarded(supervisor, "shop")
    supervisor.look(0)
    for act in [fail] * 6 + [succeed] * 20:
        await call(shop, act)
    supervisor.look(1)
    await asyncio.sleep(0)
    assert quarantine.said == []


async def test_core_is_neither_limited_nor_quarantined(supervisor: Supervisor, quarantine: Quarantine) -> None:
    core = guarded(supervisor, "core")
    supervisor.look(0)
    waiting = [asyncio.create_task(call(core, hang)) for _ in range(10)]
    await asyncio.sleep(0)
    for _ in range(10):
        await call(core, fail)
    supervisor.look(time.monotonic() + 1e6)
    await asyncio.sleep(0)
    assert quarantine.said == []
    assert supervisor.accounting("core")["in_flight"] == 10
    assert supervisor.accounting("core")["timeouts"] == supervisor.accounting("core")["overloads"] == 0
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_time_outs_quarantine_a_plugin(supervisor: Supervisor, quarantine: Quarantine) -> None:
    shop = guarded(supervisor, "shop")
    supervisor.look(time.monotonic())
    late = [asyncio.create_task(call(shop, hang)) for _ in range(2)]
    await asyncio.sleep(0)
    supervisor.look(time.monotonic() + 30)
    supervisor.look(time.monotonic() + 61)
    await asyncio.gather(*late)
    assert [plugin for plugin, _ in quarantine.said] == ["shop"]


async def test_what_is_drained_is_called_off_as_well(supervisor: Supervisor) -> None:
    shop = guarded(supervisor, "shop")
    late = asyncio.create_task(call(shop, hang))
    await asyncio.sleep(0)
    supervisor.watch({})  # it was taken off
    supervisor.look(time.monotonic() + 61)
    await late
    assert supervisor.accounting("shop")["timeouts"] == 1


async def test_the_guard_of_an_application_stays_while_others_come_and_go(supervisor: Supervisor) -> None:
    first, second = application(), application()
    guard = supervisor.guard("shop", first, None)
    assert supervisor.guard("shop", first, None) is guard
    other = supervisor.guard("shop", second, None)
    assert other is not guard
    assert other.usage is guard.usage


async def test_while_it_watches_it_looks_by_itself(quarantine: Quarantine) -> None:
    limits = Limits(request_timeout=0.05, timeouts_per_minute=1, lag=0.1)
    supervisor = Supervisor(limits, quarantine)
    shop = guarded(supervisor, "shop")
    async with supervisor.watching():
        await asyncio.sleep(0.1)  # the first look, with which the others are compared
        await asyncio.wait_for(call(shop, hang), 10)
        await until(lambda: quarantine.said)
    assert "took more than 0.05 seconds" in quarantine.said[0][1].text


async def test_the_accounts_are_kept_now_and_then(monkeypatch: pytest.MonkeyPatch, quarantine: Quarantine) -> None:
    kept = 0

    async def keep() -> None:
        nonlocal kept
        kept += 1
        if kept == 1:
            raise RuntimeError("the database is locked")

    monkeypatch.setattr(supervisor_module, "KEEP_EVERY", 0.01)
    supervisor = Supervisor(LIMITS, quarantine, keep)
    shop = guarded(supervisor, "shop")
    async with supervisor.watching():
        await until(lambda: kept == 1)
        await asyncio.sleep(0.05)
        assert kept == 1  # nothing has happened since
        await call(shop, succeed)
        await until(lambda: kept == 2)


async def test_who_blocks_the_event_loop_is_on_the_account(supervisor: Supervisor, tmp_path: Path) -> None:
    (tmp_path / "routes.py").write_text("import time\n\nasync def block(scope):\n    time.sleep(0.4)\n")
    spec = importlib.util.spec_from_file_location("routes", tmp_path / "routes.py")
    assert spec is not None
    assert spec.loader is not None
    routes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(routes)
    shop = guarded(supervisor, "shop", tmp_path)
    async with supervisor.watching():
        await asyncio.sleep(0.1)
        await call(shop, routes.block)
        await until(lambda: supervisor.accounting("shop")["lag"]["count"])
    account = supervisor.accounting("shop")
    assert account["lag"]["place"] == f"{tmp_path.name}/routes.py:4"
    assert account["lag"]["worst"] > 200
    assert account["slow"] == ["event_loop"]
    assert supervisor.unowned_lag.count == 0


async def test_the_account_has_the_start_and_the_requests(supervisor: Supervisor) -> None:
    shop = guarded(supervisor, "shop")
    await call(shop, succeed)
    await call(shop, fail)
    account = supervisor.accounting("shop", {"import": 12.5, "register": 1.0, "register_routes": 3.0, "startup": 4.0})
    assert account["request_time"] > 0
    assert {**account, "request_time": 0} == {
        "import": 12.5,
        "hooks": {"register_routes": 3.0},
        "startup": 4.0,
        "requests": 2,
        "errors": 1,
        "timeouts": 0,
        "overloads": 0,
        "in_flight": 0,
        "sockets": 0,
        "request_time": 0,
        "queries": 0,
        "query_time": 0.0,
        "last_error": "status 500 at GET /",
        "lag": {"count": 0, "time": 0.0, "worst": 0.0, "place": None},
        "slow": [],
    }


async def test_what_nobody_knows_has_an_empty_account(supervisor: Supervisor) -> None:
    account = supervisor.accounting("nobody")
    assert (account["requests"], account["import"], account["slow"]) == (0, 0.0, [])


@pytest.mark.parametrize(
    ("timings", "slow"),
    [
        ({"import": 499.0, "register_routes": 249.0, "startup": 1999.0}, []),
        ({"import": 500.0}, ["import"]),
        ({"register_routes": 250.0}, ["hook"]),
        ({"startup": 2000.0}, ["startup"]),
    ],
)
async def test_a_slow_start_is_marked(supervisor: Supervisor, timings: dict[str, float], slow: list[str]) -> None:
    assert supervisor.accounting("shop", timings)["slow"] == slow


async def test_slow_requests_are_marked_once_there_are_enough(supervisor: Supervisor) -> None:
    usage = supervisor.guard("shop", application(), None).usage
    usage.requests, usage.seconds, usage.queries.seconds = ENOUGH - 1, 100.0, 90.0
    assert supervisor.accounting("shop")["slow"] == []
    usage.requests = ENOUGH
    assert supervisor.accounting("shop")["slow"] == ["request", "query"]


# -- /metrics --------------------------------------------------------------------------------------------------------


async def _nothing() -> list[Any]:
    return []


class Host:
    """What the metrics ask of a host."""

    def __init__(self, *held: str) -> None:
        entries = [entry("core", "active"), entry("shop", "quarantined")]
        generation = SimpleNamespace(
            plan=SimpleNamespace(entries=entries), timings={"core": {"import": 2.0, "register_routes": 1.0}}
        )
        self.desk = SimpleNamespace(backlog=_nothing)
        self.bus = SimpleNamespace(counts=dict)
        self.standing: Any = SimpleNamespace(
            generation=generation, may=lambda actor, permission: actor.signed_in and permission in held
        )


def entry(plugin: str, state: Any) -> Any:
    return SimpleNamespace(id=plugin, state=state)


async def fetch(host: Any, supervisor: Supervisor, actor: Actor | Exception) -> tuple[int, Mapping[bytes, bytes], str]:
    async def authenticate(scope: Any) -> Actor:
        if isinstance(actor, Exception):
            raise actor
        return actor

    messages: list[Any] = []

    async def keep(message: Any) -> None:
        messages.append(message)

    app = metrics_endpoint(host, supervisor, authenticate)["/metrics"]
    await app({"type": "http", "method": "GET", "path": "/metrics", "headers": []}, None, keep)
    return messages[0]["status"], dict(messages[0]["headers"]), messages[1]["body"].decode()


async def test_the_metrics_are_for_those_who_may_see_them(supervisor: Supervisor) -> None:
    await call(guarded(supervisor, "shop"), fail)
    status, headers, body = await fetch(Host("core.metrics.view"), supervisor, ANN)
    assert status == 200
    assert headers[b"content-type"] == b"text/plain; version=0.0.4; charset=utf-8"
    lines = body.splitlines()
    for line in (
        "# TYPE plugin_host_requests_total counter",
        'plugin_host_requests_total{plugin="shop"} 1',
        'plugin_host_request_errors_total{plugin="shop"} 1',
        'plugin_host_requests_total{plugin="core"} 0',
        'plugin_host_plugin_state{plugin="shop",state="quarantined"} 1',
        'plugin_host_hook_seconds{plugin="core",hook="register_routes"} 0.001',
        'plugin_host_import_seconds{plugin="core"} 0.002',
        "plugin_host_loop_blocks_total 0",
    ):
        assert line in lines
    assert any(line.startswith("plugin_host_build_info{version=") for line in lines)
    assert len({line for line in lines if line.startswith("# TYPE")}) == len(
        [line for line in lines if line.startswith("# TYPE")]
    )


@pytest.mark.security
@pytest.mark.parametrize(
    ("actor", "status", "code"),
    [
        (ANN, 403, "forbidden"),
        (ANONYMOUS, 401, "not_signed_in"),
        (Problem(503, "setup_required"), 503, "setup_required"),
        (RuntimeError("no database"), 503, "unavailable"),
    ],
)
async def test_the_metrics_are_for_nobody_else(
    supervisor: Supervisor, actor: Actor | Exception, status: int, code: str
) -> None:
    got, _, body = await fetch(Host("core.plugins.view"), supervisor, actor)
    assert (got, f"problem:{code}" in body) == (status, True)
