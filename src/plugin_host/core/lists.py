"""Lists of what is not in a table, asked for as any list is: `q`, `sort`, `cursor`, `limit` and `<field>=`.

The same rules as `Listing.page` has for rows: pages go by key, rows without a value come last, text is compared
without regard to case.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from plugin_host.sdk.errors import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plugin_host.sdk.listing import Listing

T = TypeVar("T")


def page_of(
    listing: Listing,
    items: Iterable[T],
    *,
    key: str,
    search: Sequence[str] = (),
    sort: Sequence[str] = (),
    filters: Sequence[str] = (),
) -> tuple[list[T], str | None]:
    """Give one page of objects, and the cursor of the next one or None; names are those of their attributes.

    `key` is what no two have alike; it is the order when none is asked for. Raises `Problem` 422 like `Listing.page`.
    """
    _check(listing, (key, *sort), filters)
    named = (listing.sort or key).removeprefix("-")
    down = listing.sort.startswith("-")
    found = [item for item in items if _matches(item, listing, search)]
    found.sort(key=lambda item: _text(getattr(item, key)))
    with_value = [item for item in found if getattr(item, named) is not None]
    with_value.sort(key=lambda item: _text(getattr(item, named)), reverse=down)
    found = [*with_value, *(item for item in found if getattr(item, named) is None)]
    start = _after(listing, [str(getattr(item, key)) for item in found])
    page = found[start : start + listing.limit]
    more = start + listing.limit < len(found)
    return page, _cursor(listing, str(getattr(page[-1], key))) if more else None


def _check(listing: Listing, sort: Sequence[str], filters: Sequence[str]) -> None:
    if listing.sort and listing.sort.removeprefix("-") not in sort:
        raise wrong("sort", f"one of {', '.join(sorted(set(sort)))}, with - in front for descending")
    for name in listing.filters:
        if name not in filters:
            raise wrong(name, f"this list has no such filter; it has: {', '.join(sorted(filters)) or 'none'}")


def _matches(item: object, listing: Listing, search: Sequence[str]) -> bool:
    if any(str(_plain(getattr(item, name))) != text for name, text in listing.filters.items()):
        return False
    wanted = listing.q.casefold()
    return not (wanted and search) or any(wanted in _text(getattr(item, name)) for name in search)


def _plain(value: object) -> object:
    return "" if value is None else value


def _text(value: Any) -> str:
    return str(_plain(value)).casefold()


def _cursor(listing: Listing, last: str) -> str:
    made = msgspec.json.encode((listing.sort, last))
    return base64.urlsafe_b64encode(made).decode().rstrip("=")


def _after(listing: Listing, keys: Sequence[str]) -> int:
    """Give the place behind the cursor's row; where that is gone the list has changed, and begins anew."""
    if listing.cursor is None:
        return 0
    try:
        raw = base64.urlsafe_b64decode(listing.cursor.encode() + b"==")
        said, last = msgspec.json.decode(raw, type=tuple[str, str])
    except (ValueError, RecursionError) as error:  # msgspec's errors are ValueErrors
        raise wrong("cursor", "not a cursor of this list; start again without it") from error
    if said != listing.sort:
        raise wrong("cursor", f"this cursor belongs to sort={said!r}; start again without it")
    return keys.index(last) + 1 if last in keys else 0


def wrong(name: str, detail: str) -> Problem:
    """Word what is wrong with one parameter, or one field of a body."""
    return Problem(422, "invalid", f"{name}: {detail}", errors=[FieldError(f"/{name}", detail)])
