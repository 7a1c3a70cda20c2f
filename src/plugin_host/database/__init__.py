"""Databases: engines, sessions, the unit of work, the revision row, and whose database is which.

Nothing here knows a plugin but by its id.
"""

from plugin_host.database.address import Address, DatabaseError, PoolLimits
from plugin_host.database.beginning import QueryClock
from plugin_host.database.databases import Databases
from plugin_host.database.driver import BUSY_MS
from plugin_host.database.engines import Database
from plugin_host.database.revision import REVISION_SQL, Revision, bump
from plugin_host.database.unit import UnitOfWork

__all__ = [
    "BUSY_MS",
    "REVISION_SQL",
    "Address",
    "Database",
    "DatabaseError",
    "Databases",
    "PoolLimits",
    "QueryClock",
    "Revision",
    "UnitOfWork",
    "bump",
]
