"""A stage for one plugin: edge, dispatcher, gate and application are real; people and database are written fakes."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.gateway.application import Built, RouteRules, build
from plugin_host.gateway.dispatcher import Dispatcher, Table
from plugin_host.gateway.edge import Edge
from plugin_host.gateway.gate import Gate
from plugin_host.sdk.context import ANONYMOUS, Access, Actor, Services, Work
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.manifest import PublicRoute

ANN = Actor(id="7", username="ann", display="Ann")


class FakeUnit:
    """A unit of work that writes down what was done with it."""

    def __init__(self, commit_error: Exception | None) -> None:
        self.opened = False
        self.policy_revision: int | None = None
        self.did: list[str] = []
        self._commit_error = commit_error

    @property
    def session(self) -> Any:
        self.opened = True
        return AsyncSession()

    async def commit(self) -> None:
        self.did.append("commit")
        if self._commit_error is not None:
            raise self._commit_error

    async def rollback(self) -> None:
        self.did.append("rollback")

    async def close(self) -> None:
        self.did.append("close")


class FakeAccess(Access):
    """Decides yes, and remembers that it was asked."""

    def __init__(self) -> None:
        self.asked = False

    async def can(self, permission: str, obj: object | None = None) -> bool:
        self.asked = True
        return True

    async def require(self, permission: str, obj: object | None = None) -> None:
        self.asked = True

    async def get(self, model: Any, id: str, permission: str) -> Any:  # noqa: A002 - the contract's name
        self.asked = True

    async def can_many(self, permission: str, objs: Sequence[object]) -> list[bool]:
        self.asked = True
        return [True for _ in objs]

    def permitted(self, statement: Any, permission: str) -> Any:
        self.asked = True
        return statement

    async def fields(self, obj: object) -> Any:
        return None

    async def share(self, obj: object, with_: str, actions: Sequence[str], until: Any = None) -> None:
        """Nothing is kept."""

    async def unshare(self, obj: object, with_: str, actions: Sequence[str]) -> None:
        """Nothing is kept."""

    async def explain(self, permission: str, obj: object | None = None) -> Any:
        return None


class NoServices(Services):
    def get(self, key: Any) -> Any:
        raise LookupError(key)


@dataclass
class Stage:
    """Who asks, what they hold, and what the database says at commit."""

    actor: Actor = ANN
    held: set[str] = field(default_factory=lambda: {"shop.view", "shop.item.edit"})
    commit_error: Exception | None = None
    failing: Exception | None = None
    works: list[Work] = field(default_factory=list)
    wrote: list[bool] = field(default_factory=list)
    scopes: list[Any] = field(default_factory=list)
    reached: int = 7
    still: bool = True

    @property
    def did(self) -> list[str]:
        """What was done with the unit of work of the last call."""
        unit: Any = self.works[-1].unit
        return list(unit.did)

    def gate(self, public_origin: str | None = None) -> Gate:
        return Gate(
            authenticate=self._authenticate,
            holds=self._holds,
            open_work=self._open,
            reach=self._reach,
            still=self._still,
            public_origin=public_origin,
        )

    def build(self, *handlers: Any, plugin: str = "shop", public: Iterable[PublicRoute] = (), **more: Any) -> Built:
        return build(plugin, handlers, names=rules(plugin, public), gate=self.gate(), **{"body_limit": 1000, **more})

    def edge(self, built: Built, extra: Mapping[str, Any] | None = None, **options: Any) -> Edge:
        dispatcher = Dispatcher()
        dispatcher.swap(Table({built.plugin: built.app}, answer, page, page, extra or {}))
        return Edge(dispatcher, **options)

    def client(self, *handlers: Any, **options: Any) -> httpx.AsyncClient:
        return client(self.edge(self.build(*handlers, **options)))

    async def _authenticate(self, scope: Any) -> Actor:
        self.scopes.append(scope)
        if self.failing is not None:
            raise self.failing
        return self.actor

    async def _reach(self, revision: int) -> None:
        if revision > self.reached:
            raise Problem(503, "policy_behind")

    async def _still(self, _work: Work, _actor: Actor) -> bool:
        return self.still

    def _holds(self, actor: Actor, permission: str) -> bool:
        return actor.signed_in and permission in self.held

    def _open(self, plugin: str, actor: Actor, write: bool) -> Work:  # noqa: FBT001 - the gate's call
        access = FakeAccess()
        work = Work(
            plugin=plugin,
            actor=actor,
            unit=FakeUnit(self.commit_error),
            access=lambda _work: access,
            services=NoServices(),
            settings={"colour": "red"},
            log=logging.getLogger(f"plugin_host.plugins.{plugin}"),
        )
        self.works.append(work)
        self.wrote.append(write)
        return work


def rules(plugin: str = "shop", public: Iterable[PublicRoute] = ()) -> RouteRules:
    own = {f"{plugin}.view": "type", f"{plugin}.create": "type", f"{plugin}.item.edit": "object"}
    required = {"contacts.view": "type"}
    known = {**dict.fromkeys(own, plugin), "contacts.view": "contacts", "billing.view": "billing"}
    return RouteRules(plugin=plugin, own=own, required=required, known=known, public=tuple(public))


def answer(plugin: str) -> tuple[int, str]:
    return (503, "import_failed") if plugin == "broken" else (404, "not_found")


async def page(scope: Any, receive: Any, send: Any, *where: str) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]})
    await send({"type": "http.response.body", "body": " ".join(("page", scope["plugin_host.base"], *where)).encode()})


def client(app: Any, root_path: str = "") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, root_path=root_path)
    return httpx.AsyncClient(transport=transport, base_url="http://host.test")


class Socket:
    """A WebSocket client, spoken by hand: `messages` are what the application sent."""

    def __init__(self, *texts: str, offers_http: bool = True, headers: Mapping[str, str] | None = None) -> None:
        self._incoming: list[dict[str, Any]] = [
            {"type": "websocket.connect"},
            *({"type": "websocket.receive", "text": text} for text in texts),
            {"type": "websocket.disconnect", "code": 1000},
        ]
        self._extensions = {"websocket.http.response": {}} if offers_http else {}
        self._headers = {"host": "host.test", **(headers or {})}
        self.messages: list[dict[str, Any]] = []

    async def open(self, app: Any, path: str) -> list[dict[str, Any]]:
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in self._headers.items()],
            "subprotocols": [],
            "extensions": self._extensions,
        }
        await app(scope, self._receive, self._send)
        return self.messages

    @property
    def status(self) -> int:
        """The HTTP status of a refused handshake."""
        return int(next(m for m in self.messages if m["type"] == "websocket.http.response.start")["status"])

    @property
    def code(self) -> int:
        """The close code."""
        return int(next(m for m in self.messages if m["type"] == "websocket.close")["code"])

    async def _receive(self) -> dict[str, Any]:
        return self._incoming.pop(0)

    async def _send(self, message: dict[str, Any]) -> None:
        self.messages.append(message)


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest.fixture
def nobody() -> Stage:
    return Stage(actor=ANONYMOUS)
