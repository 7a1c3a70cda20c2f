"""One plugin's part of the OpenAPI document, of routes of every kind; and parts that are merged."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import uuid
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import litestar
import pytest
from litestar import Controller, Request, Response, Router, WebSocket
from litestar.datastructures import State, UploadFile
from litestar.di import Provide
from litestar.dto import DTOConfig, MsgspecDTO
from litestar.enums import RequestEncodingType
from litestar.exceptions import NotFoundException
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import Body, CookieParameter, HeaderParameter, QueryParameter
from litestar.plugins import OpenAPISchemaPlugin
from litestar.response import File, Redirect, ServerSentEvent, Stream
from litestar.static_files import create_static_files_router
from msgspec import UNSET, Meta, Struct, UnsetType
from openapi_spec_validator import OpenAPIV31SpecValidator
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.gateway.openapi import DescribeError, Part, document, merge
from plugin_host.sdk import Access, Actor, AsgiApp, Listing, Page, Services, delete, get, patch, post, put, websocket
from plugin_host.sdk.manifest import PublicRoute

from .conftest import Stage

SESSION = {"session": {"type": "apiKey", "in": "cookie", "name": "ph_session"}}
VIEW = "shop.view"


class Lamp(Struct):
    id: str
    name: Annotated[str, Meta(max_length=80)]
    price: decimal.Decimal
    made_at: dt.datetime
    colour: Literal["red", "blue"] = "red"


class LampChange(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(max_length=80)] | UnsetType = UNSET
    colour: Literal["red", "blue"] | UnsetType | None = UNSET


class Tree(Struct):
    branches: list[Tree] = []


class Cat(Struct, tag=True):
    lives: int = 9


class Dog(Struct, tag=True):
    bark: str = ""


class Upload(Struct):
    title: str
    file: UploadFile


def part(stage: Stage, *handlers: Any, plugin: str = "shop", **options: Any) -> Part:
    built = stage.build(*handlers, plugin=plugin, **options)
    return document(plugin, built.app, built.routes)


def merged(*parts: Part, **options: Any) -> dict[str, Any]:
    """Merge parts, and let a validator of the specification judge the document."""
    given = {"info": {"title": "Shop", "version": "1"}, "server": "/", "tags": [], "schemes": SESSION, **options}
    made: dict[str, Any] = json.loads(json.dumps(merge(parts, **given)))
    OpenAPIV31SpecValidator(made).validate()
    return made


def operation(stage: Stage, handler: Any, **options: Any) -> dict[str, Any]:
    """Describe the only operation of a handler."""
    paths = merged(part(stage, handler, **options))["paths"]
    (item,) = paths.values()
    (found,) = item.values()
    return dict(found)


def parameters(stage: Stage, handler: Any) -> dict[str, Any]:
    """Give the parameters of a handler by name, shared ones by what they refer to."""
    found = operation(stage, handler).get("parameters", [])
    return {each.get("name", each.get("$ref")): each for each in found}


def content(stage: Stage, handler: Any, status: str = "200") -> dict[str, Any]:
    return dict(operation(stage, handler)["responses"][status].get("content", {}))


# -- an operation -----------------------------------------------------------------------------------------


def test_an_operation_is_told_whole(stage: Stage) -> None:
    @patch("/lamps/{lamp_id:str}", permission=VIEW)
    async def change_lamp(lamp_id: str, data: LampChange) -> Lamp:
        """Change the fields that were sent."""
        raise NotImplementedError

    assert operation(stage, change_lamp) == {
        "operationId": "shop.change_lamp",
        "tags": ["shop"],
        "summary": "Change lamp",
        "description": "Change the fields that were sent.",
        "parameters": [{"name": "lamp_id", "in": "path", "required": True, "schema": {"type": "string"}}],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/shop_LampChange"}}},
        },
        "responses": {
            "200": {
                "description": "Request fulfilled, document follows",
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/shop_Lamp"}}},
            },
            "401": {"$ref": "#/components/responses/NotSignedIn"},
            "403": {
                "description": "This needs the permission `shop.view`.",
                "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
            },
            "404": {"$ref": "#/components/responses/NotFound"},
            "422": {"$ref": "#/components/responses/Invalid"},
            "503": {"$ref": "#/components/responses/Unavailable"},
            "default": {"$ref": "#/components/responses/Problem"},
        },
        "security": [{"session": []}],
        "x-permission": "shop.view",
    }


def test_a_function_that_is_not_async_has_its_docstring(stage: Stage) -> None:
    @get("/x", permission=VIEW)
    def slow() -> None:
        """Take its time."""

    assert operation(stage, slow)["description"] == "Take its time."


def test_what_the_author_says_comes_first(stage: Stage) -> None:
    @get(
        "/x",
        permission=VIEW,
        operation_id="import",
        summary="Bring in",
        description="At once.",
        deprecated=True,
        tags=["a"],
    )
    async def take() -> None:
        """Not this."""

    found = operation(stage, take)
    assert (found["operationId"], found["summary"], found["description"]) == ("shop.import", "Bring in", "At once.")
    assert found["deprecated"] is True
    assert found["tags"] == ["shop"]


def test_an_operation_id_that_has_the_plugins_id_keeps_it(stage: Stage) -> None:
    @get("/x", permission=VIEW, operation_id="shop.lookup")
    async def find() -> None:
        """Find."""

    assert operation(stage, find)["operationId"] == "shop.lookup"


def test_litestars_own_decorators_work_too(stage: Stage) -> None:
    def name(handler: Any, method: Any, components: Any) -> str:
        return f"{method.value.lower()}_it"

    @litestar.get("/x", opt={"permission": VIEW})
    async def plain() -> None:
        """Do nothing."""

    @litestar.get("/y", opt={"permission": VIEW}, operation_id=name)
    async def named() -> None:
        """Do nothing."""

    assert operation(stage, plain)["operationId"] == "shop.plain"
    assert operation(stage, named)["operationId"] == "shop.get_it"


# -- who may, and what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("permission", "errors"),
    [
        ("public", {"503", "default"}),
        ("signed-in", {"401", "503", "default"}),
        ("shop.view", {"401", "403", "503", "default"}),
        ("shop.item.edit", {"401", "403", "503", "default"}),
    ],
)
def test_the_permission_and_the_errors_that_follow_from_it(stage: Stage, permission: str, errors: set[str]) -> None:
    @get("/x", permission=permission)
    async def look() -> None:
        """Look."""

    found = operation(stage, look, public=[PublicRoute(method="GET", path="/x", reason="test")])
    assert found["x-permission"] == permission
    assert set(found["responses"]) == {"200", *errors}
    assert ("security" in found) is (permission != "public")


def test_what_changes_something_may_come_from_elsewhere(stage: Stage) -> None:
    @post("/x", permission="signed-in")
    async def act() -> None:
        """Act."""

    assert operation(stage, act)["responses"]["403"] == {"$ref": "#/components/responses/Forbidden"}


def test_an_application_that_signs_people_in_is_not_described(stage: Stage) -> None:
    @get("/x", permission=VIEW)
    async def look() -> None:
        """Look."""

    document = merged(part(stage, look), schemes={})
    assert "security" not in document["paths"]["/api/shop/x"]["get"]
    assert document["components"]["securitySchemes"] == {}


def test_the_authors_own_answers_win(stage: Stage) -> None:
    @litestar.get(
        "/x/{lamp:str}",
        opt={"permission": VIEW},
        responses={404: ResponseSpec(Lamp, description="Gone"), 409: ResponseSpec(None, description="Clash")},
    )
    async def look(lamp: str) -> None:
        """Look."""

    answers = operation(stage, look)["responses"]
    assert answers["404"] == {
        "description": "Gone",
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/shop_Lamp"}}},
    }
    assert answers["409"] == {"description": "Clash"}


def test_what_it_raises_is_worded_by_the_host(stage: Stage) -> None:
    @get("/x", permission=VIEW, raises=[NotFoundException, ValueError])
    async def look() -> None:
        """Look."""

    answers = operation(stage, look)["responses"]
    assert answers["404"]["content"] == {
        "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}
    }
    assert "500" not in answers


# -- parameters -------------------------------------------------------------------------------------------


def test_names_that_the_host_gives_are_no_parameters(stage: Stage) -> None:
    @get("/x", permission=VIEW)
    async def look(
        actor: Actor,
        access: Access,
        db: AsyncSession,
        services: Services,
        settings: dict[str, str],
        log: Any,
        request: Request[Any, Any, State],
        state: State,
        headers: dict[str, str],
        query: dict[str, str],
    ) -> None:
        """Look."""

    assert parameters(stage, look) == {}


def test_a_list_takes_what_a_listing_reads(stage: Stage) -> None:
    @get("/lamps", permission=VIEW)
    async def list_lamps(listing: Listing) -> Page[Lamp]:
        """List."""
        raise NotImplementedError

    document = merged(part(stage, list_lamps))
    names = ["q", "sort", "cursor", "limit", "filters"]
    assert document["paths"]["/api/shop/lamps"]["get"]["parameters"] == [
        {"$ref": f"#/components/parameters/{name}"} for name in names
    ]
    shared = document["components"]["parameters"]
    assert list(shared) == [each["name"] for each in shared.values()] == names
    assert shared["limit"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}


def test_a_parameter_of_the_handlers_own_stands_in_for_the_lists(stage: Stage) -> None:
    @get("/lamps", permission=VIEW)
    async def list_lamps(listing: Listing, limit: int = 5) -> None:
        """List."""

    found = parameters(stage, list_lamps)
    assert found["limit"]["schema"] == {"type": "integer", "default": 5}
    assert "#/components/parameters/limit" not in found
    assert "#/components/parameters/q" in found


def test_a_listing_is_found_behind_a_dependency(stage: Stage) -> None:
    async def chosen(listing: Listing, colour: str = "") -> list[str]:
        return [colour]

    @litestar.get("/x", opt={"permission": VIEW}, dependencies={"chosen": Provide(chosen)})
    async def look(chosen: list[str]) -> None:
        """Look."""

    found = parameters(stage, look)
    assert found["colour"] == {"name": "colour", "in": "query", "schema": {"type": "string", "default": ""}}
    assert "#/components/parameters/q" in found


@pytest.mark.parametrize(
    ("kind", "annotation", "schema"),
    [
        ("int", int, {"type": "integer"}),
        ("uuid", uuid.UUID, {"type": "string", "format": "uuid"}),
        ("date", dt.date, {"type": "string", "format": "date"}),
        ("float", float, {"type": "number"}),
        ("path", str, {"type": "string"}),
    ],
)
def test_parameters_in_the_path(stage: Stage, kind: str, annotation: Any, schema: dict[str, Any]) -> None:
    async def look(thing: Any) -> None:
        """Look."""

    look.__annotations__["thing"] = annotation
    made = part(stage, get(f"/x/{{thing:{kind}}}", permission=VIEW)(look))
    found = merged(made)["paths"]["/api/shop/x/{thing}"]["get"]
    assert found["parameters"][0]["schema"] == schema
    assert ("description" in found["parameters"][0]) is (kind == "path")
    assert "404" in found["responses"]
    assert "422" not in found["responses"]


def test_parameters_in_query_header_and_cookie(stage: Stage) -> None:
    @get("/x", permission=VIEW)
    async def look(
        agent: Annotated[str, HeaderParameter(name="X-Agent")],
        theme: Annotated[str, CookieParameter(name="theme")],
        size: Annotated[int, QueryParameter(name="s", ge=1, le=5, description="How many.")] = 3,
        since: dt.date | None = None,
        code: Annotated[str, Meta(min_length=2)] = "aa",
    ) -> None:
        """Look."""

    found = parameters(stage, look)
    assert {name: (each["in"], each.get("required", False)) for name, each in found.items()} == {
        "X-Agent": ("header", True),
        "theme": ("cookie", True),
        "s": ("query", False),
        "since": ("query", False),
        "code": ("query", False),
    }
    assert found["s"]["description"] == "How many."
    schema = found["s"]["schema"]
    assert (schema["minimum"], schema["maximum"], schema["default"]) == (1, 5, 3)
    assert found["since"]["schema"] == {"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}
    assert found["code"]["schema"] == {"type": "string", "minLength": 2, "default": "aa"}


def test_paths_that_differ_in_the_names_of_parameters_are_one_path(stage: Stage) -> None:
    @get("/{first:str}", permission=VIEW)
    async def one(first: str) -> None:
        """Look."""

    @post("/{second:int}", permission=VIEW)
    async def other(second: int) -> None:
        """Act."""

    paths = merged(part(stage, one, other))["paths"]
    assert list(paths) == ["/api/shop/{first}"]
    assert paths["/api/shop/{first}"]["post"]["parameters"][0]["name"] == "first"


# -- bodies and answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "kind", "schema"),
    [
        (LampChange, "application/json", {"$ref": "#/components/schemas/shop_LampChange"}),
        (list[Tree], "application/json", {"type": "array", "items": {"$ref": "#/components/schemas/shop_Tree"}}),
        (
            Cat | Dog,
            "application/json",
            {
                "anyOf": [{"$ref": "#/components/schemas/shop_Cat"}, {"$ref": "#/components/schemas/shop_Dog"}],
                "discriminator": {
                    "propertyName": "type",
                    "mapping": {"Cat": "#/components/schemas/shop_Cat", "Dog": "#/components/schemas/shop_Dog"},
                },
            },
        ),
        (
            Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)],
            "application/x-www-form-urlencoded",
            {"type": "object", "additionalProperties": {"type": "string"}},
        ),
        (
            Annotated[Upload, Body(media_type=RequestEncodingType.MULTI_PART)],
            "multipart/form-data",
            {"$ref": "#/components/schemas/shop_Upload"},
        ),
        (
            Annotated[UploadFile, Body(media_type=RequestEncodingType.MULTI_PART)],
            "multipart/form-data",
            {
                "type": "object",
                "properties": {
                    "file": {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}
                },
            },
        ),
    ],
    ids=str,
)
def test_bodies(stage: Stage, annotation: Any, kind: str, schema: dict[str, Any]) -> None:
    async def act(data: Any) -> None:
        """Act."""

    act.__annotations__["data"] = annotation
    assert operation(stage, post("/x", permission=VIEW)(act))["requestBody"] == {
        "required": True,
        "content": {kind: {"schema": schema}},
    }


BINARY = {"schema": {"type": "string", "format": "binary", "contentMediaType": "application/octet-stream"}}


@pytest.mark.parametrize(
    ("annotation", "options", "answer"),
    [
        (None, {}, {}),
        (Response[None], {}, {}),
        (Lamp, {}, {"application/json": {"schema": {"$ref": "#/components/schemas/shop_Lamp"}}}),
        (Response[Lamp], {}, {"application/json": {"schema": {"$ref": "#/components/schemas/shop_Lamp"}}}),
        (Page[Lamp], {}, {"application/json": {"schema": {"$ref": "#/components/schemas/shop_Page_Lamp"}}}),
        (
            list[bytes],
            {},
            {
                "application/json": {
                    "schema": {"type": "array", "items": {"type": "string", "contentEncoding": "base64"}}
                }
            },
        ),
        (dict[str, Any], {}, {"application/json": {"schema": {"type": "object", "additionalProperties": {}}}}),
        (str, {}, {"text/plain": {"schema": {"type": "string"}}}),
        (Response[bytes], {}, {"application/octet-stream": BINARY}),
        (bytes, {"media_type": "image/png"}, {"image/png": BINARY}),
        (File, {}, {"application/octet-stream": BINARY}),
        (Stream, {"media_type": "text/csv"}, {"text/csv": BINARY}),
        (ServerSentEvent, {}, {"text/event-stream": {"schema": {"type": "string"}}}),
        (Response, {}, {"application/json": {"schema": {}}}),
    ],
    ids=str,
)
def test_answers(stage: Stage, annotation: Any, options: dict[str, Any], answer: dict[str, Any]) -> None:
    async def look() -> Any:
        """Look."""

    look.__annotations__["return"] = annotation
    assert content(stage, get("/x", permission=VIEW, **options)(look)) == answer


def test_an_answer_without_a_body(stage: Stage) -> None:
    @delete("/x/{lamp:str}", permission=VIEW)
    async def remove(lamp: str) -> None:
        """Remove."""

    assert content(stage, remove, "204") == {}


def test_a_redirect_says_where_to(stage: Stage) -> None:
    @get("/x", permission=VIEW, status_code=302)
    async def elsewhere() -> Redirect:
        """Send away."""
        raise NotImplementedError

    answer = operation(stage, elsewhere)["responses"]["302"]
    assert answer["headers"]["location"]["schema"] == {"type": "string"}
    assert "content" not in answer


def test_what_a_dto_leaves_out_is_left_out(stage: Stage) -> None:
    class Shown(MsgspecDTO[Lamp]):
        config = DTOConfig(exclude={"price"})

    @litestar.post("/x", opt={"permission": VIEW}, dto=Shown, return_dto=Shown)
    async def make_lamp(data: Lamp) -> Lamp:
        """Make one."""
        return data

    document = merged(part(stage, make_lamp))
    found = document["paths"]["/api/shop/x"]["post"]
    for said in (found["requestBody"], found["responses"]["201"]):
        name = said["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert name.startswith("shop_")
        assert set(document["components"]["schemas"][name]["properties"]) == {"id", "name", "made_at", "colour"}


def test_what_only_another_library_knows_is_described_by_it(stage: Stage) -> None:
    """Litestar's plugins, for pydantic for example, describe their own classes, beside and inside of ours."""
    pydantic = pytest.importorskip("pydantic")
    person = pydantic.create_model("Person", name=(str, ...), __module__="shop.models")

    async def look() -> Any:
        """Look."""

    async def act(data: Any) -> None:
        """Act."""

    look.__annotations__["return"] = list[person]  # type: ignore[valid-type]
    act.__annotations__["data"] = person
    document = merged(part(stage, get("/x", permission=VIEW)(look), post("/x", permission=VIEW)(act)))
    assert document["components"]["schemas"]["shop_Person"]["properties"] == {"name": {"type": "string"}}
    assert json.dumps(document).count("#/components/schemas/shop_Person") == 2


