"""Two processes on one database: what either has committed, the next question to either knows."""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from plugin_host.access.roles import create_role
from plugin_host.database import Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.anyio

SCRIPT = Path(__file__).with_name("other_process.py")
USERS, ROOMS, ROLES = ["7", "8"], ["r1", "r2"], ["staff", "boss"]


def here(url: str) -> Any:
    """Make a process that is this one."""
    spec = importlib.util.spec_from_file_location("other_process", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Process(url)


class There:
    """The other process."""

    def __init__(self, url: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, str(SCRIPT), url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    async def ask(self, *said: Any) -> bool:
        return bool(self._send("ask", *said))

    async def change(self, *said: Any) -> None:
        self._send(*said)

    def _send(self, *said: Any) -> Any:
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(said) + "\n")
        self._child.stdin.flush()
        return json.loads(self._child.stdout.readline())

    def close(self) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        assert self._child.wait(20) == 0
        assert self._child.stdout is not None
        self._child.stdout.close()


class Truth:
    """What should be so: who has which roles, what they say, and what is granted and ruled."""

    def __init__(self) -> None:
        self.roles: dict[str, list[str]] = {user: [] for user in USERS}
        self.includes: dict[str, list[str]] = {role: [] for role in ROLES}
        self.says: dict[str, list[str]] = {role: [] for role in ROLES}
        self.given: set[tuple[str, str, str]] = set()
        self.rules: dict[str, tuple[int, str, str]] = {}

    def subjects(self, user: str) -> set[str]:
        found, todo = {f"user:{user}"}, list(self.roles[user])
        while todo:
            role = todo.pop()
            if f"role:{role}" not in found:
                found.add(f"role:{role}")
                todo += self.includes[role]
        return found

    def may(self, user: str, permission: str, room: str | None) -> bool:
        subjects = self.subjects(user)
        effects = {effect for who, (_, name, effect) in self.rules.items() if who in subjects and name == permission}
        effects |= {"allow" for role in ROLES if f"role:{role}" in subjects and permission in self.says[role]}
        effects |= {effect for who, of, effect in self.given if who in subjects and of == room}
        return "allow" in effects and "deny" not in effects


def change(chance: random.Random, truth: Truth, side: int) -> tuple[Any, ...]:
    """Choose a change, and let it be true."""
    what = chance.choice(["roles", "includes", "role", "give", "take", "rule", "unrule"])
    subject = chance.choice([*(f"user:{user}" for user in USERS), *(f"role:{role}" for role in ROLES)])
    names = ["club.view", "club.room.view"]
    match what:
        case "roles":
            user = chance.choice(USERS)
            truth.roles[user] = chance.sample(ROLES, chance.randint(0, 2))
            return what, user, truth.roles[user]
        case "includes":
            role = chance.choice(ROLES)
            truth.includes[role] = chance.sample(ROLES, chance.randint(0, 1))
            return what, f"role:{role}", truth.includes[role]
        case "role":
            role = chance.choice(ROLES)
            truth.says[role] = chance.sample(names, chance.randint(0, 2))
            return what, role, truth.says[role]
        case "give":
            room, effect = chance.choice(ROOMS), chance.choice(["allow", "allow", "deny"])
            truth.given.add((subject, room, effect))
            return what, subject, room, effect
        case "take":
            room = chance.choice(ROOMS)
            truth.given.discard((subject, room, "allow"))
            return what, subject, room
    mine = [who for who, (of, _, _) in truth.rules.items() if of == side]
    if what == "unrule" and mine:
        who = chance.choice(mine)
        del truth.rules[who]
        return what, who
    if subject in truth.rules:
        return "take", "user:none", "r1"
    name, effect = chance.choice(names), chance.choice(["allow", "deny"])
    truth.rules[subject] = side, name, effect
    return "rule", subject, name, effect


@pytest.fixture
def two(database_url: str, database: Database, migrate: Callable[[Database], None]) -> Iterator[tuple[Any, There]]:
    migrate(database)
    there = There(database_url)
    yield here(database_url), there
    there.close()


async def interleave(two: tuple[Any, There], times: int) -> int:
    """Change something in one process and ask both, again and again; gives how many answers were stale."""
    one, _ = two
    unit = one.database.unit()
    for role in ROLES:
        await create_role(unit.session, role, role, (), "1")
    await unit.commit()
    await unit.close()
    chance, truth, stale = random.Random(5), Truth(), 0  # noqa: S311 - to be made again
    for _ in range(times):
        side = chance.randint(0, 1)
        await two[side].change(*change(chance, truth, side))
        user, room = chance.choice(USERS), chance.choice([None, *ROOMS])
        permission = "club.room.view" if room else "club.view"
        asked = [await each.ask(user, permission, room) for each in (two[1 - side], two[side])]
        stale += sum(answer != truth.may(user, permission, room) for answer in asked)
    await one.database.close()
    return stale


async def test_no_answer_is_stale(two: tuple[Any, There]) -> None:
    assert await interleave(two, 30) == 0


@pytest.mark.proof
async def test_no_answer_is_stale_in_ten_thousand_interleavings(two: tuple[Any, There]) -> None:
    assert await interleave(two, 10_000) == 0
