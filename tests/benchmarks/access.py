"""What permissions cost, beside plain pycasbin, cedarpy, and Django with guardian: `run.py --only permissions`.

A question is timed by itself and the median is shown, as a multiple of one look-up in a Python set that is timed in
the same way: only ratios inside one run mean anything. Peers that are not installed are left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import random
import runpy
import statistics
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import casbin
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from casbin.rbac import default_role_manager
from guardian_peer import guardian
from sqlalchemy.orm import Mapped, mapped_column

import plugin_host.core
from plugin_host.access.books import Books
from plugin_host.access.catalogue import Catalogue
from plugin_host.access.decisions import Decisions
from plugin_host.access.grants import give
from plugin_host.access.judge import MODEL
from plugin_host.access.policy import Line, Policy
from plugin_host.access.snapshot import Snapshot
from plugin_host.access.tables import Grant
from plugin_host.core.ruling import Ruling
from plugin_host.database import Database
from plugin_host.sdk import PluginBase, object_id
from plugin_host.sdk.context import Actor
from plugin_host.sdk.manifest import Permission

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Row = tuple[str, str, str]

MANY, FEW = 100_000, 100
GRANTS = 100_000
PAGE = 50
ROLES = 60
MIGRATIONS = Path(plugin_host.core.__file__).parent / "migrations"
OWNS = '{"==":[{"row":"owner_id"},{"actor":"id"}]}'


class Base(PluginBase, plugin="measured"):
    """The tables of the measured plugin."""


class Thing(Base):
    """An object of permissions, as a plugin has them."""

    __tablename__ = "measured_thing"
    __object__ = "measured.thing"

    id: Mapped[str] = object_id()
    name: Mapped[str] = mapped_column(sa.String(40))
    owner_id: Mapped[str | None] = mapped_column(sa.String(64), index=True)
    made: Mapped[int] = mapped_column(index=True)


def catalogue(types: int) -> Catalogue:
    """Make permissions of many types of objects, `measured.thing` first."""
    names = ["measured.thing", *(f"measured.t{number}" for number in range(1, types))]
    return Catalogue.of(
        Permission(name=f"{name}.{act}", title="x", scope="object") for name in names for act in ("view", "edit")
    )


def policy(rules: int, types: int) -> Policy:
    """Make rules of roles on types, and roles that include each other in levels."""
    chance = random.Random(1)  # noqa: S311 - the same each time
    said: dict[str, tuple[Line, ...]] = {}
    for number in range(rules):
        # Each of many roles has a few rules, as where there are many plugins and many teams.
        subject, name = f"role:r{number % max(ROLES, rules // 10)}", f"measured.t{1 + chance.randrange(types - 1)}.view"
        said[subject] = (*said.get(subject, ()), Line(name, "allow"))
    said["role:r1"] = (
        *said["role:r1"],
        Line("measured.thing.view", "allow", OWNS),
        Line("measured.thing.view", "allow"),
    )
    said["role:r2"] = (*said["role:r2"], Line("measured.thing.edit", "allow", OWNS))
    links = {f"role:r{number}": frozenset({f"role:r{number // 2}"}) for number in range(2, ROLES)}
    return Policy(1, said, {}, links)


def median(act: Callable[[], object], times: int, between: Callable[[], object] | None = None) -> float:
    """Time single calls; gives the median in microseconds."""
    spent = []
    for _ in range(times):
        if between is not None:
            between()
        began = time.perf_counter_ns()
        act()
        spent.append(time.perf_counter_ns() - began)
    return statistics.median(spent) / 1000


def checks() -> Iterator[Row]:
    """Compare single questions with a look-up in a set, at few and many rules."""
    allowed = {(f"user:{number}", f"p{number % 50}") for number in range(100_000)}
    key = ("user:77", "p27")
    figures: dict[int, tuple[float, float, float]] = {}
    actor = Actor(id="7", username="a", display="A", roles=("r37", "r58"))
    row = SimpleNamespace(id="x", owner_id="7")
    for rules in (FEW, MANY):
        types = max(10, rules // 100)
        said = policy(rules, types)
        snapshot = Snapshot(catalogue(types), [], policy=said)
        subjects = actor.subjects
        looked = median(lambda: key in allowed, 20_000)
        held = median(lambda: snapshot.holds(subjects, "measured.thing.view"), 20_000)  # noqa: B023 - called at once
        fresh = [snapshot]

        def anew() -> None:
            fresh[0] = snapshot.with_policy(said)  # noqa: B023 - called at once
            fresh[0].closure(subjects)  # noqa: B023 - called at once
            fresh[0].holds(subjects, "measured.t1.view")  # noqa: B023 - called at once

        cold = median(lambda: fresh[0].judge(subjects, "measured.thing.edit", row, actor), 300, anew)  # noqa: B023
        figures[rules] = looked, held, cold
    for rules in (FEW, MANY):
        looked, held, cold = figures[rules]
        yield (
            f"a question that was asked before, {rules:,} rules, beside a look-up in a set",
            f"{held / looked:.1f}",
            f"{held:.2f} and {looked:.2f} µs",
        )
        yield (
            f"a question that was never asked, {rules:,} rules (Casbin on the slice), beside a look-up in a set",
            f"{cold / looked:,.0f}",
            f"{cold:.0f} and {looked:.2f} µs",
        )
    yield (
        f"a question that was asked before, {MANY:,} rules beside {FEW}",
        f"{(figures[MANY][1] / figures[MANY][0]) / (figures[FEW][1] / figures[FEW][0]):.2f}",
        f"{figures[MANY][1]:.2f} and {figures[FEW][1]:.2f} µs",
    )
    yield from peers(figures[MANY])


def peers(ours: tuple[float, float, float]) -> Iterator[Row]:
    """Ask plain Casbin and Cedar the same of 100,000 rules."""
    _, warm, cold = ours
    types = MANY // 100
    said = policy(MANY, types)
    model = casbin.Model()
    model.load_model_from_text(MODEL)
    enforcer = casbin.Enforcer(model)
    enforcer.set_role_manager(default_role_manager.RoleManager(10))
    enforcer.add_function("cond", lambda _cond, _row: True)
    enforcer.model.model["p"]["p"].policy = [
        [
            subject,
            *line.permission.rsplit(".", 1)[:1],
            "*",
            line.permission.rsplit(".", 1)[1],
            line.condition,
            line.effect,
        ]
        for subject, lines in said.rules.items()
        for line in lines
    ]
    enforcer.model.model["g"]["g"].policy = [
        ["user:7", "role:r37"],
        *([subject, role] for subject, roles in said.links.items() for role in roles),
    ]
    enforcer.build_role_links()
    plain = median(lambda: enforcer.enforce("user:7", "measured.thing", "x", "view", None), 2)
    yield (
        f"plain pycasbin beside a question that was asked before, {MANY:,} rules",
        f"{plain / warm:,.0f}",
        f"{plain / 1e6:.2f} s and {warm:.2f} µs",
    )
    yield (
        f"plain pycasbin beside a question that was never asked, {MANY:,} rules",
        f"{plain / cold:,.0f}",
        f"{plain / 1e6:.2f} s and {cold:.0f} µs",
    )
    if importlib.util.find_spec("cedarpy") is None:
        return
    import cedarpy

    policies = "\n".join(
        f'permit(principal in Role::"{subject}", action == Action::"{line.permission}", resource);'
        for subject, lines in said.rules.items()
        for line in lines
    )
    entities = [
        {"uid": {"__entity": {"type": "User", "id": "7"}}, "attrs": {}, "parents": [{"type": "Role", "id": "role:r1"}]}
    ]
    parsed = cedarpy.PolicySet.from_str(policies) if hasattr(cedarpy, "PolicySet") else policies
    request = {
        "principal": 'User::"7"',
        "action": 'Action::"measured.thing.view"',
        "resource": 'Thing::"x"',
        "context": {},
    }
    asked = median(lambda: cedarpy.is_authorized(request, parsed, entities), 3)
    yield (
        f"cedarpy beside a question that was never asked, {MANY:,} rules",
        f"{asked / cold:,.0f}",
        f"{asked / 1000:.0f} ms and {cold:.0f} µs",
    )


# -- with a database ------------------------------------------------------------------------------------------------


def migrated(url: str) -> Database:
    """Give a database with the tables that permissions need, and things."""
    database = Database(url)
    database.prepare()
    with (
        database.migration_engine() as engine,
        engine.begin() as connection,
        Operations.context(MigrationContext.configure(connection)),
    ):
        for name in ("0001_revision", "0003_access", "0007_policy"):
            runpy.run_path(str(MIGRATIONS / f"{name}.py"))["upgrade"]()
    with database.migration_engine() as engine:
        Thing.__table__.create(engine)  # type: ignore[attr-defined]
    return database


def fill(database: Database, rows: int) -> None:
    """Make things, and grants: 200 of the actor and 100 of a group, 20 of them denied, and everybody else's."""
    chance = random.Random(1)  # noqa: S311 - the same each time
    with database.migration_engine() as engine, engine.begin() as connection:
        for start in range(0, rows, 20_000):
            connection.execute(
                sa.insert(Thing),
                [
                    {
                        "id": f"{n:026d}",
                        "name": f"n{n}",
                        "owner_id": str(chance.randrange(2000)),
                        "made": n * 7919 % rows,
                    }
                    for n in range(start, min(start + 20_000, rows))
                ],
            )
        given: dict[tuple[str, str], str] = {}
        for number in range(GRANTS):
            who = "user:7" if number < 200 else "group:1" if number < 300 else f"user:{100 + chance.randrange(5000)}"
            given[who, f"{chance.randrange(rows):026d}"] = "deny" if number % 10 == 0 and number < 200 else "allow"
        heavy = chance.sample(range(rows), int(rows * 0.27))
        given |= {("user:heavy", f"{number:026d}"): "allow" for number in heavy[:80_000]}
        now = sa.func.current_timestamp()
        pairs = list(given.items())
        for start in range(0, len(pairs), 20_000):
            connection.execute(
                sa.insert(Grant).values(given_at=now),
                [
                    {
                        "id": f"{start + n:026d}",
                        "subject": who,
                        "typ": "measured.thing",
                        "act": "view",
                        "effect": effect,
                        "object": object_,
                    }
                    for n, ((who, object_), effect) in enumerate(pairs[start : start + 20_000])
                ],
            )
    with database.migration_engine() as engine, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as one:
        one.execute(sa.text("ANALYZE"))


