"""The register of plugins: what operators wish for, and what became of each plugin at the last activation."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from sqlalchemy import String, Text, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from plugin_host.database import bump
from plugin_host.sdk.errors import Reason
from plugin_host.sdk.models import PluginBase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

MAX_ID: Final = 31  # the longest id that a plugin may have
MAX_VERSION: Final = 64


class Base(PluginBase, plugin="core"):
    """The base of the register's table."""


class Plugin(Base):
    """One plugin. `wish` is an operator's word (`enabled`, `disabled`), or null where nobody said any."""

    __tablename__ = "core_plugin"

    id: Mapped[str] = mapped_column(String(MAX_ID), primary_key=True)
    wish: Mapped[str | None] = mapped_column(String(12))
    state: Mapped[str] = mapped_column(String(12))
    reason: Mapped[str | None] = mapped_column(Text)
    version: Mapped[str | None] = mapped_column(String(MAX_VERSION))
    updated: Mapped[dt.datetime]


@dataclass(frozen=True)
class Outcome:
    """What became of a plugin: its state, why it is parked if it is, and its version if it is known."""

    state: str
    reason: Reason | None = None
    version: str | None = None


async def wishes(session: AsyncSession) -> dict[str, str]:
    """Read what operators wish for, by plugin."""
    rows = await session.execute(select(Plugin.id, Plugin.wish).where(Plugin.wish.is_not(None)).order_by(Plugin.id))
    return {plugin: wish for plugin, wish in rows if wish is not None}


async def wish(session: AsyncSession, plugin: str, word: Literal["enabled", "disabled"]) -> None:
    """Keep an operator's wish, and raise the `wishes` revision: running hosts follow. The caller commits."""
    await bump(session, "wishes")
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    row = {"id": plugin, "wish": word, "state": "", "updated": dt.datetime.now(dt.UTC)}
    insert = dialect.insert(Plugin).values(row)
    await session.execute(insert.on_conflict_do_update(index_elements=[Plugin.id], set_={"wish": word}))


async def outcomes(session: AsyncSession) -> dict[str, Outcome]:
    """Read what became of each plugin at the last activation that met it."""
    rows = await session.execute(select(Plugin.id, Plugin.state, Plugin.reason, Plugin.version).order_by(Plugin.id))
    return {plugin: Outcome(state, _read(reason), version) for plugin, state, reason, version in rows}


async def record(session: AsyncSession, outcomes: Mapping[str, Outcome]) -> None:
    """Keep what became of each plugin; wishes, and plugins that are not named, stay as they are.

    Something that was refused for its very id may have one that is too long for a plugin: it is not kept,
    since nobody can wish for it. The caller commits.
    """
    now = dt.datetime.now(dt.UTC)
    # In the order of the ids: two processes that write the same rows do not wait for each other in a circle.
    rows = [_row(plugin, outcomes[plugin], now) for plugin in sorted(outcomes) if len(plugin) <= MAX_ID]
    if not rows:
        return
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    insert = dialect.insert(Plugin)
    changed = {name: insert.excluded[name] for name in ("state", "reason", "version", "updated")}
    await session.execute(insert.on_conflict_do_update(index_elements=[Plugin.id], set_=changed), rows)


def _row(plugin: str, outcome: Outcome, now: dt.datetime) -> dict[str, Any]:
    # The standard library's JSON: it escapes what no database takes as text, a file name may hold anything.
    reason = None if outcome.reason is None else json.dumps(msgspec.to_builtins(outcome.reason))
    version = None if outcome.version is None else outcome.version[:MAX_VERSION]
    return {"id": plugin, "state": outcome.state, "reason": reason, "version": version, "updated": now}


def _read(reason: str | None) -> Reason | None:
    if reason is None:
        return None
    try:
        return msgspec.convert(json.loads(reason), Reason)
    except msgspec.ValidationError:  # a later release knows codes that this one does not
        return None
