"""Types in JSON Schema: whatever msgspec writes fits the schema, and forms find all that they need in it."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import uuid
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest
from hypothesis import given, settings, strategies as st
from msgspec import UNSET, Meta, Struct, UnsetType

from plugin_host.gateway.schemas import Schemas, words
from plugin_host.sdk import Page

T = TypeVar("T")


def described(annotation: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give the schema of a type, and the named ones that it refers to."""
    schemas = Schemas("shop_", lambda cls: {"x-custom": cls.__name__})
    made = schemas.of(annotation)
    assert made is not None
    return schemas.finish(made), schemas.components()


def plain(annotation: Any) -> dict[str, Any]:
    return described(annotation)[0]


def properties(struct: Any) -> dict[str, Any]:
    """Give the fields of a struct."""
    schema, components = described(struct)
    found: dict[str, Any] = components[schema["$ref"].rpartition("/")[2]]["properties"]
    return found


class State(enum.Enum):
    """How far something is."""

    NEW = "new"
    DONE = "done"
    ASKED = "asked"


class Priority(enum.IntEnum):
    HIGH = 2
    LOW = 1


class Lamp(Struct):
    """A lamp."""

    name: Annotated[str, Meta(min_length=1, max_length=80, pattern="^L", title="Its name", description="As painted.")]
    watts: Annotated[int, Meta(ge=1, lt=1000)] = 60
    state: State = State.NEW
    colour: Literal["red", "blue", "amber"] | None = None
    price: decimal.Decimal = decimal.Decimal("1.50")
    tags: list[str] = []
    made_on: dt.date | UnsetType = UNSET


class Node(Struct):
    name: str
    children: list[Node] = []


class Cat(Struct, tag="cat", tag_field="kind"):
    lives: int = 9


class Dog(Struct, tag="dog", tag_field="kind"):
    bark: str


class Box(Struct, Generic[T], rename="camel", forbid_unknown_fields=True):
    first_thing: T


class Pair(Struct, array_like=True):
    left: int
    right: int = 0


class Point(NamedTuple):
    x: int
    y: int = 0


class Address(TypedDict, total=False):
    street: str


@dataclass
class Order:
    number: int
    lines: list[str] = field(default_factory=list)


