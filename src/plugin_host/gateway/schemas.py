"""JSON Schema of what routes read and write: of the types as msgspec understands them, since msgspec does both.

Litestar describes the same types by rules of its own, and says less: no format of a decimal, no defaults of lists, no
discriminators, nothing of what a struct's docstring says. Forms and columns are made of this, so it says all there is.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import inspect as types

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

COMPONENTS: Final = "#/components/schemas/"

_SCALARS: Final[Mapping[type[types.Type], Mapping[str, Any]]] = {
    types.AnyType: {},
    types.RawType: {},
    types.NoneType: {"type": "null"},
    types.BoolType: {"type": "boolean"},
    types.IntType: {"type": "integer"},
    types.FloatType: {"type": "number"},
    types.StrType: {"type": "string"},
    types.BytesType: {"type": "string", "contentEncoding": "base64"},
    types.ByteArrayType: {"type": "string", "contentEncoding": "base64"},
    types.MemoryViewType: {"type": "string", "contentEncoding": "base64"},
    types.DateTimeType: {"type": "string", "format": "date-time"},
    types.TimeType: {"type": "string", "format": "time"},
    types.DateType: {"type": "string", "format": "date"},
    types.TimeDeltaType: {"type": "string", "format": "duration"},
    types.UUIDType: {"type": "string", "format": "uuid"},
    types.DecimalType: {"type": "string", "format": "decimal"},
}
_NAMED: Final = (types.StructType, types.DataclassType, types.TypedDictType, types.NamedTupleType, types.EnumType)
_SAID_OF_FIELDS: Final[tuple[str, ...]] = ("title", "description", "examples", "deprecated")
_NUMBERS: Final = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
_SIZES: Final[Mapping[str, tuple[str, str]]] = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}
_JSON_TYPES: Final = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_WITHIN: Final = "\0"  # what stands under this key is poured out when it is finished
_EMPTY: Final = (list, dict, set, tuple)
_KEY: Final = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Named:
    """A place where a component will be referred to, once it is known what it is called."""

    cls: Any


class Schemas:
    """The schemas of one document: `of` gives one, `components` those that have names.

    `custom` describes a class that msgspec does not know, as a mapping or as whatever `finish` turns into one.
    What `of` gives is finished by `finish`, when all types are known: only then it is clear what each is called.
    """

    def __init__(self, prefix: str, custom: Callable[[type], object]) -> None:
        self._prefix = prefix
        self._custom = custom
        self._known: dict[Any, dict[str, Any]] = {}
        self._waiting: list[Any] = []
        self._named: dict[Any, str] = {}
        self._orders: dict[frozenset[Any], tuple[Any, ...]] = {}

    def of(self, annotation: Any) -> dict[str, Any] | None:
        """Describe a type; None if msgspec does not know it. Raises `RecursionError` for one that never ends."""
        try:
            found = types.type_info(annotation)
        except (TypeError, NameError, AttributeError, ValueError):
            return None  # whatever made it so; Litestar may know more
        if _is_unknown(found):
            return None
        self._note(annotation)
        made = self._of(found)
        while self._waiting:
            named = self._waiting.pop()
            self._known[named.cls].update(self._component(named))
        return made

    def components(self) -> dict[str, dict[str, Any]]:
        """Give the schemas with names, by name, in the order of the names."""
        names = self.names()
        return {names[cls]: self.finish(self._known[cls]) for cls in sorted(self._known, key=names.__getitem__)}

    def names(self) -> Mapping[Any, str]:
        """Name each type: `<prefix><class>`; those of one name are told apart by their modules."""
        if len(self._named) != len(self._known):
            short: dict[str, list[Any]] = {}
            for cls in self._known:
                short.setdefault(_name(cls), []).append(cls)
            free = itertools.count(2)
            taken: dict[str, Any] = {}
            for name, classes in short.items():
                for cls in classes:
                    wanted = self._prefix + (name if len(classes) == 1 else _full(cls))
                    taken[wanted if wanted not in taken else f"{wanted}_{next(free)}"] = cls
            self._named = {cls: name for name, cls in taken.items()}
        return self._named

    def finish(self, value: Any) -> Any:
        """Make plain JSON values of a schema, and of what is beside it."""
        if isinstance(value, Named):
            return COMPONENTS + self.names()[value.cls]
        if isinstance(value, dict):
            made = {key: self.finish(each) for key, each in value.items() if key != _WITHIN}
            return {**self.finish(value[_WITHIN]), **made} if _WITHIN in value else made
        if isinstance(value, list | tuple):
            return [self.finish(each) for each in value]
        if hasattr(value, "to_schema"):
            return self.finish(value.to_schema())
        return value if isinstance(value, str | int | float | None) else msgspec.to_builtins(value, enc_hook=str)

    # -- one type ----------------------------------------------------------------------------------------

    def _of(self, found: types.Type) -> dict[str, Any]:
        said: dict[str, Any] = {}
        while isinstance(found, types.Metadata):
            said = {**(found.extra_json_schema or {}), **said}
            found = found.type
        if isinstance(found, _NAMED):
            if found.cls not in self._known:
                self._known[found.cls] = {}
                self._waiting.append(found)
            return {"$ref": Named(found.cls), **said}
        return {**self._plain(found), **said}

    def _plain(self, found: types.Type) -> dict[str, Any]:
        if type(found) in _SCALARS:
            return _limited(dict(_SCALARS[type(found)]), found)
        if isinstance(found, types.CollectionType):
            unique = {"uniqueItems": True} if isinstance(found, types.SetType | types.FrozenSetType) else {}
            return _limited({"type": "array", "items": self._of(found.item_type), **unique}, found)
        if isinstance(found, types.TupleType):
            size = len(found.item_types)
            items: dict[str, Any] = {"prefixItems": [self._of(each) for each in found.item_types]} if size else {}
            return {"type": "array", **items, "items": False, "minItems": size, "maxItems": size}
        if isinstance(found, types.DictType):
            return _limited({"type": "object", **self._entries(found)}, found)
        if isinstance(found, types.UnionType):
            return self._union(found)
        if isinstance(found, types.LiteralType):
            return _choice(self._orders.get(frozenset(found.values), found.values))
        if isinstance(found, types.CustomType):
            return {_WITHIN: self._custom(found.cls)}
        return {}

    def _note(self, annotation: Any) -> None:
        """Note in which order the author wrote the words of a `Literal`: msgspec sorts them, people do not."""
        inner = get_args(annotation)
        if get_origin(annotation) is Literal:
            self._orders[frozenset(inner)] = inner
            return
        for each in inner:
            self._note(each)

    def _entries(self, found: types.DictType) -> dict[str, Any]:
        keys = {key: value for key, value in self._of(found.key_type).items() if key != "type"}
        entries = {"additionalProperties": self._of(found.value_type)}
        return {"propertyNames": keys, **entries} if keys else entries

    def _union(self, found: types.UnionType) -> dict[str, Any]:
        members = [each for each in found.types if not isinstance(each, types.NoneType)]
        null = [{"type": "null"}] if found.includes_none else []
        if len(members) == 1:  # what is said of the value is said of the field, whether it may be null or not
            inner = self._of(members[0])
            outer = {key: inner.pop(key) for key in _SAID_OF_FIELDS if key in inner}
            return {"anyOf": [inner, *null], **outer}
        return {"anyOf": [*(self._of(each) for each in members), *null], **_discriminator(members)}

    # -- components --------------------------------------------------------------------------------------

    def _component(self, found: Any) -> dict[str, Any]:
        origin = getattr(found.cls, "__origin__", found.cls)
        with contextlib.suppress(NameError, TypeError):  # msgspec has read it somehow; only the order is at stake
            for hint in get_type_hints(origin, include_extras=True).values():
                self._note(hint)
        # Without a title: generators would name classes after it, and other plugins have classes of that name too.
        said: dict[str, Any] = _manual(origin)
        if isinstance(found, types.EnumType):
            return {**said, **_choice([each.value for each in found.cls])}
        fields = {field.encode_name: self._field(field) for field in found.fields}
        required = [field.encode_name for field in found.fields if field.required]
        tag = getattr(found, "tag_field", None)
        if tag is not None:
            fields = {tag: {**_choice([found.tag]), "title": words(tag)}, **fields}
            required.insert(0, tag)
        strict = getattr(found, "forbid_unknown_fields", False)
        if isinstance(found, types.NamedTupleType) or getattr(found, "array_like", False):
            last = {"items": False} if strict or isinstance(found, types.NamedTupleType) else {}
            return {**said, "type": "array", "prefixItems": list(fields.values()), "minItems": len(required), **last}
        closed = {"additionalProperties": False} if strict else {}
        return {**said, "type": "object", "properties": fields, "required": required, **closed}

    def _field(self, field: types.Field) -> dict[str, Any]:
        schema = {"title": words(field.encode_name), **self._of(field.type)}
        if field.required or field.default is msgspec.UNSET:
            return schema
        default = field.default
        if default is msgspec.NODEFAULT and field.default_factory in _EMPTY:
            default = field.default_factory()
        with contextlib.suppress(TypeError, ValueError):  # one that is no JSON goes unsaid
            if default is not msgspec.NODEFAULT:
                schema["default"] = msgspec.to_builtins(default, str_keys=True)
        return schema


def words(name: str) -> str:
    """Write a name for people: `created_at` and `createdAt` are `Created at`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ").strip()
    spaced = " ".join(word if word.isupper() else word.lower() for word in spaced.split())
    return spaced[:1].upper() + spaced[1:]


