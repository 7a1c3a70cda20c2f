"""What plugins ask of `access`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from plugin_host.access.catalogue import Catalogue, UnknownPermission
from plugin_host.access.compiling import compile_rules
from plugin_host.access.decisions import Decisions
from plugin_host.access.snapshot import Snapshot
from plugin_host.sdk.context import ANONYMOUS, Actor
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.manifest import Permission, Role, RoleGrant
from plugin_host.sdk.models import PluginBase, object_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from plugin_host.database import Database

pytestmark = pytest.mark.anyio

OWNS = {"==": [{"row": "owner_id"}, {"actor": "id"}]}
LIVING = {"is_null": {"row": "owner_id"}}
CATALOGUE = Catalogue.of(
    [
        Permission(name="garden.view", title="Open"),
        Permission(name="garden.tree.view", title="See", scope="object"),
        Permission(name="garden.tree.prune", title="Prune", scope="object", implies=("garden.tree.view",)),
        Permission(name="garden.tree.fell", title="Fell", scope="object"),
        Permission(name="garden.path.walk", title="Walk", scope="object"),
    ]
)


class Base(PluginBase, plugin="garden"):
    """Tables of these tests."""


class Tree(Base):
    __tablename__ = "garden_tree"
    __object__ = "garden.tree"

    id: Mapped[str] = object_id()
    owner_id: Mapped[str | None] = mapped_column(sa.String(64))


class Way(Base):
    """Objects whose permissions know no `view`: everybody may see them."""

    __tablename__ = "garden_path"
    __object__ = "garden.path"

    id: Mapped[str] = object_id()


class Bench(Base):
    """No object of any permission."""

    __tablename__ = "garden_bench"

    id: Mapped[str] = object_id()


def role(name: str, *grants: tuple[str, Any]) -> Role:
    return Role(name=name, title=name, grants=tuple(RoleGrant(permission=it, where=where) for it, where in grants))


ROLES = [
    role("garden.gardener", ("garden.view", None), ("garden.tree.view", None), ("garden.tree.prune", OWNS)),
    role("garden.owner", ("garden.tree.view", OWNS)),
    role("garden.woodcutter", ("garden.tree.fell", None)),
]
SNAPSHOT = Snapshot(CATALOGUE, compile_rules(CATALOGUE, ROLES))


class NoUnit:
    """A unit of work that nobody may open: what is asked needs no database."""

    @property
    def session(self) -> Any:
        raise AssertionError("the database was opened")


def access(*roles: str, unit: Any = None) -> Decisions:
    names = tuple(f"garden.{name}" for name in roles)
    actor = Actor(id="7", username="ann", display="Ann", roles=names) if roles else ANONYMOUS
    return Decisions(actor, lambda: SNAPSHOT, unit or NoUnit())


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Stay on SQLite: that filters are the same on both databases is told by their own tests."""
    return f"sqlite:///{tmp_path}/garden.db"


@pytest.fixture
async def unit(database: Database) -> AsyncIterator[Any]:
    """Give a unit of work on a garden with a tree of mine, one of another, a path and a bench."""
    with database.migration_engine() as engine:
        for model in (Tree, Way, Bench):
            model.__table__.create(engine)  # type: ignore[attr-defined]
    unit = database.unit()
    rows = [Tree(id="mine", owner_id="7"), Tree(id="theirs", owner_id="8"), Way(id="path"), Bench(id="bench")]
    unit.session.add_all(rows)
    await unit.session.flush()
    yield unit
    await unit.close()
    await database.close()


MINE, THEIRS = Tree(id="mine", owner_id="7"), Tree(id="theirs", owner_id="8")


# -- can ----------------------------------------------------------------------------------------------------------


async def test_type_scope_is_asked_without_an_object() -> None:
    assert await access("gardener").can("garden.view")


async def test_type_scope_may_be_asked_with_an_object_that_makes_no_difference() -> None:
    assert await access("gardener").can("garden.view", THEIRS)


async def test_object_scope_is_asked_of_the_row() -> None:
    asked = access("gardener")
    assert [await asked.can("garden.tree.prune", tree) for tree in (MINE, THEIRS)] == [True, False]


async def test_a_row_that_was_only_made_now_can_be_asked_about() -> None:
    assert await access("gardener").can("garden.tree.prune", Tree(owner_id="7"))


async def test_object_scope_without_an_object_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"'garden\.tree\.prune' has object scope: ask with the row that is meant"):
        await access("gardener").can("garden.tree.prune")


@pytest.mark.parametrize("obj", [Bench(id="b"), Way(id="w"), "mine", Tree])
async def test_object_scope_with_another_kind_of_object_is_an_error(obj: object) -> None:
    with pytest.raises(TypeError, match=r"'garden\.tree\.prune' is asked of rows .* 'garden\.tree', not of "):
        await access("gardener").can("garden.tree.prune", obj)


async def test_an_unknown_permission_is_an_error() -> None:
    with pytest.raises(UnknownPermission, match=r"'garden\.views'; did you mean 'garden\.view'"):
        await access("gardener").can("garden.views")


async def test_nobody_may_nothing() -> None:
    assert not await access().can("garden.view")