async def lists(url: str, kind: str, rows: int) -> list[Row]:
    """Compare the newest page that somebody may see with the newest page there is."""
    database = migrated(url)
    await asyncio.to_thread(fill, database, rows)
    books = Books(lambda _plugin: database.engine)
    owner = Policy(
        1,
        {
            "role:all": (Line("measured.thing.view", "allow"),),
            "role:owner": (Line("measured.thing.view", "allow", OWNS),),
        },
        {},
        {},
    )
    snapshot = Snapshot(catalogue(2), [], policy=owner, objects={"measured.thing": Thing})
    async with database.engine.connect() as connection:
        await books.of("measured").follow(connection, 1)
    actors = {
        "a role that may see all": Actor(id="plain", username="a", display="A", roles=("all",)),
        "owner, 270 grants and 20 denials": Actor(id="7", username="a", display="A", roles=("owner",), groups=("1",)),
        "a role that may see all but 20": Actor(id="7", username="a", display="A", roles=("all",)),
        "80,000 grants": Actor(id="heavy", username="h", display="H", roles=("owner",)),
    }
    unit = database.unit(write=False)
    newest = sa.select(Thing.id, Thing.name).order_by(Thing.made.desc()).limit(PAGE)

    async def spend(statement: Any, times: int) -> float:
        spent = []
        for _ in range(times):
            began = time.perf_counter()
            (await unit.session.execute(statement)).all()
            spent.append(time.perf_counter() - began)
        return statistics.median(spent)

    found = []
    await spend(newest, 20)
    for what, actor in actors.items():
        await books.overview(books.of("measured"), actor.subjects)
        access = Decisions(actor, lambda: snapshot, unit, books=books, at_home="measured")
        mine = access.permitted(newest.add_columns().select_from(Thing), "measured.thing.view")
        await spend(mine, 3)
        pairs = [(await spend(mine, 5), await spend(newest, 5)) for _ in range(7)]
        ratio = statistics.median(a / b for a, b in pairs)
        took, bare = (statistics.median(side) * 1000 for side in zip(*pairs, strict=True))
        found.append(
            (
                f"page of {PAGE} of {rows:,} rows, {kind}: {what}, beside unfiltered",
                f"{ratio:.1f}",
                f"{took:.2f} and {bare:.2f} ms",
            )
        )
    found += await asking(database, snapshot, books, unit) if kind == "SQLite" else []
    await unit.close()
    await database.close()
    return found


