"""Where a database is: addresses as operators write them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

if TYPE_CHECKING:
    import sqlalchemy as sa


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
