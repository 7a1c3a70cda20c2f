"""Where a database is: addresses as operators write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

if TYPE_CHECKING:
    import sqlalchemy as sa


class Address(NamedTuple):
    """Where operators want a database: `url`, and on PostgreSQL the schema in it."""

    url: str
    schema: str | None = None


class PoolLimits(NamedTuple):
    """How many connections a process keeps to one database, how many more it opens, and how long one is waited for."""

    size: int = 5
    overflow: int = 10
    timeout: float = 30.0


class DatabaseError(Exception):
    """The database cannot be used as it is named: one sentence with the way out."""


def parse(url: str | sa.URL, where: str = "database") -> sa.URL:
    """Read an address; `where` is the setting that says it. Raises `DatabaseError`, without what may be a password."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:  # the second for a port that is no number
        shown = str(url).rpartition("@")[2]  # what stands before may be a password
        msg = f"{where} {shown!r} is no address; use sqlite:///file.db or postgresql://user@host/name"
        raise DatabaseError(msg) from error