# -- names ------------------------------------------------------------------------------------------------


def ids(document: dict[str, Any]) -> list[str]:
    return [found["operationId"] for item in document["paths"].values() for found in item.values()]


class Lamps(Controller):
    path = "/lamps"
    opt = {"permission": VIEW}  # noqa: RUF012 - Litestar's way

    @get("/{number:int}")
    async def show(self, number: int) -> None:
        """Show a lamp."""

    @get()
    async def all_lamps(self) -> None:
        """List lamps."""


class Shades(Controller):
    path = "/shades"
    opt = {"permission": VIEW}  # noqa: RUF012 - Litestar's way

    @get("/{number:int}")
    async def show(self, number: int) -> None:
        """Show a shade."""


def test_several_of_one_name_are_told_apart_and_the_author_is_warned(stage: Stage) -> None:
    document = merged(part(stage, Lamps, Shades))
    assert sorted(ids(document)) == ["shop.all_lamps", "shop.show_get_lamps_number", "shop.show_get_shades_number"]
    (warning,) = document["x-warnings"]
    assert warning["plugin"] == "shop"
    assert warning["reason"].startswith("2 operations are called 'show' (GET /api/shop/lamps/{number}, GET")


def test_a_handler_of_several_paths_and_methods_is_several_operations(stage: Stage) -> None:
    @litestar.route(["/a", "/a/{x:int}"], http_method=["GET", "POST"], opt={"permission": VIEW})
    async def any_of(x: int = 0) -> None:
        """Do something."""

    assert sorted(ids(merged(part(stage, any_of)))) == [
        "shop.any_of_get_a",
        "shop.any_of_get_a_x",
        "shop.any_of_post_a",
        "shop.any_of_post_a_x",
    ]


