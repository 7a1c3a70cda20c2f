"""Several processes write and seal at once, and are killed: what was committed is in one whole chain."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from plugin_host.audit.chain import seal
from plugin_host.audit.tables import AuditEntry
from plugin_host.audit.verification import verify

from .conftest import work

if TYPE_CHECKING:
    from plugin_host.database import Database

pytestmark = [pytest.mark.anyio, pytest.mark.proof]

CODE = """
import asyncio, sys
from plugin_host.audit import Entry, record
from plugin_host.audit.chain import seal
from plugin_host.database import Database
from plugin_host.sdk.context import Actor

ANN = Actor(id="7", username="ann", display="Ann")

async def main():
    database = Database(sys.argv[1])
    print("up", flush=True)
    while True:
        for step in (lambda db: record(db, Entry(action="core.user.changed", actor=ANN)), lambda db: seal(db, 3)):
            unit = database.unit()
            try:
                await step(unit.session)
                await unit.commit()
            finally:
                await unit.close()

asyncio.run(main())
"""


async def test_killed_processes_leave_a_whole_chain(anywhere: Database) -> None:
    url = anywhere.url.render_as_string(hide_password=False)
    for _ in range(4):
        words = (sys.executable, "-c", CODE, url)
        processes = [await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE) for _ in range(3)]
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"up\n"
        await asyncio.sleep(0.7)
        for process in processes:
            process.kill()
            await process.communicate()
    full = 1
    while full:
        async with work(anywhere) as db:
            full = await seal(db)
    async with work(anywhere) as db:
        found = await verify(db)
    async with work(anywhere) as db:
        count = await db.scalar(sa.select(sa.func.count()).select_from(AuditEntry))
    assert found.ok, found.faults
    assert (found.entries, found.unsealed) == (count, 0)
    assert found.entries > 20
