"""What roles, rules and grants may say, asked before they are kept: each answer is a `Problem` that names the field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from plugin_host.access.conditions import check_fields
from plugin_host.access.judge import ANY
from plugin_host.sdk.conditions import ConditionError, parse_condition
from plugin_host.sdk.errors import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plugin_host.access.catalogue import Catalogue

SUBJECTS: Final = ("user", "group", "role")
MAX_SUBJECT: Final = 120
MAX_OBJECT: Final = 64


def check_subject(subject: str, pointer: str = "/subject") -> str:
    """Give the subject: `user:<id>`, `group:<id>` or `role:<name>`. Whether there is one is not asked here."""
    kind, colon, name = subject.partition(":")
    if kind not in SUBJECTS or not colon or not _is_name(name, MAX_SUBJECT) or name == ANY:
        raise _invalid(pointer, "name somebody: user:<id>, group:<id> or role:<name>")
    return subject


def check_object(object: str, pointer: str = "/object") -> str:  # noqa: A002 - the contract's word
    """Give the id of an object: 1 to 64 printable characters."""
    if not _is_name(object, MAX_OBJECT) or object == ANY:
        raise _invalid(pointer, f"name one object by its id: 1 to {MAX_OBJECT} printable characters")
    return object


def check_permission(
    permission: str, catalogue: Catalogue, pointer: str = "/permission", *, pattern: bool = False, objects: bool = False
) -> str:
    """Give the permission, which must be one of the active plugins.

    With `pattern` it may be `*`, `contacts.*` or `contacts.person.*`, if that fits anything; with `objects` it
    must have object scope.
    """
    if pattern and catalogue.matching(permission):
        return permission
    if permission not in catalogue:
        near = catalogue.nearest(permission)
        hint = f"did you mean {near!r}?" if near else "is its plugin active?"
        raise _invalid(pointer, f"there is no permission {permission[:200]!r}; {hint}")
    if objects and not catalogue.entry(permission).of_objects:
        raise _invalid(pointer, f"{permission!r} is not asked of single objects: make a rule instead")
    return permission


def check_where(
    where: dict[str, Any],
    permission: str,
    catalogue: Catalogue,
    objects: Mapping[str, type[Any]],
    pointer: str = "/where",
) -> dict[str, Any]:
    """Give the condition, which must fit the model of the permission's object.

    `objects` are the classes by their `__object__`. A pattern may have one if it is of a single object.
    """
    typ = permission.rpartition(".")[0]
    fits = [catalogue.entry(name) for name in catalogue.matching(permission)] or [catalogue.entry(permission)]
    if permission == ANY or any(entry.typ != typ or not entry.of_objects for entry in fits):
        raise _invalid(pointer, f"{permission!r} is not asked of single objects of one type: leave the condition out")
    try:
        if typ not in objects:
            raise ConditionError("", f'no model says __object__ = "{typ}"')  # noqa: TRY301 - worded once
        check_fields(parse_condition(where), objects[typ])
    except ConditionError as error:
        raise _invalid(f"{pointer}{error.pointer}", error.detail) from error
    return where


def _is_name(name: str, most: int) -> bool:
    return 0 < len(name) <= most and name.isprintable() and name == name.strip()


def _invalid(pointer: str, detail: str) -> Problem:
    return Problem(422, "invalid", f"{pointer.lstrip('/')}: {detail}", errors=[FieldError(pointer, detail)])