def test_even_made_names_may_clash(stage: Stage) -> None:
    def named(path: str, name: str) -> Any:
        async def look() -> None:
            """Look."""

        return get(path, permission=VIEW, operation_id=name)(look)

    document = merged(part(stage, named("/a-b", "x"), named("/a_b", "x"), named("/c", "x_get_a_b")))
    assert sorted(ids(document)) == ["shop.x_get_a_b", "shop.x_get_a_b_", "shop.x_get_a_b__"]


def test_nested_routers_are_walked_through(stage: Stage) -> None:
    @get("/c", permission=VIEW)
    async def deep() -> None:
        """Look."""

    router = Router("/a", route_handlers=[Router("/b", route_handlers=[deep])])
    assert list(merged(part(stage, router))["paths"]) == ["/api/shop/a/b/c"]


def test_two_plugins_may_have_structs_and_functions_of_one_name(stage: Stage) -> None:
    @dataclass
    class Other:
        b: int

    def handlers(kind: Any) -> Any:
        async def show() -> Any:
            """Show."""

        show.__annotations__["return"] = kind
        return put("/x", permission="signed-in")(show)

    Other.__name__ = "Lamp"
    document = merged(part(stage, handlers(Lamp)), part(stage, handlers(Other), plugin="store"))
    assert ids(document) == ["shop.show", "store.show"]
    schemas = document["components"]["schemas"]
    assert list(schemas) == ["Problem", "shop_Lamp", "store_Lamp"]
    assert list(schemas["store_Lamp"]["properties"]) == ["b"]


