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
    """A function called for each event of a type, in its own unit of work."""

    event: type[Any]
    fn: Callable[..., Any]
    order: Literal["key"] | None = None
    retry: int = 5
    timeout: float = 30.0


@dataclass(frozen=True, slots=True)
class Job:
    """Work done in the background, once or on a schedule."""

    name: str
    fn: Callable[..., Any]
    args: type[Any] | None = None
    schedule: str | None = None
    timezone: str = "UTC"
    retry: int = 5
    unique_by: Callable[[Any], str] | None = field(default=None, compare=False)


class Retry(Exception):
    """Raised by a handler: do it again, after this time."""

    def __init__(self, after: timedelta | float) -> None:
        super().__init__(f"retry after {after}")
        self.after = after


class Discard(Exception):
    """Raised by a handler: this delivery is of no use; count it as done."""


class DeadLetter(Exception):
    """Raised by a handler: no retry will help; keep it for a person to look at."""
