"""Changing and reading the policy from the command line, without a running host: by the operator's own hand."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from plugin_host.auth.people import People
from plugin_host.core.governing.authority import Authority
from plugin_host.core.governing.ground import ground_of_plan
from plugin_host.core.operator import operator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.core.governing.ground import Ground
    from plugin_host.core.planner import Planner


@contextlib.asynccontextmanager
async def reading(planner: Planner) -> AsyncIterator[tuple[AsyncSession, Ground]]:
    """Give a session to read with, and what stands by the plugins' files."""
    await planner.migrate("core", None, None)
    ground = ground_of_plan(await planner.verified(), People(planner.database))
    unit = planner.database.unit(write=False)
    try:
        yield unit.session, ground
    finally:
        await unit.close()


@contextlib.asynccontextmanager
async def changing(planner: Planner) -> AsyncIterator[Authority]:
    """Give the authority of one change; it is kept at the end of the block, or undone by an exception."""
    await planner.migrate("core", None, None)
    ground = ground_of_plan(await planner.verified(), People(planner.database))
    unit = planner.database.unit()
    try:
        authority = await Authority.open(unit.session, operator(), ground)
        yield authority
        await authority.close()
        await unit.commit()
    finally:
        await unit.close()
