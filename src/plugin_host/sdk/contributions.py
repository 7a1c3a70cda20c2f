"""What a hook may return, besides the structs of `manifest` and Litestar's own handlers: plain data."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

if TYPE_CHECKING:
    from datetime import timedelta

T = TypeVar("T")
ASGIApplication: TypeAlias = Callable[[Any, Any, Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Migrations:
    """Where the plugin's revisions `NNNN_slug.py` lie: a package (`"host_contacts.migrations"`)."""

    package: str


@dataclass(frozen=True)  # no slots: a generic alias marks its instances
class ServiceKey(Generic[T]):
    """The typed name of a service that plugins offer each other: `ServiceKey[Lookup]("contacts.lookup", 1)`.

    `name` begins with the id of the plugin that offers it; `version` is raised when `T` changes so that
    callers must change too.
    """

    name: str
    version: int


@dataclass(frozen=True)
class Service(Generic[T]):
    """A service handed to other plugins: they get `obj` by `services.get(key)`."""

    key: ServiceKey[T]
    obj: T


@dataclass(frozen=True, slots=True)
class AsgiApp:
    """A foreign ASGI application below the plugin's API, on whole path segments.

    It is handed the rest of the path with `root_path` set, the actor in `scope["user"]`, and its lifespan
    is run with the plugin's. One `permission` guards all of it.
    """

    app: ASGIApplication
    path: str = "/"
    permission: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """What a plugin's health check answers."""

    status: Literal["ok", "degraded", "failed"]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class EventHandler:
    """A function called for each event of a type, in its own unit of work, which is the acknowledgement too.

    `event` is the owner's struct, or a smaller one of one's own with the same tag. With `order="key"` events of one key
    come one after the other. `retry` is how often a failed call is repeated before it becomes a dead letter; `timeout`
    is in seconds. The handler is known by `name` (default: the function's), also to what waits for it in the database:
    keep it when you rename the function.
    """

    event: type[Any]
    fn: Callable[..., Any]
    order: Literal["key"] | None = None
    retry: int = 7
    timeout: float = 30.0
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """Work done in the background, once or on a schedule, in a unit of work of its own.

    `name` is `<id>.<word>`; `args` the struct of its arguments. `schedule` is a cron line (`0 3 * * *`; with six fields
    the first one is seconds) in `timezone`. `unique_by` gives a text for the arguments: while a job with that text
    waits, another is not added, and two of them never run at once. `timeout` is in seconds.
    """

    name: str
    fn: Callable[..., Any]
    args: type[Any] | None = None
    schedule: str | None = None
    timezone: str = "UTC"
    retry: int = 7
    unique_by: Callable[[Any], str] | None = field(default=None, compare=False)
    timeout: float = 300.0


class Retry(Exception):
    """Raised by a handler: do it again, after this time."""

    def __init__(self, after: timedelta | float) -> None:
        super().__init__(f"retry after {after}")
        self.after = after


class Discard(Exception):
    """Raised by a handler: this delivery is of no use; count it as done."""


class DeadLetter(Exception):
    """Raised by a handler: no retry will help; keep it for a person to look at."""
