"""The jobs of core: letters, tidying up after events and grants, and contents of files that nobody names any more."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from typing import TYPE_CHECKING, Final

import msgspec
from sqlalchemy import select

from plugin_host.access.grants import sweep
from plugin_host.access.members import holders
from plugin_host.auth.people import ACTIVE
from plugin_host.auth.tables import User
from plugin_host.events.codec import encode
from plugin_host.events.publishing import Message, Origin, enqueue
from plugin_host.events.retention import tidy
from plugin_host.files import StoredFiles, known_hashes
from plugin_host.mail import Carrier, Letter, Post, is_address
from plugin_host.sdk.contributions import Discard, Job

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.database import Database, Databases
    from plugin_host.sdk.delivery import Delivery
    from plugin_host.settings import Settings

SEND: Final = "core.mail.send"
_ORIGIN: Final = Origin(("system:system", "plugin:core"))


class Background:
    """Makes core's jobs, and the services that queue letters and keep files."""

    def __init__(
        self,
        settings: Settings,
        databases: Databases,
        wake: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._databases = databases
        self._wake = wake
        self.files = StoredFiles(settings.data_dir)
        self.carrier = Carrier(settings.mail)
        self.post = Post(self._queue)

    def jobs(self) -> list[Job]:
        """Give the jobs, for the hook."""
        return [
            Job(SEND, self._send, Letter, retry=10, timeout=120),
            Job("core.events.tidy", self._tidy, schedule="17 * * * *", timeout=600),
            Job("core.files.collect", self._collect, schedule="43 3 * * *", timeout=600),
        ]

    async def _queue(self, db: AsyncSession, letter: Letter) -> str:
        return await enqueue(db, Message("job", SEND, 1, "core", encode(letter), _ORIGIN), self._wake)

    async def _send(self, args: Letter, delivery: Delivery, db: AsyncSession) -> None:
        """Send a letter; one to a person or a role becomes one for each address, so none is repeated for others."""
        if is_address(args.to):
            await self.carrier.carry(args, delivery.id)
            return
        addresses = await self._addresses(args.to)
        if not addresses:
            raise Discard
        for address in addresses:
            await self._queue(db, msgspec.structs.replace(args, to=address))

    async def _addresses(self, to: str) -> list[str]:
        kind, _, name = to.partition(":")
        unit = self._databases.default.unit(write=False)
        try:
            ids = [name] if kind == "user" else sorted(await holders(unit.session, name))
            wanted = select(User.email).where(User.id.in_(ids), User.status == ACTIVE, User.email.is_not(None))
            found = (await unit.session.scalars(wanted)).all()
        finally:
            await unit.close()
        return sorted({address for address in found if address and is_address(address)})

    async def _tidy(self) -> None:
        """Throw away what is kept for long enough, in every database."""
        events = self._settings.events
        for database in self._databases.every():
            unit = database.unit()
            try:
                await tidy(unit.session, time.time(), events.keep_days, events.keep_runs_days)
                await sweep(unit.session, dt.datetime.now(dt.UTC))
                await unit.commit()
            finally:
                await unit.close()

    async def _collect(self) -> None:
        """Remove contents that no database names, also none of a plugin that is not there now."""
        databases = self._databases
        kept = await asyncio.to_thread(databases.kept)
        known: set[str] = set()
        places: set[Database] = {*databases.every(), *kept.values()}
        for database in places:  # one that does not answer fails the job: then nothing is removed
            unit = database.unit(write=False)
            try:
                known |= await known_hashes(unit.session)
            finally:
                await unit.close()
        await asyncio.to_thread(self.files.collect, known, time.time())
