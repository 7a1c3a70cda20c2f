"""Declared screens: what the page needs to draw a list, a form and a detail view that nobody wrote code for.

A screen names operations. What they take and answer is in the plugins' OpenAPI parts; here both are put together once
for each activation, as plain JSON values. Who may do what is decided per person, in `for_person`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from plugin_host.sdk.screens import Column, DeclaredScreen, Operations

COMPONENTS: Final = "#/components/schemas/"
MOST_COLUMNS: Final = 6
"""How many columns a list has that names none."""

_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_METHODS: Final = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Operation:
    """A route as the page calls it: `path` stands below `/api/<plugin>`, `parameters` are those in the path.

    `takes` is the JSON Schema of the body, None where there is none; `form` whether it is sent as a form with files.
    `answers` is the schema of the answer; `object` whether its permission is asked of one object.
    """

    plugin: str
    name: str
    title: str
    method: str
    path: str
    permission: str
    parameters: tuple[str, ...]
    takes: Mapping[str, Any] | None
    form: bool
    answers: Mapping[str, Any]
    object: bool


class ScreenError(Exception):
    """A declared screen cannot be drawn: one sentence that says what does not fit."""


def operations_of(
    plugin: str, paths: Mapping[str, Any], schemas: Mapping[str, Any], has_object: Callable[[str], bool]
) -> dict[str, Operation]:
    """Read a plugin's OpenAPI part; gives its operations by function name. `has_object` knows permissions' scopes."""
    found = {}
    for path, item in paths.items():
        for method in _METHODS:
            if method in item:
                said = item[method]
                name = said["operationId"].removeprefix(f"{plugin}.")
                kind, body = _content(said.get("requestBody", {}))
                found[name] = Operation(
                    plugin=plugin,
                    name=name,
                    title=said.get("summary", name),
                    method=method.upper(),
                    path=path.removeprefix(f"/api/{plugin}") or "/",
                    permission=said["x-permission"],
                    parameters=tuple(_PARAMETER.findall(path)),
                    takes=None if body is None else inline(body, schemas),
                    form=kind == "multipart/form-data",
                    answers=inline(_answer(said["responses"]), schemas),
                    object=has_object(said["x-permission"]),
                )
    return found


def inline(schema: Any, schemas: Mapping[str, Any], within: tuple[str, ...] = ()) -> Any:
    """Put referred schemas in the place of the references; one that holds itself ends as any object."""
    if isinstance(schema, list):
        return [inline(each, schemas, within) for each in schema]
    if not isinstance(schema, dict):
        return schema
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith(COMPONENTS):
        name = reference.removeprefix(COMPONENTS)
        if name in within or name not in schemas:
            return {"type": "object"}
        rest = {key: each for key, each in schema.items() if key != "$ref"}
        return {**inline(schemas[name], schemas, (*within, name)), **rest}
    return {key: inline(each, schemas, within) for key, each in schema.items()}


def resolve(screen: DeclaredScreen, plugin: str, find: Callable[[str], Operation | None]) -> dict[str, Any]:
    """Put a screen together; `find` gives an operation by the name that the screen says.

    Raises `ScreenError` where an operation is not there or does not fit: a list whose answer has no `items` with an
    `id`, a `read` without the object's id in its path.
    """
    made = _list(screen.operations, screen.columns, screen.form, find, above=0)
    item = made["schemas"]["item"]
    _known(screen.filters, item, "filters")
    named = {each.name: each for each in (*screen.form, *screen.columns) if not isinstance(each, str)}
    return {
        **made,
        "search": bool(screen.search),
        "sort": list(screen.sort),
        "filters": [_described(named.get(name, name), item) for name in screen.filters],
        "actions": [
            {
                **_call(_need(find, action.operation, "actions")),
                "title": action.title,
                "on": action.on,
                "confirm": action.confirm,
                "danger": action.danger,
            }
            for action in screen.actions
        ],
        "refs": {
            field: {
                "list": _call(_need(find, ref.list, f"refs.{field}")),
                "read": _call(_need(find, ref.read, f"refs.{field}")) if ref.read else None,
                "label": ref.label,
                "key": ref.key,
                "to": ref.to,
            }
            for field, ref in screen.refs.items()
        },
        "tabs": [
            {
                "id": tab.id,
                "title": tab.title,
                **_list(tab.operations, tab.columns, tab.form, find, above=1),
                "sort": list(tab.sort),
            }
            for tab in screen.tabs
        ],
        "empty": screen.empty,
        "slot": f"{_object(made['operations'], plugin) or f'{plugin}.{screen.id}'}.tabs",
    }


def for_person(made: Mapping[str, Any], can: Callable[[str], bool]) -> dict[str, Any]:
    """Leave out of a screen what a person may not do anywhere; the server decides about each object."""

    def may(call: Mapping[str, Any] | None) -> bool:
        return call is not None and can(call["permission"])

    def operations(said: Mapping[str, Any]) -> dict[str, Any]:
        return {verb: call for verb, call in said.items() if may(call)}

    return {
        **made,
        "operations": operations(made["operations"]),
        "actions": [action for action in made["actions"] if may(action)],
        "refs": {
            field: {**ref, "read": ref["read"] if may(ref["read"]) else None}
            for field, ref in made["refs"].items()
            if may(ref["list"])
        },
        "tabs": [
            {**tab, "operations": operations(tab["operations"])}
            for tab in made["tabs"]
            if may(tab["operations"]["list"])
        ],
    }


def _list(
    said: Operations,
    columns: Sequence[str | Column],
    form: Sequence[str | Column],
    find: Callable[[str], Operation | None],
    *,
    above: int,
) -> dict[str, Any]:
    """Describe a list with what can be done with its items; `above` is how many ids stand in its path already."""
    found = {
        verb: _need(find, name, f"operations.{verb}")
        for verb, name in msgspec.structs.asdict(said).items()
        if name is not None
    }
    if "update" in found and "read" not in found:
        raise ScreenError("operations.update: a form to change something is filled by operations.read: name one")
    for verb, operation in found.items():
        wanted = above + (verb in {"read", "update", "delete"})
        if len(operation.parameters) != wanted:
            raise ScreenError(
                f"operations.{verb}: {operation.name} has {len(operation.parameters)} parameters in its path "
                f"({operation.path}), and {wanted} are filled in"
            )
    item = _item(found["list"])
    takes = {verb: found[verb].takes for verb in ("create", "update") if verb in found}
    fields: dict[str, Any] = {}
    for schema in takes.values():
        fields |= (schema or {}).get("properties", {})
    _known([_name(each) for each in columns], item, "columns")
    _known([_name(each) for each in form], {"properties": fields}, "form")
    shown = columns or [name for name in item["properties"] if name != "id"][:MOST_COLUMNS]
    return {
        "operations": {verb: _call(operation) for verb, operation in found.items()},
        "schemas": {
            "item": item,
            "read": found["read"].answers if "read" in found else item,
            **{verb: schema for verb, schema in takes.items() if schema is not None},
        },
        "columns": [_described(each, item) for each in shown],
        "form": [_described(each, {"properties": fields}) for each in form or fields],
    }


def _item(operation: Operation) -> dict[str, Any]:
    items = operation.answers.get("properties", {}).get("items", {}).get("items", {})
    if "id" not in items.get("properties", {}):
        raise ScreenError(
            f"operations.list: {operation.name} does not answer `{{items, next}}` with an `id` in each item: "
            "let it return `Page[...]` of a struct that has one"
        )
    return dict(items)


def _need(find: Callable[[str], Operation | None], name: str, where: str) -> Operation:
    operation = find(name)
    if operation is None:
        raise ScreenError(f"{where}: there is no operation {name!r}")
    return operation


def _call(operation: Operation) -> dict[str, Any]:
    """Give what the page needs to call an operation."""
    return {
        "operation": operation.name,
        "title": operation.title,
        "plugin": operation.plugin,
        "method": operation.method,
        "path": operation.path,
        "permission": operation.permission,
        "object": operation.object,
        "takes": operation.takes if operation.method != "GET" else None,
        "form": operation.form,
    }


def _object(operations: Mapping[str, Any], plugin: str) -> str:
    """Name the kind of object that a screen is about: that of the permission which one of them is read with."""
    for verb in ("read", "update", "delete"):
        call = operations.get(verb)
        if call is not None and call["object"] and call["permission"].startswith(f"{plugin}."):
            return str(call["permission"].rpartition(".")[0])
    return ""


def _name(said: str | Column) -> str:
    return said if isinstance(said, str) else said.name


def _known(names: Sequence[str], schema: Mapping[str, Any], where: str) -> None:
    unknown = [name for name in names if name not in schema["properties"]]
    if unknown:
        there = ", ".join(schema["properties"]) or "none"
        raise ScreenError(f"{where}: there is no field {', '.join(unknown)}; the fields are {there}")


def _described(said: str | Column, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Say of a column or field all that its schema and the screen say."""
    name = _name(said)
    own = {} if isinstance(said, str) else {k: v for k, v in msgspec.to_builtins(said).items() if v is not None}
    field = schema["properties"][name]
    return {"title": field.get("title") or name.replace("_", " ").capitalize(), "schema": field, **own, "name": name}


def _content(said: Mapping[str, Any]) -> tuple[str, Any]:
    for kind, content in said.get("content", {}).items():
        return kind, content["schema"]
    return "", None


def _answer(answers: Mapping[str, Any]) -> Any:
    return next(_successes(answers), {})


def _successes(answers: Mapping[str, Any]) -> Iterator[Any]:
    for status, said in answers.items():
        if status.startswith("2"):
            kind, schema = _content(said)
            if kind == "application/json":
                yield schema
