"""From an event to bytes and back, also of an older version: JSON, never pickle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_PAYLOAD: Final = 1_000_000
"""Bytes of one event. What is larger belongs into a file or a table, and its key into the event."""

NOTHING: Final = b"null"


class Undecodable(Exception):
    """An event that the handler's struct does not take: no retry will help."""


def version_of(struct: type[Any]) -> int | None:
    """Give the version that a struct says it is (`__version__`), None if it says nothing."""
    said = getattr(struct, "__version__", None)
    return said if isinstance(said, int) and not isinstance(said, bool) else None


def upcasters_of(struct: type[Any]) -> Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]:
    """Give the functions that turn the fields of version n into those of version n + 1 (`__upcasters__`)."""
    found: Mapping[int, Any] = getattr(struct, "__upcasters__", {})
    return found


def encode(value: msgspec.Struct | None) -> bytes:
    """Write an event or the arguments of a job. Raises `ValueError` if it is too large or cannot be written."""
    if value is None:
        return NOTHING
    try:
        payload = msgspec.json.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        msg = f"{type(value).__name__} cannot be written as JSON: {error}"
        raise ValueError(msg) from error
    if len(payload) > MAX_PAYLOAD:
        msg = (
            f"{type(value).__name__} takes {len(payload):,} bytes, more than {MAX_PAYLOAD:,}: "
            "keep the content in a table or a file, and put its key into the event"
        )
        raise ValueError(msg)
    return payload


def decode(payload: bytes, struct: type[Any], version: int, owner: type[Any] | None = None) -> Any:
    """Read an event as the struct of a handler.

    `version` is the one it was written in; `owner` is the struct of the plugin that owns the event: its upcasters bring
    older ones up to date first. Raises `Undecodable`.
    """
    newest = version_of(owner) or 1 if owner is not None else version
    try:
        if version >= newest or owner is None:
            return msgspec.json.decode(payload, type=struct)
        fields = msgspec.json.decode(payload, type=dict[str, Any])
        upcasters = upcasters_of(owner)
        for step in range(version, newest):
            fields = {**upcasters[step](dict(fields)), "type": fields.get("type")}
        return msgspec.convert(fields, struct, strict=True)
    except Exception as error:
        msg = f"version {version} does not fit {struct.__name__}: {type(error).__name__}: {error}"
        raise Undecodable(msg) from error