def _is_unknown(found: types.Type) -> bool:
    """Tell whether the type is a class that msgspec does not know, or a collection of such."""
    while isinstance(found, types.Metadata):
        found = found.type
    if isinstance(found, types.CollectionType):
        return _is_unknown(found.item_type)
    if isinstance(found, types.DictType):
        return _is_unknown(found.value_type)
    return isinstance(found, types.CustomType)


def _limited(schema: dict[str, Any], found: Any) -> dict[str, Any]:
    for word, key in _NUMBERS.items():
        if getattr(found, word, None) is not None:
            schema[key] = getattr(found, word)
    if schema.get("contentEncoding") != "base64":  # there the limits are of what is encoded
        for word, key in zip(("min_length", "max_length"), _SIZES.get(str(schema.get("type")), ()), strict=False):
            if getattr(found, word, None) is not None:
                schema[key] = getattr(found, word)
    if getattr(found, "pattern", None) is not None:
        schema["pattern"] = found.pattern
    return schema


def _choice(values: Iterable[Any]) -> dict[str, Any]:
    """Describe one value of several."""
    listed = list(values)
    kinds = list(dict.fromkeys(_JSON_TYPES.get(type(value), "") for value in listed))
    schema: dict[str, Any] = {"const": listed[0]} if len(listed) == 1 else {"enum": listed}
    return schema if "" in kinds or not kinds else {"type": kinds[0] if len(kinds) == 1 else kinds, **schema}


