"""The policy and the books of grants, kept as new as the databases are: whoever asks says as of which revision.

A request has read the revision row anyway; only when the number is new is anything else read, once for all who wait.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa

from plugin_host.access.books import Books
from plugin_host.access.policy import NOTHING, Policy, follow_policy
from plugin_host.audit import Entry, record, record_apart
from plugin_host.database.revision import FIRST, REVISION_SQL, Revision

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

    from plugin_host.access.book import Book
    from plugin_host.access.tables import Grant
    from plugin_host.database import Database, Databases
    from plugin_host.sdk.context import UnitOfWork, Work

_LOCKED: Final = sa.text(f"{REVISION_SQL} FOR SHARE")


class Ruling:
    """What administrators have said, and what is known of grants, in one process."""

    def __init__(self, databases: Databases) -> None:
        self.policy: Policy = NOTHING
        self.books = Books(lambda plugin: databases.of(plugin).engine)
        self._databases = databases
        self._default: Book = self.books.of("core")
        self._following = asyncio.Lock()

    @property
    def apart(self) -> frozenset[str]:
        """The plugins that keep their objects, and so the grants on them, in databases of their own."""
        return self._databases.separate

    async def now(self) -> Revision:
        """Read the revision of the host's database."""
        return await self._databases.default.revision()

    async def at(self, revision: int) -> bool:
        """See that the policy is of at least this revision; tells whether it has moved.

        What the database raises goes to the caller: without an answer nobody is allowed anything.
        """
        if revision <= self.policy.revision:
            return False
        async with self._following:
            if revision <= self.policy.revision:
                return False
            async with _reading(self._databases.default) as connection:
                policy = await follow_policy(connection, self.policy)
                await self._default.follow(connection, policy.revision)
            moved, self.policy = not policy.same(self.policy), policy
            return moved

    async def follow_own(self, plugins: Collection[str]) -> None:
        """See that the books of plugins' own databases are as new as those are."""
        for plugin in plugins:
            database, book = self._databases.of(plugin), self.books.of(plugin)
            revision = (await database.revision()).policy
            if revision > book.revision:
                async with self._following, _reading(database) as connection:
                    await book.follow(connection, revision)

    async def learn(self, subjects: frozenset[str], plugins: Collection[str]) -> None:
        """Find out what somebody was granted, where it is not remembered; `plugins` are those with own databases."""
        if self._default.known(subjects) is None:
            await self.books.overview(self._default, subjects)
        for plugin in plugins:
            await self.books.overview(self.books.of(plugin), subjects)

    async def tell(self, work: Work, what: str, session: AsyncSession, grant: Grant) -> None:
        """Write down that a plugin's object was shared, in the same transaction where it is in the host's database."""
        entry = Entry(
            action=f"core.grant.{what}",
            actor=work.actor,
            plugin=work.plugin,
            object=f"grant:{grant.id}",
            detail={
                "subject": grant.subject,
                "permission": grant.permission,
                "object": grant.object,
                "effect": grant.effect,
                "until": grant.until.isoformat() if grant.until is not None else None,
            },
        )
        if self._databases.of(work.plugin) is self._databases.default:
            await record(session, entry)
        else:
            await record_apart(self._databases.default, entry)

    async def moved(self, was: Revision, plugin: str, unit: UnitOfWork) -> bool:
        """Tell, inside a transaction that is about to commit, whether a right may be gone since a revision was read.

        From here on nobody can take one before the transaction has ended: on SQLite it is the only writer, on
        PostgreSQL it holds the row. What the transaction has raised itself does not count.
        """
        if getattr(unit.session, "made", unit) is None:
            return False  # nothing was asked of the database: there is nothing to keep
        default = self._databases.default
        if default.dialect == "sqlite":
            return default.revision_now()[:2] != was[:2]
        if self._databases.of(plugin) is not default:  # its own database cannot be held together with ours
            return (await default.revision())[:2] != was[:2]
        first: dict[str, int] = unit.session.info.get(FIRST, {})
        now = Revision(*(await unit.session.execute(_LOCKED)).one())
        before = (first.get("auth", now.auth + 1) - 1, first.get("policy", now.policy + 1) - 1)
        return before != was[:2]


@contextlib.asynccontextmanager
async def _reading(database: Database) -> AsyncIterator[AsyncConnection]:
    """Open a transaction that sees one moment, however many statements it has."""
    engine: Any = database.engine
    if database.dialect == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ")
    async with engine.connect() as connection:
        yield connection
