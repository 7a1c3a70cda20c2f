"""Whose tables are in which database: the host's own, shared by most, and those of plugins that have one of their own.

A database of a plugin's own is
- where the settings say (`[databases.<id>]`), else
- on SQLite a file of its own in the data folder, `databases/<id>.db`, else
- on PostgreSQL a schema and a role of its own in the host's database, both `<schema>__<id>`.

Each is a whole database of the host: core's tables are there too, so that a plugin's rows, what was granted on them,
and the events about them are kept or undone together. Nothing can be joined or committed across two of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from plugin_host.database.address import Address, DatabaseError, PoolLimits
from plugin_host.database.engines import Database
from plugin_host.database.postgresql import SCHEMA_LENGTH, drop_schema, list_schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

FOLDER: Final = "databases"
"""Where in the data folder the files of plugins' own databases are."""


class Databases:
    """The databases of one host. Making one opens nothing.

    `default` is the host's own; `folder` the data folder; `addresses` where operators want those of plugins, by id.
    """

    def __init__(
        self,
        default: Database,
        *,
        folder: Path,
        addresses: Mapping[str, Address] | None = None,
        pool: PoolLimits | None = None,
    ) -> None:
        self.default = default
        self._folder = folder / FOLDER
        self._addresses = dict(addresses or {})
        self._pool = pool
        self._made: dict[str, Database] = {}
        self._own: frozenset[str] = frozenset()

    @property
    def separate(self) -> frozenset[str]:
        """The plugins that have a database of their own, as far as `place` was told."""
        return self._own

    def place(self, own: Collection[str]) -> None:
        """Say which plugins have a database of their own; all others are in the host's."""
        self._own = frozenset(own)

    def of(self, plugin: str) -> Database:
        """Give the database of a plugin: the host's own, unless the plugin has one. Raises `DatabaseError`."""
        return self.own(plugin) if plugin in self._own else self.default

    def own(self, plugin: str) -> Database:
        """Give the database that is the plugin's alone, or would be. Raises `DatabaseError` for what cannot be."""
        database = self._made.get(plugin)
        if database is None:
            database = self._made[plugin] = self._make(plugin)
        return database

    def home(self, plugin: str) -> Database:
        """Give the database where a plugin's tables are, also of one that is not installed. Blocking."""
        if plugin in self._own:
            return self.own(plugin)
        try:
            own = self.own(plugin)
            return own if own.exists() else self.default
        except (DatabaseError, DBAPIError):
            return self.default

    def elsewhere(self, plugin: str) -> Callable[[str], sa.Engine | None]:
        """Give what tells the plugin's sessions where to read rows of others that are not in its database."""
        mine = self.of(plugin)

        def engine_of(owner: str) -> sa.Engine | None:
            database = self.of(owner)
            return None if database is mine else database.reading

        return engine_of

    def every(self) -> tuple[Database, ...]:
        """Give every database that plugins are in, the host's first, each once."""
        return (self.default, *(self.own(plugin) for plugin in sorted(self._own)))

    def groups(self) -> dict[str, Database]:
        """Give the databases of those that have one of their own, by plugin, in the order of their ids."""
        return {plugin: self.own(plugin) for plugin in sorted(self._own)}

    def kept(self) -> dict[str, Database]:
        """Give the databases of plugins' own that are there, whether or not the plugin is; makes none. Blocking."""
        names = {*self._addresses, *self.left(())}
        if self.default.dialect == "postgresql":
            names |= {name.removeprefix(self._prefix) for name in list_schemas(self.default.url, self._prefix)}
        return {name: self.own(name) for name in sorted(names) if self.own(name).exists()}

    def left(self, known: Collection[str]) -> list[str]:
        """Name those whose own database is there, whether or not the plugin is; makes none. Blocking.

        Files are found by looking; elsewhere only the plugins that are `known` are looked for.
        """
        if self.default.dialect == "sqlite":
            return sorted(path.stem for path in self._folder.glob("*.db"))
        return sorted(name for name in set(known) - self._own if self.home(name) is not self.default)

    def drop(self, plugin: str) -> None:
        """Remove a plugin's own database: its file, or its schema and role. Blocking.

        Of one that the settings name somewhere else only the host can know what is in it: that stays, without the
        plugin's tables, which the caller has removed.
        """
        if plugin in self._addresses:
            return
        database = self.own(plugin)
        if database.path is not None:
            for ending in ("", "-wal", "-shm", "-journal"):
                Path(f"{database.path}{ending}").unlink(missing_ok=True)
        elif database.schema is not None:
            drop_schema(self.default.url, database.schema, database.role)

    async def close(self, plugin: str | None = None) -> None:
        """Close what was opened of one plugin's own database, or all."""
        if plugin is not None:
            made = self._made.get(plugin)
            if made is not None:
                await made.close()
            return
        await asyncio.gather(self.default.close(), *(each.close() for each in self._made.values()))

    @property
    def _prefix(self) -> str:
        return f"{self.default.schema or 'plugin_host'}__"

    def _make(self, plugin: str) -> Database:
        if plugin in self._addresses:
            address = self._addresses[plugin]
            return Database(address.url, schema=address.schema, where=f"databases.{plugin}.url", pool=self._pool)
        if self.default.dialect == "sqlite":
            return Database(sa.URL.create("sqlite", database=str(self._folder / f"{plugin}.db")), pool=self._pool)
        schema = f"{self._prefix}{plugin}"
        if len(schema) > SCHEMA_LENGTH:
            msg = f"the schema of {plugin} would be {schema!r}, which is too long: name a database in "
            raise DatabaseError(msg + f"[databases.{plugin}], or choose a shorter schema")
        role = _role(self.default.url.database or "", schema)
        return Database(self.default.url, schema=schema, role=role, pool=self._pool)


def _role(database: str, schema: str) -> str:
    """Name the role of a schema: roles are the whole server's, so the database is in the name."""
    name = re.sub("[^a-z0-9_]", "_", f"{database.lower()}__{schema}")
    if len(name) <= SCHEMA_LENGTH and name == f"{database}__{schema}":
        return name
    mark = hashlib.sha256(f"{database}\0{schema}".encode()).hexdigest()[:12]
    return f"{name[: SCHEMA_LENGTH - 14]}__{mark}"