# -- what OpenAPI has no words for ----------------------------------------------------------------------------


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """Answer nothing."""


def test_a_websocket_is_a_path_with_a_note(stage: Stage) -> None:
    @websocket("/rooms/{room:int}", permission=VIEW)
    async def talk(socket: WebSocket, room: int) -> None:
        """Talk to each other."""

    assert merged(part(stage, talk))["paths"] == {
        "/api/shop/rooms/{room}": {
            "x-websocket": {
                "name": "talk",
                "description": "Talk to each other.",
                "permission": "shop.view",
                "parameters": [{"name": "room", "in": "path", "required": True, "schema": {"type": "integer"}}],
            }
        }
    }


def test_an_application_is_a_path_with_a_note(stage: Stage) -> None:
    document = merged(part(stage, AsgiApp(nothing, path="/old", permission=VIEW)))
    assert document["paths"] == {"/api/shop/old": {"x-application": {"name": "nothing", "permission": "shop.view"}}}


def test_what_is_not_to_be_shown_is_not_there(stage: Stage) -> None:
    @litestar.get("/x", opt={"permission": VIEW}, include_in_schema=False)
    async def hidden() -> None:
        """Hide."""

    files = create_static_files_router(path="/files", directories=["/tmp"], opt={"permission": VIEW})
    assert merged(part(stage, hidden, files))["paths"] == {}


