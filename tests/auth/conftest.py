"""A real database with core's tables, a clock that tests turn, and written fakes of the rooms beside auth."""

from __future__ import annotations

import datetime as dt
import runpy
import time
import warnings
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import httpx
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.exceptions import LitestarDeprecationWarning, ValidationException
from sqlalchemy.ext.asyncio import AsyncSession

import plugin_host.core
from plugin_host.access.catalogue import Catalogue
from plugin_host.access.compiling import compile_rules
from plugin_host.access.members import count_holders, set_roles
from plugin_host.access.snapshot import Snapshot
from plugin_host.auth.passwords import Passwords
from plugin_host.auth.people import People, check_profile
from plugin_host.auth.sessions import Sessions
from plugin_host.auth.setup import Setup
from plugin_host.core.api.account import account_routes, link_routes
from plugin_host.core.api.auth import auth_routes
from plugin_host.core.api.mfa import mfa_routes
from plugin_host.core.api.sessions import session_routes
from plugin_host.core.api.tokens import token_routes
from plugin_host.core.api.users import user_routes
from plugin_host.core.auditing import Auditing
from plugin_host.core.credentials import Credentials
from plugin_host.core.governing.ground import Ground
from plugin_host.database import Database, UnitOfWork
from plugin_host.sdk.context import Actor, Services
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.listing import Listing
from plugin_host.sdk.manifest import Permission, Role, RoleGrant
from plugin_host.settings import Settings
from plugin_host.settings.mail import Mail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from plugin_host.auth.tables import User

_REVISIONS = ("0001_revision", "0002_people", "0003_access", "0006_audit", "0007_policy", "0008_credentials")
MIGRATIONS = Path(plugin_host.core.__file__).parent / "migrations"
START = float(int(time.time()))  # the gate of freshness looks at the real one


