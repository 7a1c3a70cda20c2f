"""Declared screens are put together from what plugins say of their routes; what does not fit is said in a sentence."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from plugin_host.sdk.screens import DeclaredScreen
from plugin_host.shell.declared import Operation, ScreenError, for_person, inline, operations_of, resolve

ITEM = {"type": "object", "properties": {"id": {"type": "string"}, "name": {"type": "string", "title": "Name"}}}
SCHEMAS = {
    "notes_Note": ITEM,
    "notes_Page": {"properties": {"items": {"type": "array", "items": {"$ref": "#/components/schemas/notes_Note"}}}},
    "notes_NoteIn": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
    "notes_Tree": {"properties": {"children": {"items": {"$ref": "#/components/schemas/notes_Tree"}}}},
}


def said(name: str, permission: str, answers: str | None = None, takes: str | None = None, kind: str = "") -> Any:
    made: dict[str, Any] = {"operationId": f"notes.{name}", "summary": name.title(), "x-permission": permission}
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{answers}"}}} if answers else {}
    made["responses"] = {"401": {"$ref": "#/x"}, "200": {"description": "", "content": content}}
    if takes:
        body = {kind or "application/json": {"schema": {"$ref": f"#/components/schemas/{takes}"}}}
        made["requestBody"] = {"content": body}
    return made


PATHS = {
    "/api/notes/all": {
        "get": said("find", "notes.view", "notes_Page"),
        "post": said("add", "notes.create", "notes_Note", "notes_NoteIn"),
    },
    "/api/notes/all/{note}": {
        "get": said("read", "notes.note.view", "notes_Note"),
        "patch": said("change", "notes.note.edit", "notes_Note", "notes_NoteIn"),
        "delete": said("remove", "notes.note.edit"),
    },
    "/api/notes/all/{note}/file": {
        "post": said("attach", "notes.note.edit", None, "notes_NoteIn", "multipart/form-data")
    },
    "/api/notes/events": {"x-websocket": {"name": "events"}},
}
FOUND = operations_of("notes", PATHS, SCHEMAS, lambda permission: permission.count(".") == 2)


def screen(**more: Any) -> DeclaredScreen:
    made = {
        "kind": "declared",
        "id": "all",
        "title": "Notes",
        "permission": "notes.view",
        "operations": {"list": "find"},
    }
    return msgspec.convert({**made, **more}, DeclaredScreen)


def find(name: str) -> Operation | None:
    return FOUND.get(name)


def test_operations_are_read_from_the_description() -> None:
    assert sorted(FOUND) == ["add", "attach", "change", "find", "read", "remove"]
    read = FOUND["read"]
    assert (read.method, read.path, read.parameters, read.object) == ("GET", "/all/{note}", ("note",), True)
    assert FOUND["add"].takes == SCHEMAS["notes_NoteIn"]
    assert FOUND["find"].takes is None
    assert (FOUND["attach"].form, FOUND["add"].form) == (True, False)


def test_schemas_stand_alone_and_one_that_holds_itself_ends() -> None:
    assert inline({"$ref": "#/components/schemas/notes_Tree", "title": "T"}, SCHEMAS) == {
        "properties": {"children": {"items": {"type": "object"}}},
        "title": "T",
    }
    assert inline({"$ref": "#/components/schemas/nobodys"}, SCHEMAS) == {"type": "object"}


def test_a_screen_that_says_little_shows_what_there_is() -> None:
    made = resolve(screen(operations={"list": "find", "create": "add"}), "notes", find)
    assert [column["name"] for column in made["columns"]] == ["name"]
    assert made["columns"][0]["title"] == "Name"
    assert [field["title"] for field in made["form"]] == ["Name"]
    assert made["operations"]["create"]["path"] == "/all"
    assert made["schemas"]["create"]["required"] == ["name"]
    assert made["slot"] == "notes.all.tabs"


def test_the_slot_is_called_after_the_kind_of_object() -> None:
    made = resolve(screen(operations={"list": "find", "read": "read"}), "notes", find)
    assert made["slot"] == "notes.note.tabs"


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"operations": {"list": "nothing"}}, "operations.list: there is no operation 'nothing'"),
        ({"operations": {"list": "read"}}, "operations.list: read has 1 parameters in its path"),
        ({"operations": {"list": "find", "read": "find"}}, "operations.read: find has 0 parameters"),
        ({"operations": {"list": "find", "update": "change"}}, "operations.update: a form to change something"),
        ({"operations": {"list": "add"}}, "does not answer `{items, next}`"),
        ({"columns": ["name", "nme"]}, "columns: there is no field nme; the fields are id, name"),
        ({"form": ["name"]}, "form: there is no field name; the fields are none"),
        ({"filters": ["colour"]}, "filters: there is no field colour"),
        ({"actions": [{"operation": "burn", "title": "Burn"}]}, "actions: there is no operation 'burn'"),
        ({"refs": {"name": {"list": "elsewhere"}}}, "refs.name: there is no operation 'elsewhere'"),
    ],
)
def test_what_does_not_fit_is_said(more: dict[str, Any], text: str) -> None:
    with pytest.raises(ScreenError) as caught:
        resolve(screen(**more), "notes", find)
    assert text in str(caught.value)


def test_nobody_is_told_of_what_they_may_not_do() -> None:
    made = resolve(
        screen(
            operations={"list": "find", "read": "read", "create": "add", "update": "change", "delete": "remove"},
            actions=[{"operation": "attach", "title": "Attach"}],
            refs={"name": {"list": "find", "read": "read"}},
            tabs=[],
        ),
        "notes",
        find,
    )
    seen = for_person(made, {"notes.view", "notes.note.view"}.__contains__)
    assert sorted(seen["operations"]) == ["list", "read"]
    assert seen["actions"] == []
    assert seen["refs"]["name"]["read"]["operation"] == "read"
    assert for_person(made, {"notes.view"}.__contains__)["refs"]["name"]["read"] is None
    everything = for_person(made, lambda _name: True)
    assert everything["operations"] == made["operations"]
    assert len(everything["actions"]) == 1


def test_columns_and_fields_say_all_that_is_known_of_them() -> None:
    made = resolve(
        screen(columns=[{"name": "name", "title": "Called", "widget": "badge"}], filters=["name"]), "notes", find
    )
    assert made["columns"] == [
        {
            "name": "name",
            "title": "Called",
            "widget": "badge",
            "hidden": False,
            "schema": {"type": "string", "title": "Name"},
        }
    ]
    assert made["filters"][0]["title"] == "Called"