# -- faults -----------------------------------------------------------------------------------------------


class Bad(OpenAPISchemaPlugin):
    """Plugins of plugins run at load only; here one stands for whatever may fail."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        return value is complex

    def to_openapi_schema(self, field_definition: Any, schema_creator: Any) -> Any:
        raise LookupError("no such number")


def test_a_handler_that_cannot_be_described_is_named(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    @get("/x", permission=VIEW)
    async def imagine() -> complex:
        """Imagine."""
        raise NotImplementedError

    built = stage.build(imagine)
    monkeypatch.setattr(type(built.app.plugins), "openapi", [Bad()])
    with pytest.raises(DescribeError) as fault:
        document("shop", built.app, built.routes)
    assert "imagine (GET /api/shop/x, " in str(fault.value)
    assert str(fault.value).endswith("cannot be described: LookupError: no such number")


def test_describing_leaves_the_routes_as_they_are(stage: Stage) -> None:
    """What is described twice is the same twice."""
    built = stage.build(Lamps, Shades)
    assert document("shop", built.app, built.routes) == document("shop", built.app, built.routes)


def test_parts_are_merged_with_what_they_share(stage: Stage) -> None:
    first = part(stage, Lamps)
    tags = [{"name": "shop", "description": "The shop"}]
    told = [{"plugin": "store", "reason": "its routes cannot be described"}]
    document = merged(first, tags=tags, warnings=told, server="https://apps.example.org")
    assert document["openapi"] == "3.1.0"
    assert document["info"] == {"title": "Shop", "version": "1"}
    assert document["servers"] == [{"url": "https://apps.example.org"}]
    assert document["tags"] == tags
    assert document["x-warnings"] == told
    assert document["components"]["securitySchemes"] == SESSION
    assert set(document["components"]["schemas"]["Problem"]["properties"]) == {
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "errors",
    }
