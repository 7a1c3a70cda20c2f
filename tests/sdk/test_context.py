"""What a plugin is handed: the actor, and the unit of work with what may be asked for by name."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from plugin_host.sdk.context import (
    ANONYMOUS,
    SYSTEM,
    Access,
    Actor,
    PluginContext,
    Services,
    Users,
    Work,
)
from plugin_host.sdk.contributions import ServiceKey

LOG = logging.getLogger("test")


class NoServices(Services):
    def get(self, key: ServiceKey[Any]) -> Any:
        raise LookupError(key.name)


class Yes(Access):
    """Says yes to all, and does not tell whether it was asked."""

    async def can(self, permission: str, obj: object | None = None) -> bool:
        return True

    async def require(self, permission: str, obj: object | None = None) -> None:
        return None

    async def get(self, model: type[Any], id: str, permission: str) -> Any:  # noqa: A002
        return model()

    async def can_many(self, permission: str, objs: Sequence[object]) -> list[bool]:
        return [True for _ in objs]

    def permitted(self, statement: Any, permission: str) -> Any:
        return statement

    async def fields(self, obj: object) -> Any:
        return None

    async def share(self, obj: object, with_: str, actions: Sequence[str], until: Any = None) -> None:
        """Nothing is kept."""

    async def unshare(self, obj: object, with_: str, actions: Sequence[str]) -> None:
        """Nothing is kept."""

    async def explain(self, permission: str, obj: object | None = None) -> Any:
        return None


class Counting(Yes):
    """Tells whether it was asked."""

    def __init__(self, *, asked: bool) -> None:
        self.asked = asked


class Unit:
    """A unit of work whose session is only a word."""

    opened = False
    session = cast("Any", "the session")

    async def commit(self) -> None:
        """Nothing is to commit."""

    async def rollback(self) -> None:
        """Nothing is to undo."""

    async def close(self) -> None:
        """Nothing is open."""


class NobodyKnows(Users):
    """The least that an application must write."""

    async def get(self, ids: Sequence[str]) -> dict[str, Any]:
        return {}

    async def search(self, text: str, limit: int = 20) -> list[Any]:
        return []


def work(access: Access) -> Work:
    return Work(
        plugin="contacts",
        actor=SYSTEM,
        unit=Unit(),
        access=lambda _: access,
        services=NoServices(),
        settings=None,
        log=LOG,
    )


@pytest.mark.parametrize(
    ("actor", "subjects"),
    [
        (Actor(id="7", username="ann", display="Ann"), {"user:7"}),
        (
            Actor(id="7", username="ann", display="Ann", roles=("contacts.editor",), groups=("3",)),
            {"user:7", "role:contacts.editor", "group:3"},
        ),
        (ANONYMOUS, {"anonymous:"}),
        (SYSTEM, {"system:system", "role:core.admin"}),
    ],
    ids=["user", "user with roles and groups", "nobody", "system"],
)
def test_names_under_which_rules_can_mean_an_actor(actor: Actor, subjects: set[str]) -> None:
    assert actor.subjects == subjects


def test_subjects_that_are_given_are_kept() -> None:
    assert Actor(id="7", username="ann", display="Ann", subjects=frozenset({"user:8"})).subjects == {"user:8"}


@pytest.mark.parametrize(("actor", "there"), [(ANONYMOUS, False), (SYSTEM, True)])
def test_somebody_is_there(actor: Actor, there: bool) -> None:  # noqa: FBT001
    assert actor.signed_in is there


def test_work_gives_the_session_of_its_unit() -> None:
    assert cast("Any", work(Yes()).db) == "the session"


def test_work_makes_its_access_once() -> None:
    made = []

    def make(asking: Work) -> Access:
        made.append(asking)
        return Yes()

    one = Work(plugin="contacts", actor=SYSTEM, unit=Unit(), access=make, services=NoServices(), settings=None, log=LOG)
    assert one.access is one.access
    assert made == [one]


def test_work_was_not_asked_for_a_decision() -> None:
    assert not work(Counting(asked=True)).asked


@pytest.mark.parametrize(
    ("access", "asked"), [(Counting(asked=True), True), (Counting(asked=False), False), (Yes(), True)]
)
def test_work_was_asked_if_its_access_was(access: Access, asked: bool) -> None:  # noqa: FBT001
    one = work(access)
    assert one.access is access
    assert one.asked is asked


@pytest.mark.anyio
@pytest.mark.parametrize("actor", [None, ANONYMOUS])
async def test_context_opens_work_for_an_actor(actor: Actor | None) -> None:
    opened: list[Actor | None] = []

    @asynccontextmanager
    async def open_work(who: Actor | None) -> Any:
        opened.append(who)
        yield work(Yes())

    context = PluginContext(id="contacts", settings=3, services=NoServices(), log=LOG, open_work=open_work)
    async with context.work(actor) as one:
        assert one.plugin == "contacts"
    assert opened == [actor]


@pytest.mark.anyio
async def test_users_of_an_application_name_nobody_unless_they_say_so() -> None:
    assert await NobodyKnows().authenticate(object()) is None
