"""The register of plugins: what operators wish for and consent to, and what became of each plugin.

One row for each plugin that was ever met. Wishes, consent, quarantine and retries are shared by every process of a
host: whoever changes one of them raises the `wishes` revision in the same transaction, and the others follow.
"""

from __future__ import annotations

import datetime as dt
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec
from sqlalchemy import Integer, String, Text, bindparam, select
from sqlalchemy.orm import Mapped, mapped_column

from plugin_host.database import bump
from plugin_host.sdk.errors import Reason
from plugin_host.sdk.models import PluginBase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

T = TypeVar("T")

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
    consent: Mapped[str | None] = mapped_column(Text)
    quarantine: Mapped[str | None] = mapped_column(Text)
    retries: Mapped[int] = mapped_column(Integer, server_default="0")
    account: Mapped[str | None] = mapped_column(Text)


class Quarantine(msgspec.Struct, frozen=True, kw_only=True):
    """A plugin that failed too often while it ran: off until `until`, for the `attempts`-th time in a row.

    It ends early when another version is installed, or when somebody says `retry`.
    """

    reason: Reason
    until: dt.datetime
    attempts: int
    version: str | None = None

    def holds(self, now: dt.datetime, version: str | None) -> bool:
        """Tell whether it keeps this version off at this time."""
        return now < self.until and version == self.version


class Outcome(msgspec.Struct, frozen=True):
    """What became of a plugin: its state, why it is parked if it is, and its version if it is known."""

    state: str
    reason: Reason | None = None
    version: str | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """All that is kept of one plugin.

    `consent` is JSON as whoever judges consent writes it.
    """

    wish: str | None = None
    outcome: Outcome = Outcome("")
    consent: bytes | None = None
    quarantine: Quarantine | None = None
    retries: int = 0


# Columns, not objects: they are read at every change of mind, and nothing is written through them.
_ALL: Final = select(
    Plugin.id,
    Plugin.wish,
    Plugin.state,
    Plugin.reason,
    Plugin.version,
    Plugin.consent,
    Plugin.quarantine,
    Plugin.retries,
).order_by(Plugin.id)
_LOCKED: Final = _ALL.with_for_update()


async def records(session: AsyncSession, *, lock: bool = False) -> dict[str, Record]:
    """Read the register, by plugin. With `lock` nobody else writes these rows until the transaction ends."""
    rows = await session.execute(_LOCKED if lock else _ALL)
    return {
        row.id: Record(
            wish=row.wish,
            outcome=Outcome(row.state, _read(row.reason, Reason), row.version),
            consent=None if row.consent is None else row.consent.encode(),
            quarantine=_read(row.quarantine, Quarantine),
            retries=row.retries,
        )
        for row in rows
    }


async def accounts(session: AsyncSession) -> dict[str, dict[str, Any]]:
    """Read what each plugin took, as the process said that wrote last."""
    rows = await session.execute(select(Plugin.id, Plugin.account).where(Plugin.account.is_not(None)))
    return {plugin: json.loads(said) for plugin, said in rows if said is not None}


async def wish(session: AsyncSession, plugin: str, word: Literal["enabled", "disabled"]) -> None:
    """Keep an operator's wish. What failed before is tried again. The caller commits."""
    again = {"quarantine": None, "retries": Plugin.retries + 1} if word == "enabled" else {}
    await _change(session, plugin, {"wish": word}, again)


async def retry(session: AsyncSession, plugin: str) -> None:
    """End a quarantine, and let every process try again what failed. The caller commits."""
    await _change(session, plugin, {}, {"quarantine": None, "retries": Plugin.retries + 1})


async def consent(session: AsyncSession, plugin: str, said: bytes) -> None:
    """Keep what was consented to. The caller read the row under lock, and commits."""
    await _change(session, plugin, {"consent": said.decode()})


async def quarantine(session: AsyncSession, plugin: str, said: Quarantine) -> None:
    """Keep a plugin off. The caller read the row under lock, and commits."""
    await _change(session, plugin, {"quarantine": _text(said)})


async def record(
    session: AsyncSession, outcomes: Mapping[str, Outcome], consents: Mapping[str, bytes] | None = None
) -> None:
    """Keep what became of each plugin, and how its consent was settled; plugins that are not named stay.

    Something that was refused for its very id may have one that is too long for a plugin: it is not kept,
    since nobody can wish for it. The caller commits.
    """
    now = dt.datetime.now(dt.UTC)
    # In the order of the ids: two processes that write the same rows do not wait for each other in a circle.
    rows = [_row(plugin, outcomes[plugin], now) for plugin in sorted(outcomes) if len(plugin) <= MAX_ID]
    if rows:
        insert = _insert(session)
        changed = {name: insert.excluded[name] for name in ("state", "reason", "version", "updated")}
        await session.execute(insert.on_conflict_do_update(index_elements=[Plugin.id], set_=changed), rows)
    await _set(session, "consent", {plugin: said.decode() for plugin, said in (consents or {}).items()})


async def account(session: AsyncSession, accounts: Mapping[str, dict[str, Any]]) -> None:
    """Keep what plugins took, so that commands can tell. Nothing follows from it. The caller commits."""
    await _set(session, "account", {plugin: json.dumps(said) for plugin, said in accounts.items()})


async def _set(session: AsyncSession, column: str, said: Mapping[str, str]) -> None:
    """Set one column of several rows at once: on SQLite each statement is a trip to another thread."""
    if said:
        table = Plugin.__table__
        change = table.update().where(table.c.id == bindparam("plugin")).values({column: bindparam("said")})  # type: ignore[attr-defined]
        await session.execute(change, [{"plugin": plugin, "said": said[plugin]} for plugin in sorted(said)])


async def _change(
    session: AsyncSession, plugin: str, values: Mapping[str, str], more: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Set columns of one row, `more` of them only if there was one, and let the other processes know of it."""
    await bump(session, "wishes")
    row = {"id": plugin, "state": "", "updated": dt.datetime.now(dt.UTC), **values}
    insert = _insert(session).values(row)
    changed = {**values, **more}
    await session.execute(insert.on_conflict_do_update(index_elements=[Plugin.id], set_=changed))


def _insert(session: AsyncSession) -> Any:
    # Each dialect is dear to import, and one of them is never used.
    if session.get_bind().dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert as insert_sqlite  # noqa: PLC0415

        return insert_sqlite(Plugin)
    from sqlalchemy.dialects.postgresql import insert as insert_postgresql  # noqa: PLC0415

    return insert_postgresql(Plugin)


def _row(plugin: str, outcome: Outcome, now: dt.datetime) -> dict[str, Any]:
    reason = None if outcome.reason is None else _text(outcome.reason)
    version = None if outcome.version is None else outcome.version[:MAX_VERSION]
    return {"id": plugin, "state": outcome.state, "reason": reason, "version": version, "updated": now}


def _text(said: msgspec.Struct) -> str:
    # The standard library's JSON: it escapes what no database takes as text, a file name may hold anything.
    return json.dumps(msgspec.to_builtins(said, builtin_types=(), str_keys=True))


def _read(text: str | None, kind: type[T]) -> T | None:
    if text is None:
        return None
    try:
        return msgspec.convert(json.loads(text), kind)
    except msgspec.ValidationError:  # a later release knows codes that this one does not
        return None