UserId = NewType("UserId", str)


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (Any, {}),
        (msgspec.Raw, {}),
        (None, {"type": "null"}),
        (bool, {"type": "boolean"}),
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (str, {"type": "string"}),
        (UserId, {"type": "string"}),
        (bytes, {"type": "string", "contentEncoding": "base64"}),
        (dt.datetime, {"type": "string", "format": "date-time"}),
        (dt.date, {"type": "string", "format": "date"}),
        (dt.time, {"type": "string", "format": "time"}),
        (dt.timedelta, {"type": "string", "format": "duration"}),
        (uuid.UUID, {"type": "string", "format": "uuid"}),
        (decimal.Decimal, {"type": "string", "format": "decimal"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (set[str], {"type": "array", "items": {"type": "string"}, "uniqueItems": True}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (
            tuple[int, str],
            {
                "type": "array",
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
                "items": False,
                "minItems": 2,
                "maxItems": 2,
            },
        ),
        (tuple[()], {"type": "array", "items": False, "minItems": 0, "maxItems": 0}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (
            dict[Annotated[str, Meta(max_length=3)], Any],
            {"type": "object", "propertyNames": {"maxLength": 3}, "additionalProperties": {}},
        ),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        (Literal["b", "a"], {"type": "string", "enum": ["b", "a"]}),
        (Literal[1, "a"], {"type": ["integer", "string"], "enum": [1, "a"]}),
        (Literal["only"], {"type": "string", "const": "only"}),
        (Annotated[float, Meta(gt=0, le=1)], {"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
        (Annotated[int, Meta(multiple_of=5)], {"type": "integer", "multipleOf": 5}),
        (Annotated[list[int], Meta(min_length=1)], {"type": "array", "items": {"type": "integer"}, "minItems": 1}),
        (
            Annotated[dict[str, Any], Meta(max_length=2)],
            {"type": "object", "additionalProperties": {}, "maxProperties": 2},
        ),
        (Annotated[bytes, Meta(max_length=9)], {"type": "string", "contentEncoding": "base64"}),
        (Annotated[str, Meta(extra_json_schema={"format": "email"})], {"type": "string", "format": "email"}),
    ],
    ids=str,
)
def test_a_type_is_described(annotation: Any, schema: dict[str, Any]) -> None:
    assert plain(annotation) == schema


def test_a_field_says_what_a_form_needs() -> None:
    assert properties(Lamp) == {
        "name": {
            "title": "Its name",
            "type": "string",
            "minLength": 1,
            "maxLength": 80,
            "pattern": "^L",
            "description": "As painted.",
        },
        "watts": {"title": "Watts", "type": "integer", "minimum": 1, "exclusiveMaximum": 1000, "default": 60},
        "state": {"title": "State", "$ref": "#/components/schemas/shop_State", "default": "new"},
        "colour": {
            "title": "Colour",
            "anyOf": [{"type": "string", "enum": ["red", "blue", "amber"]}, {"type": "null"}],
            "default": None,
        },
        "price": {"title": "Price", "type": "string", "format": "decimal", "default": "1.50"},
        "tags": {"title": "Tags", "type": "array", "items": {"type": "string"}, "default": []},
        "made_on": {"title": "Made on", "type": "string", "format": "date"},
    }


def test_a_struct_has_its_docstring_and_what_it_requires() -> None:
    lamp = described(Lamp)[1]["shop_Lamp"]
    assert (lamp["description"], lamp["type"], lamp["required"]) == ("A lamp.", "object", ["name"])
    assert "additionalProperties" not in lamp


def test_a_struct_has_no_title_that_another_plugins_may_have_too() -> None:
    """Generators of clients name classes after titles, and refuse two of one name."""
    assert "title" not in described(Lamp)[1]["shop_Lamp"]


def test_the_words_of_an_enum_stay_in_the_order_of_their_author() -> None:
    components = described(list[State] | Priority)[1]
    assert components["shop_State"] == {
        "description": "How far something is.",
        "type": "string",
        "enum": ["new", "done", "asked"],
    }
    assert components["shop_Priority"]["enum"] == [2, 1]


def test_what_is_said_of_a_value_is_said_of_the_field_that_may_be_null() -> None:
    class Note(Struct):
        text: Annotated[str, Meta(title="Note", description="Plain.", max_length=9)] | None

    assert properties(Note)["text"] == {
        "title": "Note",
        "description": "Plain.",
        "anyOf": [{"type": "string", "maxLength": 9}, {"type": "null"}],
    }


def test_a_struct_may_hold_itself() -> None:
    assert properties(Node)["children"]["items"] == {"$ref": "#/components/schemas/shop_Node"}


def test_a_generic_struct_is_named_after_what_is_in_it() -> None:
    schema, components = described(Page[Box[int]])
    assert schema == {"$ref": "#/components/schemas/shop_Page_Box_int"}
    assert list(components) == ["shop_Box_int", "shop_Page_Box_int"]
    assert components["shop_Box_int"] == {
        "type": "object",
        "properties": {"firstThing": {"title": "First thing", "type": "integer"}},
        "required": ["firstThing"],
        "additionalProperties": False,
    }


def test_tagged_structs_are_told_apart_by_their_tag() -> None:
    schema, components = described(Cat | Dog | None)
    assert schema["discriminator"] == {
        "propertyName": "kind",
        "mapping": {"cat": "#/components/schemas/shop_Cat", "dog": "#/components/schemas/shop_Dog"},
    }
    assert components["shop_Cat"]["properties"]["kind"] == {"title": "Kind", "type": "string", "const": "cat"}
    assert components["shop_Dog"]["required"] == ["kind", "bark"]


def test_two_structs_of_one_name_are_told_apart_by_where_they_are() -> None:
    def first() -> Any:
        class Item(Struct):
            a: int

        return Item

    def second() -> Any:
        class Item(Struct):
            b: int

        return Item

    one, other = first(), second()
    components = described(tuple[Page[one], Page[other], one, other])[1]  # type: ignore[valid-type]
    items = [schema for schema in components.values() if "items" not in schema["properties"]]
    pages = [schema for schema in components.values() if "items" in schema["properties"]]
    assert [list(each["properties"]) for each in items] == [["a"], ["b"]]
    assert len({each["properties"]["items"]["items"]["$ref"] for each in pages}) == 2
    assert all(name.startswith("shop_") and name.replace("_", "").isalnum() for name in components)


def test_two_classes_that_nothing_tells_apart_are_counted() -> None:
    def make(field: str) -> Any:
        return msgspec.defstruct("Twin", [(field, int)], module="shop.models")

    one, other = make("a"), make("b")
    components = described(tuple[one, other])[1]
    assert sorted(components) == ["shop_shop_models_Twin", "shop_shop_models_Twin_2"]


@pytest.mark.parametrize(
    ("annotation", "required"), [(Order, ["number"]), (Address, []), (Box[str], ["firstThing"])], ids=str
)
def test_other_kinds_of_records_are_objects_too(annotation: Any, required: list[str]) -> None:
    component = next(iter(described(annotation)[1].values()))
    assert component["type"] == "object"
    assert component["required"] == required
    assert "description" not in component


@pytest.mark.parametrize(
    ("annotation", "more"), [(Pair, {}), (Point, {"items": False})], ids=["array_like", "NamedTuple"]
)
def test_records_that_are_written_as_arrays_are_arrays(annotation: Any, more: dict[str, Any]) -> None:
    component = next(iter(described(annotation)[1].values()))
    assert {key: component[key] for key in component if key != "prefixItems"} == {
        "type": "array",
        "minItems": 1,
        **more,
    }
    assert [each["type"] for each in component["prefixItems"]] == ["integer", "integer"]


def test_a_class_that_msgspec_does_not_know_is_described_by_whoever_does() -> None:
    class Holder(Struct):
        thing: complex

    assert Schemas("", str).of(complex) is None
    assert Schemas("", str).of(list[complex]) is None
    assert properties(Holder)["thing"] == {"title": "Thing", "x-custom": "complex"}


def test_a_type_that_makes_no_sense_is_left_to_others() -> None:
    assert Schemas("", str).of(Box[str] | Node) is None


def test_a_type_that_never_ends_is_an_error() -> None:
    class Deeper(Struct, Generic[T]):
        inner: Deeper[list[T]] | None = None

    Deeper.__annotations__["inner"] = Deeper[list[T]] | None  # type: ignore[valid-type]
    with pytest.raises(RecursionError):
        Schemas("", str).of(Deeper[int])


def test_a_default_that_is_no_json_goes_unsaid() -> None:
    class Odd(Struct):
        thing: Any = object()

    assert properties(Odd)["thing"] == {"title": "Thing"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("created_at", "Created at"),
        ("createdAt", "Created at"),
        ("list_people", "List people"),
        ("user-agent", "User agent"),
        ("VAT", "VAT"),
        ("id", "Id"),
        ("_", ""),
    ],
)
def test_names_are_written_for_people(name: str, text: str) -> None:
    assert words(name) == text


SCALARS = [
    (bool, st.booleans()),
    (int, st.integers(-(2**53), 2**53)),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (str, st.text()),
    (bytes, st.binary()),
    (dt.datetime, st.datetimes()),
    (dt.date, st.dates()),
    (dt.timedelta, st.timedeltas()),
    (uuid.UUID, st.uuids()),
    (decimal.Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (State, st.sampled_from(State)),
    (Literal["z", "a"], st.sampled_from(["z", "a"])),
    (Annotated[int, Meta(ge=3, lt=9)], st.integers(3, 8)),
    (Annotated[str, Meta(max_length=2)], st.text(max_size=2)),
    (Cat | Dog, st.sampled_from([Cat(), Dog("wow")])),
]
Typed = tuple[Any, "st.SearchStrategy[Any]"]


def _larger(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    """Make lists, mappings, pairs and structs of what there is, or null."""

    def struct(fields: list[Typed]) -> Typed:
        made = msgspec.defstruct("Made", [(f"field_{n}", kind) for n, (kind, _values) in enumerate(fields)])
        return made, st.builds(made, *(values for _kind, values in fields))

    def null(one: Typed) -> Typed:
        return one[0] | None, st.none() | one[1]

    return st.one_of(
        inner.map(lambda one: (list[one[0]], st.lists(one[1], max_size=3))),
        inner.map(lambda one: (dict[str, one[0]], st.dictionaries(st.text(), one[1], max_size=3))),
        inner.map(null),
        st.tuples(inner, inner).map(lambda two: (tuple[two[0][0], two[1][0]], st.tuples(two[0][1], two[1][1]))),
        st.lists(inner, max_size=4).map(struct),
        inner.map(lambda one: (Box[one[0]], st.builds(Box, one[1]))),
    )


@settings(max_examples=60)
@given(st.data())
def test_whatever_msgspec_writes_fits_the_schema(data: st.DataObject) -> None:
    annotation, values = data.draw(st.recursive(st.sampled_from(SCALARS), _larger, max_leaves=6))
    schema, components = described(annotation)
    document = msgspec.json.decode(msgspec.json.encode({**schema, "components": {"schemas": components}}))
    validator = jsonschema.Draft202012Validator(document)
    jsonschema.Draft202012Validator.check_schema(document)
    assert list(validator.iter_errors(msgspec.json.decode(msgspec.json.encode(data.draw(values))))) == []