async def asking(database: Database, snapshot: Snapshot, books: Books, unit: Any) -> list[Row]:
    """Compare a question about a row, its grants in SQL, and its explanation."""
    actor = Actor(id="7", username="a", display="A", roles=("owner",), groups=("1",))
    things = list(await unit.session.scalars(sa.select(Thing).limit(600)))
    bare = sa.text("SELECT effect FROM core_grant WHERE subject = 'user:7' AND typ = 'measured.thing' AND object = :id")
    spent: dict[str, list[float]] = {"query": [], "cold": [], "explain": []}
    stands = [snapshot]
    access = Decisions(actor, lambda: stands[0], unit, books=books, at_home="measured")
    for number in range(0, 600, 3):
        began = time.perf_counter()
        await unit.session.execute(bare, {"id": things[number].id})
        spent["query"].append(time.perf_counter() - began)
        stands[0] = snapshot.with_policy(snapshot.policy)
        began = time.perf_counter()
        await access.can("measured.thing.view", things[number + 1])
        spent["cold"].append(time.perf_counter() - began)
        stands[0] = snapshot.with_policy(snapshot.policy)
        began = time.perf_counter()
        await access.explain("measured.thing.view", things[number + 2])
        spent["explain"].append(time.perf_counter() - began)
    query, cold, explain = (statistics.median(some) * 1e6 for some in spent.values())
    return [
        (
            "a question about a row that was never asked, grants in SQL, beside one bare query in the same session",
            f"{cold / query:.1f}",
            f"{cold:.0f} and {query:.0f} µs, {GRANTS + 80_000:,} grants",
        ),
        ("an explanation beside the question itself", f"{explain / cold:.1f}", f"{explain:.0f} and {cold:.0f} µs"),
    ]


