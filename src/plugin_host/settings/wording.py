"""What a field takes, in words: for errors and for the reference."""

from __future__ import annotations

from typing import Any

from msgspec import inspect as shapes


def words(kind: Any) -> str:
    """Say what a value of the type is: `a whole number from 0 to 65535`, `"auto" or "check"`."""
    return _words(shapes.type_info(kind))


def takes_text(kind: Any) -> bool:
    """Tell whether a string fits the type as it is, so that a variable needs no JSON quotes."""
    return any(isinstance(part, shapes.StrType | shapes.LiteralType) for part in _parts(shapes.type_info(kind)))


def _parts(kind: shapes.Type) -> list[shapes.Type]:
    """Take off descriptions and `None`; a union gives its members."""
    if isinstance(kind, shapes.Metadata):
        return _parts(kind.type)
    if isinstance(kind, shapes.UnionType):
        return [part for member in kind.types for part in _parts(member)]
    return [] if isinstance(kind, shapes.NoneType) else [kind]


def _words(kind: shapes.Type) -> str:
    return " or ".join(_word(part) for part in _parts(kind))


def _word(kind: shapes.Type) -> str:
    if isinstance(kind, shapes.LiteralType):
        return " or ".join(f'"{value}"' for value in kind.values)
    if isinstance(kind, shapes.VarTupleType):
        return f"a list of {_words(kind.item_type)}s"
    if isinstance(kind, shapes.IntType | shapes.FloatType):
        word = "a whole number" if isinstance(kind, shapes.IntType) else "a number"
        bounds = {"from": kind.ge, "above": kind.gt, "to": kind.le}
        return " ".join([word, *(f"{name} {bound}" for name, bound in bounds.items() if bound is not None)])
    return {shapes.StrType: "text", shapes.BoolType: "true or false"}.get(type(kind), "a table")
