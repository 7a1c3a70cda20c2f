"""Writing down what was done, in the transaction of the change: if that is undone, nothing was done."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from sqlalchemy import Insert, insert

from plugin_host.audit.tables import AuditEntry
from plugin_host.sdk.calls import CURRENT_CALL
from plugin_host.sdk.context import Actor
from plugin_host.sdk.models import new_id

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.database import Database

_SECRET: Final = re.compile(
    r"(^|_|-)(password|passphrase|secret|token|otp|cookie|authorization|hash|key)$", re.IGNORECASE
)
_MAX_DETAIL: Final = 8000


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be written down.

    `action` is `<plugin>.<object>.<past verb>`, as `core.role.changed`; `object` what it was done to, as
    `user:01kd…` or `role:contacts.editor`. `plugin` is whose action it is; `via` the plugins on whose behalf it was
    done, outermost first: left out, it is the plugin whose route this is. `detail` is what JSON can say (values
    before and after); what is named like a secret is masked. `request` is the id of the request: left out, of the
    one under way.
    """

    action: str
    actor: Actor
    plugin: str = "core"
    object: str | None = None
    outcome: Literal["done", "refused", "failed"] = "done"
    detail: Mapping[str, Any] = {}
    via: tuple[str, ...] | None = None
    request: str | None = None


async def record(session: AsyncSession, entry: Entry) -> None:
    """Write the entry down in the caller's transaction; `session` is one of the host's own database."""
    await session.execute(insertion(entry))


async def record_apart(database: Database, entry: Entry) -> None:
    """Write the entry down in a transaction of its own: what was refused, while the call itself is rolled back.

    Not while the caller's own transaction has written: SQLite has only one writer.
    """
    unit = database.unit()
    try:
        await record(unit.session, entry)
        await unit.commit()
    finally:
        await unit.close()


def insertion(entry: Entry) -> Insert:
    """Give the statement that writes the entry down, for whoever has another connection than a session."""
    return insert(AuditEntry).values(**row_of(entry))


def row_of(entry: Entry) -> dict[str, Any]:
    """Give the row of an entry as it is now: its moment, and the request under way."""
    call = CURRENT_CALL.get()
    via = entry.via
    if via is None:
        via = (call.plugin,) if call is not None and call.plugin not in ("", "core") else ()
    return {
        "id": new_id(),
        "at": dt.datetime.now(dt.UTC),
        "actor": _text(entry.actor.id, 64),
        "kind": entry.actor.kind,
        "username": _text(entry.actor.username, 200),
        "via": _text(",".join(via), 200),
        "plugin": _text(entry.plugin, 31),
        "action": _text(entry.action, 100),
        "object": None if entry.object is None else _text(entry.object, 200),
        "outcome": entry.outcome,
        "detail": _json(entry.detail),
        "request": _text(entry.request or (call.id if call is not None else ""), 64) or None,
    }


def _text(said: str, most: int) -> str:
    """Give text that every database takes, and as much as the column holds."""
    return said.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()[:most]


def _json(detail: Mapping[str, Any]) -> str:
    masked = _mask(msgspec.to_builtins(dict(detail), str_keys=True))
    try:
        said = msgspec.json.encode(masked, order="sorted").decode()
    except UnicodeEncodeError:  # a half of a surrogate pair, from whoever typed it
        said = msgspec.json.encode(_clean(masked), order="sorted").decode()
    if len(said) <= _MAX_DETAIL:
        return said
    return msgspec.json.encode({"cut": said[: _MAX_DETAIL // 2]}).decode()


def _mask(value: Any) -> Any:
    match value:
        case dict():
            return {key: "***" if _SECRET.search(key) else _mask(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_mask(inner) for inner in value]
    return value


def _clean(value: Any) -> Any:
    match value:
        case dict():
            return {_clean(key): _clean(inner) for key, inner in value.items()}
        case list():
            return [_clean(inner) for inner in value]
        case str():
            return value.encode(errors="replace").decode()
    return value