async def test_many_are_answered_in_their_order() -> None:
    assert await access("gardener").can_many("garden.tree.prune", [THEIRS, MINE, THEIRS]) == [False, True, False]


async def test_many_of_type_scope_are_answered_alike() -> None:
    assert await access("gardener").can_many("garden.view", [THEIRS, MINE]) == [True, True]


async def test_many_of_which_one_is_something_else_is_an_error() -> None:
    with pytest.raises(TypeError, match="not of Bench"):
        await access("gardener").can_many("garden.tree.prune", [MINE, Bench(id="b")])


# -- require --------------------------------------------------------------------------------------------------------


async def refused(asking: Any) -> tuple[int, str]:
    with pytest.raises(Problem) as caught:
        await asking
    return caught.value.status, caught.value.code


async def test_require_lets_whoever_may_go_on() -> None:
    assert await access("gardener").require("garden.tree.prune", MINE) is None  # type: ignore[func-returns-value]


async def test_require_refuses_what_may_be_seen_with_403() -> None:
    assert await refused(access("gardener").require("garden.tree.prune", THEIRS)) == (403, "forbidden")


async def test_require_refuses_what_may_not_be_seen_with_404() -> None:
    assert await refused(access("owner").require("garden.tree.prune", THEIRS)) == (404, "not_found")


async def test_require_refuses_type_scope_with_403() -> None:
    assert await refused(access("owner").require("garden.view")) == (403, "forbidden")


async def test_require_does_not_tell_by_type_scope_that_an_object_is_there() -> None:
    assert await refused(access("owner").require("garden.view", THEIRS)) == (404, "not_found")


async def test_require_refuses_with_403_where_nothing_says_who_may_see() -> None:
    assert await refused(access("owner").require("garden.path.walk", Way(id="w"))) == (403, "forbidden")


async def test_a_refusal_names_the_permission() -> None:
    with pytest.raises(Problem, match=r"This needs the permission garden\.view"):
        await access("owner").require("garden.view")


# -- get ------------------------------------------------------------------------------------------------------------


async def test_get_gives_the_row(unit: Any) -> None:
    tree = await access("gardener", unit=unit).get(Tree, "mine", "garden.tree.prune")
    assert tree.id == "mine"


@pytest.mark.parametrize(
    ("roles", "id", "permission", "expected"),
    [
        (["gardener"], "theirs", "garden.tree.prune", (403, "forbidden")),
        (["gardener"], "nothing", "garden.tree.prune", (404, "not_found")),
        (["owner"], "theirs", "garden.tree.prune", (404, "not_found")),
        (["owner"], "theirs", "garden.tree.view", (404, "not_found")),
        (["owner"], "mine", "garden.tree.fell", (403, "forbidden")),
        (["woodcutter"], "theirs", "garden.tree.fell", (404, "not_found")),
        (["owner"], "theirs", "garden.view", (404, "not_found")),
        (["owner"], "mine", "garden.view", (403, "forbidden")),
        ([], "mine", "garden.tree.view", (404, "not_found")),
    ],
)
async def test_get_refuses(unit: Any, roles: list[str], id: str, permission: str, expected: tuple[int, str]) -> None:  # noqa: A002
    assert await refused(access(*roles, unit=unit).get(Tree, id, permission)) == expected


async def test_get_by_type_scope_gives_a_row_that_may_be_seen(unit: Any) -> None:
    assert (await access("gardener", unit=unit).get(Tree, "theirs", "garden.view")).id == "theirs"


async def test_get_gives_what_is_no_object_by_type_scope(unit: Any) -> None:
    assert (await access("gardener", unit=unit).get(Bench, "bench", "garden.view")).id == "bench"


async def test_get_refuses_where_nothing_says_who_may_see_with_403(unit: Any) -> None:
    assert await refused(access("gardener", unit=unit).get(Way, "path", "garden.path.walk")) == (403, "forbidden")


async def test_get_of_another_class_is_an_error_before_anything_is_read() -> None:
    with pytest.raises(TypeError, match=r"'garden\.tree\.view' .* not of Bench"):
        await access("gardener").get(Bench, "bench", "garden.tree.view")


# -- permitted --------------------------------------------------------------------------------------------------------


async def test_permitted_limits_a_select(unit: Any) -> None:
    statement = access("owner", unit=unit).permitted(sa.select(Tree), "garden.tree.view")
    assert [tree.id for tree in await unit.session.scalars(statement)] == ["mine"]


# -- asked ------------------------------------------------------------------------------------------------------------


async def test_nobody_has_asked_at_first() -> None:
    assert not access("gardener").asked


@pytest.mark.parametrize(
    "ask",
    [
        lambda it: it.can("garden.view"),
        lambda it: it.require("garden.view"),
        lambda it: it.can_many("garden.tree.prune", []),
        lambda it: it.get(Tree, "mine", "garden.tree.view"),
    ],
    ids=["can", "require", "can_many", "get"],
)
async def test_each_question_is_noticed(unit: Any, ask: Callable[[Decisions], Any]) -> None:
    asked = access("gardener", unit=unit)
    await ask(asked)
    assert asked.asked


async def test_a_filter_is_noticed() -> None:
    asked = access("gardener")
    asked.permitted(sa.select(Tree), "garden.tree.view")
    assert asked.asked