async def changes(url: str) -> list[Row]:
    """Compare a grant with a bare INSERT, and see how long the loop stands still while 100,000 rules are read."""
    database = migrated(url)
    with database.migration_engine() as engine, engine.begin() as connection:
        for start in range(0, MANY, 20_000):
            connection.execute(
                sa.text(
                    "INSERT INTO core_rule (id, subject, permission, effect, created_at) "
                    "VALUES (:id, :subject, 'measured.thing.view', 'allow', CURRENT_TIMESTAMP)"
                ),
                [{"id": f"{n:026d}", "subject": f"user:{n}"} for n in range(start, start + 20_000)],
            )
    everywhere: Any = SimpleNamespace(default=database, of=lambda _plugin: database, separate=frozenset())
    pauses, reading, idle = [], [], []
    for _ in range(5):
        ruling = Ruling(everywhere)
        async with _ticking() as gaps:
            began = time.perf_counter()
            await ruling.at(1)
            reading.append(time.perf_counter() - began)
        pauses.append(max(gaps))
        async with _ticking() as gaps:
            await asyncio.sleep(reading[-1])
        idle.append(max(gaps))
    grants, inserts = [], []
    for number in range(60):
        unit = database.unit()
        began = time.perf_counter()
        await give(unit.session, "user:7", "measured.thing.view", f"g{number}", "1")
        await unit.commit()
        grants.append(time.perf_counter() - began)
        await unit.close()
        unit = database.unit()
        began = time.perf_counter()
        await unit.session.execute(
            sa.text(
                "INSERT INTO core_grant (id, subject, typ, act, effect, object, given_at) "
                "VALUES (:id, 'user:8', 'measured.thing', 'view', 'allow', :id, CURRENT_TIMESTAMP)"
            ),
            {"id": f"b{number}"},
        )
        await unit.commit()
        inserts.append(time.perf_counter() - began)
        await unit.close()
    unit = database.unit()
    await give(unit.session, "user:7", "measured.thing.view", "last", "1")
    await unit.commit()
    await unit.close()
    async with _ticking() as gaps:
        began = time.perf_counter()
        await ruling.at((await ruling.now()).policy)
        followed = time.perf_counter() - began
    await database.close()
    grant, insert = statistics.median(grants), statistics.median(inserts)
    return [
        (
            f"one grant, with {MANY:,} rules, beside one bare INSERT, both committed",
            f"{grant / insert:.1f}",
            f"{grant * 1000:.2f} and {insert * 1000:.2f} ms",
        ),
        (
            f"the event loop stands still while {MANY:,} rules are read, ms at the longest (the least of 5 readings)",
            f"{min(pauses) * 1000:.1f}",
            f"median {statistics.median(pauses) * 1000:.1f}, of an idle loop {statistics.median(idle) * 1000:.1f} ms",
        ),
        (
            "the same while one change is followed, ms",
            f"{max(gaps, default=0.0) * 1000:.1f}",
            f"{followed * 1000:.1f} ms until it is known",
        ),
    ]


@contextlib.asynccontextmanager
async def _ticking() -> Any:
    """Note by how much a pause of a millisecond is too long, again and again."""
    gaps: list[float] = []
    done = False

    async def tick() -> None:
        while not done:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            gaps.append(time.perf_counter() - began - 0.001)

    task = asyncio.create_task(tick())
    await asyncio.sleep(0.01)
    try:
        yield gaps
    finally:
        done = True
        await task


def rows(postgres: str | None = None, things: int = 1_000_000) -> Iterator[Row]:
    """Measure everything: what, the ratio, and how it was got."""
    yield from checks()
    with tempfile.TemporaryDirectory() as folder:
        yield from asyncio.run(changes(f"sqlite:///{folder}/changes.db"))
        yield from asyncio.run(lists(f"sqlite:///{folder}/lists.db", "SQLite", things))
        yield from guardian(folder, GRANTS)
    if postgres is not None:
        yield from asyncio.run(lists(postgres, "PostgreSQL", things))