def _discriminator(members: Iterable[types.Type]) -> dict[str, Any]:
    """Say which field tells tagged structs apart."""
    structs = [each for each in members if isinstance(each, types.StructType) and each.tag_field is not None]
    if len(structs) < 2:  # noqa: PLR2004 - one is told apart by being an object
        return {}
    mapping = {str(each.tag): Named(each.cls) for each in structs}
    return {"discriminator": {"propertyName": structs[0].tag_field, "mapping": mapping}}


def _manual(cls: type) -> dict[str, str]:
    """Give what the author wrote about a class; dataclasses and enums write something by themselves."""
    said = inspect.cleandoc(cls.__doc__ or "")
    return {"description": said} if said and not said.startswith((f"{cls.__name__}(", "An enumeration.")) else {}


def _title(cls: Any) -> str:
    if isinstance(cls, type) and not hasattr(cls, "__origin__"):
        return cls.__name__
    inner = ", ".join(_title(each) for each in getattr(cls, "__args__", ()))
    name = getattr(getattr(cls, "__origin__", cls), "__name__", None) or repr(cls)
    return f"{name}[{inner}]" if inner else name


def _name(cls: Any) -> str:
    return _KEY.sub("_", _title(cls)).strip("_") or "Schema"


def _full(cls: Any) -> str:
    """Spell a type, and those in it, with module and place."""
    origin = getattr(cls, "__origin__", cls)
    inner = [_full(each) for each in getattr(cls, "__args__", ())]
    place = f"{getattr(origin, '__module__', '')}.{getattr(origin, '__qualname__', repr(origin))}".replace(
        "<locals>.", ""
    )
    return _KEY.sub("_", "_".join([place, *inner])).strip("_").replace(".", "_")
