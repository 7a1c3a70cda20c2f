"""What a plugin is handed: the actor, and abstract classes whose makers live above.

Litestar checks injected values with `isinstance`: a plain protocol answers 500 there and a
runtime-checkable one costs thirty times an abstract class, so these are ABCs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

import msgspec

if TYPE_CHECKING:
    import datetime as dt
    import logging
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.sdk.contributions import ServiceKey
    from plugin_host.sdk.delivery import Delivery
    from plugin_host.sdk.explanation import Explanation

T = TypeVar("T")
S = TypeVar("S", bound="Select[*tuple[Any, ...]]")
Settings_co = TypeVar("Settings_co", covariant=True)


class Identity(msgspec.Struct, frozen=True):
    """Somebody whom an authenticator, or the users of an embedding application, vouch for."""

    id: str
    username: str
    display: str
    email: str | None = None
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()


class Actor(msgspec.Struct, frozen=True):
    """Who asks: a user, the system (commands, start-up), or nobody (`anonymous`).

    `id` is an opaque string of at most 64 characters, to be kept without a foreign key. `subjects` are
    the names under which rules can mean this actor: `user:7`, `group:3`, `role:contacts.editor`.
    `credential` is what proved who asks, and `credential_id` names its row. `scopes` are the permissions that this
    credential is limited to, with all that they imply; None is no limit. `authenticated_at` is when the person last
    proved who they are, in seconds since 1970; None where the host cannot know.
    """

    id: str
    username: str
    display: str
    kind: Literal["user", "system", "anonymous"] = "user"
    roles: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    subjects: frozenset[str] = frozenset()
    credential: Literal["session", "access", "personal", "service", "plugin", "external"] | None = None
    credential_id: str = ""
    scopes: frozenset[str] | None = None
    authenticated_at: float | None = None

    def __post_init__(self) -> None:
        """Derive the subjects once: the gate looks them up at every request."""
        if not self.subjects:
            names = {f"role:{role}" for role in self.roles} | {f"group:{group}" for group in self.groups}
            msgspec.structs.force_setattr(self, "subjects", frozenset(names | {f"{self.kind}:{self.id}"}))

    @property
    def signed_in(self) -> bool:
        """Whether there is somebody at all."""
        return self.kind != "anonymous"


ANONYMOUS = Actor(id="", username="", display="", kind="anonymous")
SYSTEM = Actor(id="system", username="system", display="System", kind="system", roles=("core.admin",))
"""Start-up, commands and sample data: the operator's own hand, so with the operator's role."""


class Fields(msgspec.Struct, frozen=True):
    """The columns of one row that somebody may read, and those that they may write."""

    read: frozenset[str]
    write: frozenset[str]


class Access(ABC):
    """What this actor may do: decisions about one thing, and the same rules as a filter for lists.

    Permissions of object scope are asked with an object; an unknown permission is an error, not a "no".
    """

    @abstractmethod
    async def can(self, permission: str, obj: object | None = None) -> bool:
        """Tell whether the actor may; with object scope `obj` is the row that is asked about."""

    @abstractmethod
    async def require(self, permission: str, obj: object | None = None) -> None:
        """Go on only if the actor may: otherwise `Problem` 403, 404 if `obj` may not even be seen, 401 of nobody."""

    @abstractmethod
    async def get(self, model: type[T], id: str, permission: str) -> T:  # noqa: A002 - the contract's name
        """Load the row by its key: 404 if it is not there or may not be seen, else 403 if it may not be done."""

    @abstractmethod
    async def can_many(self, permission: str, objs: Sequence[object]) -> list[bool]:
        """Answer `can` for the rows of a page, in their order."""

    @abstractmethod
    def permitted(self, statement: S, permission: str) -> S:
        """Limit a select to the rows for which the actor holds the permission."""

    @abstractmethod
    async def fields(self, obj: object) -> Fields:
        """Give the columns of a row that the actor may read and write, as permissions.json says of its object.

        Whether the row may be seen or changed at all is another question: ask it first.
        """

    @abstractmethod
    async def share(self, obj: object, with_: str, actions: Sequence[str], until: dt.datetime | None = None) -> None:
        """Let a `user:7`, `group:3` or `role:x` do with the row what the actor may do: `["view", "edit"]`.

        Until a moment, or for good. Raises `Problem` 403 (404 if it may not be seen) for what the actor may not do,
        422 for what cannot be.
        """

    @abstractmethod
    async def unshare(self, obj: object, with_: str, actions: Sequence[str]) -> None:
        """Take back what was shared: these actions, of that user, group or role."""

    @abstractmethod
    async def explain(self, permission: str, obj: object | None = None) -> Explanation:
        """Say whether the actor may, and why; also of a permission that does not exist."""


class Services(ABC):
    """The services of the plugins this one requires, and of core."""

    @abstractmethod
    def get(self, key: ServiceKey[T]) -> T:
        """Give the service, or raise `LookupError` naming who would offer it and how to get it."""


class Events(ABC):
    """The door to the event bus."""

    @abstractmethod
    async def publish(self, db: AsyncSession, event: msgspec.Struct, key: str | None = None) -> str:
        """Publish with the caller's transaction: what is rolled back was never said. Gives the event's id.

        `event` is of a type that this plugin registered. Handlers with `order="key"` get the events of one `key`
        one after the other, as they were published. Raises `LookupError` for an event that is not this plugin's.
        """

    @abstractmethod
    async def replay(self, db: AsyncSession, event: type[msgspec.Struct], since: dt.datetime | None = None) -> int:
        """Have this plugin's own handlers of an event called again, for all that is kept since then.

        Gives how many deliveries that makes. How long events are kept is a setting: `events.keep_days`.
        """


class Jobs(ABC):
    """The door to background work."""

    @abstractmethod
    async def enqueue(self, db: AsyncSession, name: str, args: msgspec.Struct | None = None) -> str:
        """Put a job into the queue with the caller's transaction; gives its id.

        `name` is that of a job of this plugin. With `unique_by`, a job that waits already is the answer: its id is
        given and nothing is added. Raises `LookupError` for a job that is not this plugin's, `TypeError` for
        arguments that are not of the job's struct.
        """


class UserRecord(msgspec.Struct, frozen=True):
    """What plugins may know of a user."""

    id: str
    username: str
    display: str


class Users(ABC):
    """The people: looked up by plugins, and signed in by an application that embeds the host.

    An application hands its own to `PluginHost(users=…)`: then it signs people in, and core does not.
    `sign_in_url` and `sign_out_url` are where the shell sends people.
    """

    sign_in_url: str | None = None
    sign_out_url: str | None = None

    async def authenticate(self, connection: Any) -> Identity | None:
        """Name whoever sent the connection (a Litestar `ASGIConnection`), or None; never raises for nobody."""
        return None

    @abstractmethod
    async def get(self, ids: Sequence[str]) -> Mapping[str, UserRecord]:
        """Give the users of these ids that exist."""

    @abstractmethod
    async def search(self, text: str, limit: int = 20) -> Sequence[UserRecord]:
        """Find users whose user name or display name contains the text."""


class UnitOfWork(Protocol):
    """The transaction of one call: opened when first asked for, ended by the host."""

    @property
    def session(self) -> AsyncSession:
        """The session, opened now if it was not."""

    @property
    def opened(self) -> bool:
        """Whether anybody asked for the session."""

    @property
    def policy_revision(self) -> int | None:
        """The policy revision that the work has made, if it changed who may do what."""

    async def commit(self) -> None:
        """Make it last."""

    async def rollback(self) -> None:
        """Undo it."""

    async def close(self) -> None:
        """Give the connection back; uncommitted work is undone."""


class Work:
    """One call: who asks, and what it may ask for by name. Commits and roll-backs are the host's."""

    __slots__ = (
        "_access",
        "_make_access",
        "_make_doors",
        "actor",
        "delivery",
        "log",
        "plugin",
        "services",
        "settings",
        "unit",
    )

    def __init__(  # noqa: PLR0913 - what a call may ask for by name
        self,
        *,
        plugin: str,
        actor: Actor,
        unit: UnitOfWork,
        access: Callable[[Work], Access],
        services: Services,
        settings: object,
        log: logging.Logger,
        doors: Callable[[Work], tuple[Events, Jobs]] | None = None,
        delivery: Delivery | None = None,
    ) -> None:
        self.plugin = plugin
        self.delivery = delivery
        self._make_doors = doors
        self.actor = actor
        self.unit = unit
        self.services = services
        self.settings = settings
        self.log = log
        self._make_access = access
        self._access: Access | None = None

    @property
    def db(self) -> AsyncSession:
        """The plugin's database, opened when first asked for."""
        return self.unit.session

    @property
    def access(self) -> Access:
        """This actor's decisions, made when first asked for."""
        if self._access is None:
            self._access = self._make_access(self)
        return self._access

    @property
    def events(self) -> Events:
        """The plugin's door to the event bus, in the name of this call's actor."""
        return self._doors()[0]

    @property
    def jobs(self) -> Jobs:
        """The plugin's door to background work, in the name of this call's actor."""
        return self._doors()[1]

    def _doors(self) -> tuple[Events, Jobs]:
        if self._make_doors is None:
            msg = "there is no event bus here"
            raise RuntimeError(msg)
        return self._make_doors(self)

    @property
    def asked(self) -> bool:
        """Whether a decision was asked for: a route of object scope must."""
        return self._access is not None and getattr(self._access, "asked", True)


class PluginContext(Generic[Settings_co]):
    """What hooks are handed: the plugin's own settings, log, services, and a door to units of work."""

    __slots__ = ("_open_work", "id", "log", "services", "settings")

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - the contract's name
        settings: Settings_co,
        services: Services,
        log: logging.Logger,
        open_work: Callable[[Actor | None], AbstractAsyncContextManager[Work]],
    ) -> None:
        self.id = id
        self.settings = settings
        self.services = services
        self.log = log
        self._open_work = open_work

    def work(self, actor: Actor | None = None) -> AbstractAsyncContextManager[Work]:
        """Open a unit of work outside a request; without an actor it is the system's."""
        return self._open_work(actor)
