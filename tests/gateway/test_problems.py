"""What people are told of an error, and what they are not."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from litestar import Request
from litestar.exceptions import HTTPException, NotFoundException, SerializationException, ValidationException
from sqlalchemy.exc import DataError, IntegrityError, OperationalError, TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException as StarletteError

from plugin_host.gateway.problems import encode, send_problem, to_problem
from plugin_host.sdk import Page, Problem, get, post, to

from .conftest import Stage

pytestmark = pytest.mark.anyio


class Address(msgspec.Struct, forbid_unknown_fields=True):
    city: str
    zips: list[int] = []


class Person(msgspec.Struct, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(max_length=5)]
    addresses: list[Address] = []


@post("/people", permission="shop.view")
async def add_person(data: Person) -> Person:
    return data


@get("/people/{number:int}", permission="shop.view")
async def get_person(number: int) -> int:
    return number


@get("/things/{thing_id:str}", permission="shop.view")
async def get_thing(thing_id: UUID) -> str:
    return str(thing_id)


@get("/search", permission="shop.view")
async def search(text: str, size: int = 1) -> Page[str]:
    return Page([text * size])


def database_error(text: str, sqlstate: str | None = None) -> OperationalError:
    original = Exception(text)
    original.sqlstate = sqlstate  # type: ignore[attr-defined] # what psycopg's exceptions have
    return OperationalError("SELECT secret", {}, original)


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"/name": "Object missing required field `name`"}),
        ({"name": "Ann", "id": 1}, {"/id": "Object contains unknown field `id`"}),
        ({"name": "Annabel"}, {"/name": "Expected `str` of length <= 5"}),
        ({"name": "Ann", "addresses": [{"city": 1}]}, {"/addresses/0/city": "Expected `str`, got `int`"}),
        ({"name": "Ann", "addresses": [{"x/y~": 1}]}, {"/addresses/0/x~1y~0": "Object contains unknown field `x/y~`"}),
        (
            {"name": "Ann", "addresses": [{"city": "X", "zips": ["a"]}]},
            {"/addresses/0/zips/0": "Expected `int`, got `str`"},
        ),
        ([], {"": "Expected `object`, got `array`"}),
    ],
)
async def test_what_does_not_fit_is_pointed_at(stage: Stage, body: Any, errors: dict[str, str]) -> None:
    async with stage.client(add_person) as browser:
        answer = await browser.post("/api/shop/people", json=body)
    assert answer.status_code == 422
    assert answer.json()["type"] == "urn:plugin-host:problem:invalid"
    assert {error["pointer"]: error["detail"] for error in answer.json()["errors"]} == errors


async def test_what_is_no_json_is_malformed(stage: Stage) -> None:
    async with stage.client(add_person) as browser:
        answer = await browser.post(
            "/api/shop/people", content=b'{"name": ', headers={"content-type": "application/json"}
        )
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:plugin-host:problem:malformed")


@pytest.mark.parametrize(("query", "pointer"), [("size=3", "/text"), ("text=a&size=big", "/size")])
async def test_a_wrong_query_is_pointed_at(stage: Stage, query: str, pointer: str) -> None:
    async with stage.client(search) as browser:
        answer = await browser.get(f"/api/shop/search?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)
    assert "/api/shop" not in answer.text


@pytest.mark.parametrize("path", ["people/abc", "things/abc", "nowhere"])
async def test_a_path_that_names_nothing_is_not_found(stage: Stage, path: str) -> None:
    async with stage.client(get_person, get_thing) as browser:
        answer = await browser.get(f"/api/shop/{path}")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:plugin-host:problem:not_found")


async def test_a_wrong_method_is_told_the_right_ones(stage: Stage) -> None:
    async with stage.client(get_person) as browser:
        answer = await browser.delete("/api/shop/people/1")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_options_names_every_method_of_the_path(stage: Stage) -> None:
    @get("/people", permission="shop.view")
    async def list_people() -> None:
        """Do nothing."""

    async with stage.client(list_people, add_person) as browser:
        answer = await browser.options("/api/shop/people")
    assert (answer.status_code, answer.headers["allow"]) == (204, "GET, HEAD, OPTIONS, POST")


async def test_a_body_that_is_not_there_is_asked_for(stage: Stage) -> None:
    async with stage.client(add_person) as browser:
        answer = await browser.post("/api/shop/people")
    assert (answer.status_code, answer.json()["detail"]) == (422, "body: is required, as JSON")


@pytest.mark.security
async def test_json_that_is_nested_too_deep_is_malformed(stage: Stage) -> None:
    headers = {"content-type": "application/json"}
    async with stage.client(add_person, body_limit=1_000_000) as browser:
        answer = await browser.post("/api/shop/people", content=b"[" * 100_000, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:plugin-host:problem:malformed")


async def test_a_body_over_the_limit_is_too_large(stage: Stage) -> None:
    async with stage.client(add_person, body_limit=10) as browser:
        answer = await browser.post("/api/shop/people", json={"name": "x" * 100})
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:plugin-host:problem:too_large")


async def test_a_body_over_the_limit_that_hides_its_length_is_too_large(stage: Stage) -> None:
    async def chunks() -> Any:
        for _ in range(10):
            yield b"xxxxx"

    async with stage.client(add_person, body_limit=10) as browser:
        answer = await browser.post("/api/shop/people", content=chunks(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Problem(418, "teapot"), 418, "teapot"),
        (NotFoundException("No such lamp."), 404, "not_found"),
        (HTTPException(status_code=402), 402, "payment_required"),
        (HTTPException("weird", status_code=499), 499, "error"),
        (StarletteError(409, "taken"), 409, "conflict"),
        (ValidationException("Too many lamps."), 422, "invalid"),
        (IntegrityError("INSERT", {}, Exception("UNIQUE")), 409, "conflict"),
        (DataError("INSERT secret", {}, Exception("too long")), 422, "invalid"),
        (database_error("database is locked"), 503, "busy"),
        (database_error("deadlock detected", "40P01"), 503, "busy"),
        (database_error("could not serialize", "40001"), 503, "busy"),
        (database_error("no such table: secret"), 500, "internal_error"),
        (PoolTimeout("QueuePool limit"), 503, "busy"),
        (HTTPException("secret", status_code=500), 500, "internal_error"),
        (SerializationException("secret"), 500, "internal_error"),
        (KeyError("secret"), 500, "internal_error"),
    ],
)
def test_every_exception_has_its_status_and_code(error: Exception, status: int, code: str) -> None:
    problem = to_problem(error)
    assert (problem.status, problem.code) == (status, code)
    assert "secret" not in problem.detail


def test_what_a_handler_says_is_told() -> None:
    assert to_problem(NotFoundException("No such lamp.")).detail == "No such lamp."


def test_a_bare_phrase_is_not_repeated() -> None:
    assert to_problem(NotFoundException()).detail == ""


@pytest.mark.security
def test_folders_of_the_server_are_not_told() -> None:
    error = NotFoundException("no file or directory match the path /srv/secret/x was found")
    assert to_problem(error).detail == ""


def test_headers_of_an_exception_are_kept() -> None:
    error = HTTPException(status_code=429, headers={"Retry-After": "7"})
    assert to_problem(error).headers == {"Retry-After": "7"}


async def test_json_that_a_handler_reads_itself_is_malformed(stage: Stage) -> None:
    @post("/raw", permission="shop.view")
    async def raw(request: Request[Any, Any, Any]) -> None:
        await request.json()

    async with stage.client(raw) as browser:
        assert (await browser.post("/api/shop/raw", content=b"{")).status_code == 400


@pytest.mark.parametrize(
    ("raw", "status", "pointers"), [(b"{", 400, []), (b'{"name": 1}', 422, ["/name"]), (b"1", 422, [""])]
)
def test_what_a_handler_decodes_itself_is_the_callers_fault(raw: bytes, status: int, pointers: list[str]) -> None:
    with pytest.raises(msgspec.DecodeError) as error:
        msgspec.json.decode(raw, type=Person)
    problem = to_problem(error.value)
    assert (problem.status, [e.pointer for e in problem.errors]) == (status, pointers)


def test_a_row_that_does_not_fit_its_output_is_not_the_callers_fault() -> None:
    with pytest.raises(msgspec.ValidationError) as error:
        to(object(), Person)
    assert to_problem(error.value).status == 500


def test_an_error_without_a_traceback_is_worded_too() -> None:
    assert to_problem(msgspec.ValidationError("Expected `int`")).status == 422


def test_a_problem_names_its_request_and_is_kept_by_no_cache() -> None:
    body, headers = encode(Problem(401, "not_signed_in"), {"plugin_host.request_id": "abc"})
    assert msgspec.json.decode(body)["instance"] == "abc"
    assert headers == {"cache-control": "no-store", "www-authenticate": "Bearer"}


async def test_a_handshake_is_closed_where_the_server_cannot_answer_it() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await send_problem(Problem(403, "forbidden", "ä" * 200), {"type": "websocket"}, send)
    (close,) = sent
    assert close["code"] == 4403
    assert len(close["reason"].encode()) <= 123
