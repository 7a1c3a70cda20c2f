"""Another process of the host, as far as rights go: it does what a request does, and says what it found.

Started by `test_freshness`; reads lines of JSON, and answers each with one.
"""

from __future__ import annotations

import asyncio
import json
import sys
from types import SimpleNamespace
from typing import Any

from plugin_host.access.catalogue import Catalogue
from plugin_host.access.decisions import Decisions
from plugin_host.access.grants import give, take_back
from plugin_host.access.members import memberships_of, set_roles, set_subject_roles
from plugin_host.access.roles import change_role
from plugin_host.access.rules import add_rule, delete_rule
from plugin_host.access.snapshot import Snapshot
from plugin_host.core.ruling import Ruling
from plugin_host.database import Database
from plugin_host.sdk.context import Actor
from plugin_host.sdk.manifest import Permission, RoleGrant

CATALOGUE = Catalogue.of(
    [
        Permission(name="club.view", title="x"),
        Permission(name="club.room.view", title="x", scope="object"),
    ]
)


class Room:
    """A row, as far as a decision looks at it."""

    __object__ = "club.room"

    def __init__(self, id_: str) -> None:
        self.id = id_


class Process:
    """One process: a snapshot and books that follow the database."""

    def __init__(self, url: str) -> None:
        self.database = Database(url)
        self._all: Any = SimpleNamespace(default=self.database, of=lambda _plugin: self.database, separate=frozenset())
        self.ruling = Ruling(self._all)
        self.snapshot = Snapshot(CATALOGUE, [])
        self.rules: dict[str, str] = {}

    async def ask(self, user: str, permission: str, room: str | None) -> bool:
        """Answer as a request would: read the revision once, follow it, decide."""
        revision = (await self.ruling.now()).policy
        if await self.ruling.at(revision):
            self.snapshot = self.snapshot.with_policy(self.ruling.policy)
        unit = self.database.unit(write=False)
        try:
            roles, groups = await memberships_of(unit.session, user)
            actor = self.snapshot.effective(Actor(id=user, username=user, display=user, roles=roles, groups=groups))
            await self.ruling.learn(actor.subjects, [])
            decisions = Decisions(actor, lambda: self.snapshot, unit, books=self.ruling.books, at_home="club")
            return await decisions.can(permission, Room(room) if room else None)
        finally:
            await unit.close()

    async def change(self, what: str, *said: Any) -> None:
        """Change who may do what, and commit."""
        unit = self.database.unit()
        db = unit.session
        try:
            match what:
                case "roles":
                    await set_roles(db, said[0], said[1], "1")
                case "includes":
                    await set_subject_roles(db, said[0], said[1], "1")
                case "role":
                    await change_role(db, said[0], "1", grants=tuple(RoleGrant(permission=it) for it in said[1]))
                case "give":
                    await give(db, said[0], "club.room.view", said[1], "1", effect=said[2])
                case "take":
                    await take_back(db, said[0], "club.room", said[1], ["view"], "1")
                case "rule":
                    self.rules[said[0]] = (await add_rule(db, said[0], said[1], said[2], None, "1")).id
                case "unrule":
                    await delete_rule(db, self.rules.pop(said[0]), "1")
            await unit.commit()
        finally:
            await unit.close()


async def main(url: str) -> None:
    process = Process(url)
    for line in sys.stdin:
        what, *said = json.loads(line)
        answer = await process.ask(*said) if what == "ask" else await process.change(what, *said)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    await process.database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