class Clock:
    """Tells the time that a test sets."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += dt.timedelta(**span).total_seconds()


class Roles:
    """Who has which roles, and how often that was asked."""

    def __init__(self) -> None:
        self.by_user: dict[str, tuple[str, ...]] = {}
        self.asked: list[str] = []

    async def of(self, _connection: object, user_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        self.asked.append(user_id)
        return self.by_user.get(user_id, ()), ()


def migrate(database: Database) -> None:
    """Run the revisions of this room."""
    database.prepare()
    with (
        database.migration_engine() as engine,
        engine.begin() as connection,
        Operations.context(MigrationContext.configure(connection)),
    ):
        for name in _REVISIONS:
            runpy.run_path(str(MIGRATIONS / f"{name}.py"))["upgrade"]()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def roles() -> Roles:
    return Roles()


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/host.db")
    migrate(database)
    yield database
    await database.close()


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[Database]:
    database = Database(postgres_url)
    migrate(database)
    yield database
    await database.close()


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    passwords = Passwords(time_cost=1, memory_kib=64, threads=1)
    yield passwords
    passwords.close()


@pytest.fixture
def people(database: Database) -> People:
    return People(database)


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(clock=clock)


@pytest.fixture
def change() -> Callable[..., Any]:
    """Run a function of a session as one committed unit of work."""

    async def run(database: Database, work: Callable[[Any], Any]) -> Any:
        unit = database.unit()
        try:
            result = await work(unit.session)
            await unit.commit()
        finally:
            await unit.close()
        return result

    return run


@pytest.fixture
def add_user(change: Callable[..., Any]) -> Callable[..., Any]:
    """Add somebody, as a unit of work of its own."""

    async def add(database: Database, username: str = "ann", password_hash: str | None = None, **said: Any) -> User:
        async def work(session: Any) -> User:
            profile = check_profile(username, said.get("display"), said.get("email"))
            user = await People(database).create(session, profile, password_hash)
            user.status = said.get("status", user.status)
            return user

        user: User = await change(database, work)
        return user

    return add


@pytest.fixture
def sign_in(sessions: Sessions, change: Callable[..., Any]) -> Callable[..., Any]:
    """Begin a session and give its token."""

    async def begin(database: Database, user_id: str) -> str:
        token: str = await change(database, lambda session: sessions.create(session, user_id))
        return token

    return begin


def ground_of(people: People) -> Ground:
    """Give what core and a plugin `contacts` bring to the policy."""
    names = ("core.access.manage", "core.users.manage", "contacts.view", "contacts.create")
    catalogue = Catalogue.of(Permission(name=name, title=name) for name in names)
    roles = {
        "core.admin": Role(name="core.admin", title="Administrator"),
        "contacts.viewer": Role(
            name="contacts.viewer", title="Viewer", grants=(RoleGrant(permission="contacts.view"),)
        ),
        "contacts.editor": Role(
            name="contacts.editor", title="Editor", grants=(RoleGrant(permission="contacts.create"),)
        ),
    }
    snapshot = Snapshot(catalogue, compile_rules(catalogue, roles.values()))
    return Ground(snapshot, roles, {name: name.partition(".")[0] for name in roles}, people)


class Letters(Services):
    """What was written to people, once mail is `set_up`."""

    def __init__(self) -> None:
        self.set_up = False
        self.sent: list[tuple[str, str, str]] = []

    def get(self, key: Any) -> Any:
        if not self.set_up:
            raise LookupError(key)
        return self

    async def send(self, _db: object, to: str, subject: str, text: str) -> None:
        self.sent.append((to, subject, text))


class Site:
    """Core's handlers behind a gate as small as can be, and a browser that keeps its cookie.

    The gate does what the real one promises: one unit of work for a call, committed when the handler has
    returned, rolled back when it raised. It asks for no permission but for somebody to be signed in.
    """

    def __init__(self, database: Database, clock: Clock, passwords: Passwords, settings: Settings) -> None:
        self.database = database
        self.clock = clock
        self.settings = settings
        self.auditing = Auditing(database)
        self.credentials = Credentials(settings, database, passwords=passwords, auditing=self.auditing, clock=clock)
        self.passwords = passwords
        self.people = self.credentials.people
        self.sessions = self.credentials.sessions
        self.principals = self.credentials.principals
        self.printed: list[str] = []
        self.setup = Setup(database, count_holders=count_holders, announce=self.printed.append)
        self.mail = Letters()

        def held(actor: Actor) -> set[str]:
            return {f"{role}.use" for role in actor.roles}

        self.handlers = [
            *auth_routes(self.credentials, self.setup, held),
            *account_routes(settings, self.credentials),
            *link_routes(settings, self.credentials),
            *mfa_routes(settings, self.credentials),
            *session_routes(self.sessions),
            *token_routes(settings=settings, tokens=self.credentials.api_tokens, held=held),
            *user_routes(
                settings=settings,
                passwords=passwords,
                people=self.people,
                desk=self.credentials.desk,
                ground=lambda: ground_of(self.people),
            ),
        ]
        with warnings.catch_warnings():
            # Names without a mark are the contract's; how they are handed over in Litestar 3 is the gateway's matter.
            warnings.simplefilter("ignore", LitestarDeprecationWarning)
            self._app = Litestar(
                self.handlers,
                dependencies={name: Provide(getattr(_Call, name), sync_to_thread=False) for name in _Call.NAMES},
                exception_handlers={Problem: _answer, ValidationException: _invalid},
                openapi_config=None,
            )
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self), base_url="http://localhost")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        actor = scope["user"] = await self.principals.resolve(scope)
        scope["test.mail"] = self.mail
        call = scope["test.call"] = _Call(actor, self.database.unit(), scope)
        status = 0

        async def keep(message: Any) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                await (call.unit.commit() if status < HTTPStatus.BAD_REQUEST else call.unit.rollback())
            await send(message)

        try:
            await self._app(scope, receive, keep)
        finally:
            await call.unit.close()

    async def close(self) -> None:
        await self.client.aclose()
        await self.principals.close()

    async def add(self, username: str, password: str = "four plain words here", *roles: str) -> str:
        hashed = await self.passwords.hash(password)
        unit = self.database.unit()
        user = await self.people.create(unit.session, check_profile(username), hashed)
        await set_roles(unit.session, user.id, roles, "test")
        await unit.commit()
        await unit.close()
        return user.id

    async def login(self, username: str, password: str = "four plain words here") -> httpx.Response:
        body = {"username": username, "password": password, "client": "browser"}
        return await self.client.post("/auth/login", json=body)

    def browser(self) -> httpx.AsyncClient:
        """Give another browser, without a cookie."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self), base_url="http://localhost")


class _Call:
    """What one call may ask for by name."""

    NAMES = ("actor", "db", "listing", "services")

    def __init__(self, actor: Actor, unit: UnitOfWork, scope: Any) -> None:
        self._actor = actor
        self.unit = unit
        self.mail: Letters = scope["test.mail"]
        self.query = dict(parse_qsl(scope["query_string"].decode()))

    @staticmethod
    def actor(request: Request[Any, Any, Any]) -> Actor:
        actor: Actor = request.scope["test.call"]._actor  # type: ignore[typeddict-item]
        if not actor.signed_in:
            raise Problem(401, "not_signed_in")
        return actor

    @staticmethod
    def services(request: Request[Any, Any, Any]) -> Services:
        mail: Services = request.scope["test.call"].mail  # type: ignore[typeddict-item]
        return mail

    @staticmethod
    def db(request: Request[Any, Any, Any]) -> AsyncSession:
        session: AsyncSession = request.scope["test.call"].unit.session  # type: ignore[typeddict-item]
        return session

    @staticmethod
    def listing(request: Request[Any, Any, Any]) -> Listing:
        return Listing.from_query(request.scope["test.call"].query)  # type: ignore[typeddict-item]


def _answer(_request: Any, problem: Problem) -> Response[Any]:
    return Response(problem.body(), status_code=problem.status, headers=problem.headers)


def _invalid(_request: Any, error: ValidationException) -> Response[Any]:
    return Response({"detail": str(error)}, status_code=422)


@pytest.fixture
async def site(database: Database, clock: Clock, passwords: Passwords, tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(database, clock, passwords, Settings(data_dir=str(tmp_path), mail=Mail(host="mail.test")))
    yield site
    await site.close()
