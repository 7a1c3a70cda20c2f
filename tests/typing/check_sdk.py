"""What type checkers are told of the sdk: read by mypy (`nox -s types`), never run.

`assert_type` holds what must be known, `type: ignore[…]` what must be an error: one that is not needed is one too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_type

import msgspec
from litestar.handlers import HTTPRouteHandler, WebsocketRouteHandler
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped

from plugin_host.sdk import (
    USERS,
    Access,
    Actor,
    Listing,
    Page,
    PluginBase,
    PluginContext,
    Service,
    ServiceKey,
    Services,
    Users,
    Work,
    change,
    get,
    object_id,
    post,
    to,
    websocket,
)

Decorator = Callable[[Callable[..., Any]], HTTPRouteHandler]


class Base(PluginBase, plugin="typed"):
    """Tables of this page."""


class Person(Base):
    __tablename__ = "typed_person"

    id: Mapped[str] = object_id()
    name: Mapped[str]


class PersonOut(msgspec.Struct):
    id: str


class PersonChange(msgspec.Struct):
    name: str | msgspec.UnsetType = msgspec.UNSET


class Settings(msgspec.Struct, frozen=True):
    currency: str = "EUR"


class Lookup:
    """A service."""


LOOKUP = ServiceKey[Lookup]("typed.lookup", 1)


def routes() -> None:
    assert_type(get("/people", permission="typed.view"), Decorator)
    assert_type(post("/people", permission="typed.create", status_code=202), Decorator)
    assert_type(websocket("/live"), Callable[[Callable[..., Any]], WebsocketRouteHandler])
    get("/people", permission=["typed.view"])  # type: ignore[arg-type]
    get("/people", guards=[])  # type: ignore[call-arg]
    get("/people", "typed.view")  # type: ignore[call-arg]

    @get("/people", permission="typed.view")
    async def list_people() -> list[str]:
        return []

    assert_type(list_people, HTTPRouteHandler)


def selects(access: Access) -> None:
    people = select(Person)
    names = select(Person.id, Person.name)
    assert_type(people, Select[Person])
    assert_type(access.permitted(people, "typed.person.view"), Select[Person])
    assert_type(access.permitted(names, "typed.person.view"), Select[str, str])


async def decisions(access: Access, person: Person) -> None:
    assert_type(await access.get(Person, "1", "typed.person.view"), Person)
    assert_type(await access.can("typed.person.edit", person), bool)
    assert_type(await access.can_many("typed.person.edit", [person]), list[bool])


async def lists(listing: Listing, db: AsyncSession) -> None:
    assert_type(await listing.page(db, select(Person), PersonOut, sort=[Person.name]), Page[PersonOut])
    assert_type(await listing.rows(db, select(Person), sort=[Person.name]), tuple[list[Person], str | None])
    assert_type(
        await listing.rows(db, select(Person.name, Person.id), sort=[Person.name]), tuple[list[str], str | None]
    )
    await listing.page(db, select(Person), PersonOut, sort=["name"])  # type: ignore[list-item]
    await listing.page(db, select(Person), PersonOut)  # type: ignore[call-arg]


def services(offered: Services) -> None:
    assert_type(LOOKUP, ServiceKey[Lookup])
    assert_type(offered.get(LOOKUP), Lookup)
    assert_type(offered.get(USERS), Users)
    assert_type(Service(LOOKUP, Lookup()), Service[Lookup])
    broken: Service[Lookup] = Service(LOOKUP, "no lookup")  # type: ignore[arg-type]
    assert_type(broken.obj, Lookup)


async def contexts(context: PluginContext[Settings], actor: Actor) -> None:
    assert_type(context.settings, Settings)
    assert_type(context.settings.currency, str)
    wider: PluginContext[msgspec.Struct] = context
    assert_type(wider.settings, msgspec.Struct)
    narrower: PluginContext[Settings] = wider  # type: ignore[assignment]
    assert_type(narrower.id, str)
    async with context.work(actor) as work:
        assert_type(work, Work)
        assert_type(work.db, AsyncSession)
        assert_type(work.access, Access)


def rows(person: Person) -> None:
    assert_type(person.name, str)
    assert_type(to(person, PersonOut), PersonOut)
    assert_type(change(person, PersonChange(name="Ann")), Person)
