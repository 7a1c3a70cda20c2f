"""Giving others what one may do with an object oneself: never more, and never for longer."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from plugin_host.access.checks import check_subject
from plugin_host.sdk.errors import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from plugin_host.access.catalogue import Catalogue
    from plugin_host.access.tables import Grant

SHARE = "share"
"""The action that a plugin may declare of an object: then whoever shares it needs that as well."""


def check_share(
    catalogue: Catalogue, typ: str, with_: str, actions: Sequence[str], until: dt.datetime | None
) -> list[str]:
    """Give the permissions that are to be shared. Raises `Problem` 422, naming what cannot be.

    `actions` are words as in `<id>.<object>.<action>`, or the permissions' whole names.
    """
    check_subject(with_, "/with")
    if isinstance(actions, str) or not actions:
        raise invalid("/actions", f"a list of actions of {typ!r}, at least one")
    names = [action if action.startswith(f"{typ}.") else f"{typ}.{action}" for action in actions]
    for name in names:
        if name not in catalogue or not catalogue.entry(name).of_objects or name.rpartition(".")[0] != typ:
            known = ", ".join(sorted(each.rpartition(".")[2] for each in catalogue if each.rpartition(".")[0] == typ))
            raise invalid("/actions", f"{name[:200]!r} is nothing that can be done with {typ!r}; there is: {known}")
    if until is not None:
        if until.tzinfo is None:
            raise invalid("/until", f"{until} has no time zone")
        if until <= dt.datetime.now(dt.UTC):
            raise invalid("/until", f"{until.isoformat()} is past")
    return list(dict.fromkeys(names))


def ends_of(grants: Iterable[Grant], acts: Collection[str]) -> dt.datetime | None:
    """Give the moment at which the last of these grants ends; None if one of them does not."""
    ends = [grant.until for grant in grants if grant.effect == "allow" and grant.act in acts]
    return None if not ends or None in ends else max(end for end in ends if end is not None)


def invalid(pointer: str, detail: str) -> Problem:
    """Make the answer to something that cannot be said."""
    return Problem(422, "invalid", f"{pointer.lstrip('/')}: {detail}", errors=[FieldError(pointer, detail)])


def kind_of(obj: object) -> str:
    """Give the `__object__` of a row. Raises `TypeError` if it has none."""
    kind: Any = getattr(type(obj), "__object__", None)
    if not isinstance(kind, str):
        raise TypeError(f"{type(obj).__name__} is no object of permissions: its class has no __object__")
    return kind
