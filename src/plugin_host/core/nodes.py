"""Which processes of a host run, and which version of each plugin in them.

A process says so whenever it has followed a wish, and once a minute; whoever has not said so for a while, or was on
this machine and is not there any more, is gone. Migrations ask: what an older version still uses stays.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import platform
import secrets
from typing import TYPE_CHECKING, Final

from sqlalchemy import String, Text, delete, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped, mapped_column

from plugin_host.migrations.locking import reading
from plugin_host.sdk.models import PluginBase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.database import Database
    from plugin_host.plugins.plan import Plan

GONE: Final = dt.timedelta(seconds=150)
"""How long a process may say nothing and is still taken to run: it says something every minute."""


class Base(PluginBase, plugin="core"):
    """The base of the table of nodes."""


class Node(Base):
    """A process that serves: `machine` and `process` say where, `versions` what, as JSON by plugin."""

    __tablename__ = "core_node"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    machine: Mapped[str] = mapped_column(Text)
    process: Mapped[int]
    versions: Mapped[str] = mapped_column(Text)
    seen: Mapped[dt.datetime]


class Nodes:
    """This process among the others of one host."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._id = secrets.token_hex(8)
        self._said = ""

    async def report(self, session: AsyncSession, plan: Plan, *, again: bool = True) -> None:
        """Say what runs here, or only what has changed since (not `again`). The caller commits."""
        versions = json.dumps({entry.id: entry.version or "" for entry in plan.active})
        if not again and versions == self._said:
            return
        now = dt.datetime.now(dt.UTC)
        if again:
            await session.execute(delete(Node).where(Node.seen < now - GONE))
        row = Node(id=self._id, machine=platform.node(), process=os.getpid(), versions=versions, seen=now)
        await session.merge(row)
        self._said = versions

    async def leave(self, session: AsyncSession) -> None:
        """Say that nothing runs here any more. The caller commits."""
        await session.execute(delete(Node).where(Node.id == self._id))
        self._said = ""

    def running(self, plugin: str) -> Mapping[str, str]:
        """Give the version of a plugin in every other process, by what people call these. Blocking."""
        if not self._database.exists():
            return {}
        query = select(Node.machine, Node.process, Node.versions).where(
            Node.id != self._id, Node.seen >= dt.datetime.now(dt.UTC) - GONE
        )
        # Without the table nobody has said anything yet.
        with (
            contextlib.suppress(DBAPIError),
            self._database.migration_engine() as engine,
            reading(engine) as connection,
        ):
            return {
                f"process {process} on {machine}": versions[plugin]
                for machine, process, said in connection.execute(query)
                if plugin in (versions := json.loads(said)) and _lives(machine, process)
            }
        return {}


def _lives(machine: str, process: int) -> bool:
    """Tell whether a process lives, as far as can be told from here."""
    if machine != platform.node():
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
