"""Hold plain data to a struct, and find all that does not fit at once: msgspec itself stops at the first."""

from __future__ import annotations

import copy
import re
from typing import Any, Final, NamedTuple

import msgspec
import msgspec.inspect as kinds

from plugin_host.plugins.findings import nearest

_PLACE: Final = re.compile(r"(?P<what>.*) - at (`key` in )?`(?P<path>\$.*)`", re.DOTALL)
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<key>.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(?P<key>.*)`", re.DOTALL)
_STEP: Final = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>\d+)\]")
_MOST: Final = 50


class Misfit(NamedTuple):
    """What does not fit: at which path, what, and the way out. `unknown`: a key that nobody knows."""

    path: str
    text: str
    way_out: str
    unknown: bool = False


def fit(raw: Any, struct: type[Any], word: str) -> tuple[Any, tuple[Misfit, ...]]:
    """Give the struct and what did not fit; the struct is None if more than unknown keys had to be left out.

    What does not fit is taken out, and the rest tried again. `word` names the file's schema for people.
    """
    pruned = _Pruned(copy.deepcopy(raw))
    found: list[Misfit] = []
    made = None
    for _ in range(_MOST):
        try:
            made = msgspec.convert(pruned.raw, struct)
            break
        except msgspec.ValidationError as error:
            told, key = _misfit(pruned, struct, str(error), word)
            found += [misfit for misfit in told if misfit.path not in pruned.gone]
            if not pruned.take_out(_path(str(error)), key):
                break
    return (made if all(misfit.unknown for misfit in found) else None), tuple(found)


def _path(message: str) -> str:
    placed = _PLACE.fullmatch(message)
    return placed["path"] if placed else "$"


def _misfit(pruned: _Pruned, struct: type[Any], message: str, word: str) -> tuple[list[Misfit], str | None]:
    """Word one mistake; gives the key that is to go, if it is not the place itself."""
    placed = _PLACE.fullmatch(message)
    what, path = (placed["what"], placed["path"]) if placed else (message, "$")
    shown = pruned.original(path)
    schema = f"`plugin-host schema {word}` prints what may stand there."
    if unknown := _UNKNOWN.fullmatch(what):
        key = unknown["key"]
        known = [name for name, _ in _fields(struct, pruned.raw, path)]
        way_out = nearest(key, known, "keys there")
        return [Misfit(f"{shown}.{key}", f"unknown key {key!r}", way_out, unknown=True)], key
    if missing := _MISSING.fullmatch(what):
        there = pruned.find(path)
        required = [name for name, is_required in _fields(struct, pruned.raw, path) if is_required]
        names = [name for name in required if name not in there] if isinstance(there, dict) else []
        gone = pruned.gone
        keys = [name for name in names or [missing["key"]] if f"{shown}.{name}" not in gone]
        return [Misfit(shown, f"the key {key!r} is missing", f"Add it; {schema}") for key in keys], None
    return [Misfit(shown, what[:1].lower() + what[1:], schema)], None


class _Pruned:
    """Data of which parts are taken out; `gone` are the paths of these, as they were in the whole."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.gone: set[str] = set()
        self._indices: dict[int, list[int]] = {}

    def find(self, path: str) -> Any:
        at = self.raw
        for step in _STEP.finditer(path):
            at = at[int(step["index"])] if step["index"] else at.get(step["key"])
        return at

    def original(self, path: str) -> str:
        """Spell a path as it was before list items were taken out."""
        at, spelled = self.raw, "$"
        for step in _STEP.finditer(path):
            if step["index"]:
                index = int(step["index"])
                spelled += f"[{self._of(at)[index]}]"
                at = at[index]
            else:
                spelled += f".{step['key']}"
                at = at.get(step["key"])
        return spelled + ("[...]" if path.endswith("[...]") else "")

    def take_out(self, path: str, key: str | None) -> bool:
        """Take out a key of the object at a path, or what is at the path; False if that would be everything."""
        path = path.partition("[...]")[0]
        if key is not None:
            self.find(path).pop(key, None)
            return True
        steps = list(_STEP.finditer(path))
        if not steps:
            return False
        self.gone.add(self.original(path))
        above, last = self.find(path[: steps[-1].start()]), steps[-1]
        if last["index"]:
            self._of(above).pop(int(last["index"]))
            above.pop(int(last["index"]))
        else:
            above.pop(last["key"], None)
        return True

    def _of(self, items: list[Any]) -> list[int]:
        return self._indices.setdefault(id(items), list(range(len(items))))


def _fields(struct: type[Any], raw: Any, path: str) -> list[tuple[str, bool]]:
    """Name the keys that the object at a path may have, each with whether it must be there."""
    kind: Any = kinds.type_info(struct)
    for step in _STEP.finditer(path):
        chosen = _choose(kind, raw)
        if step["index"]:
            kind, raw = getattr(chosen, "item_type", None), raw[int(step["index"])]
        elif isinstance(chosen, kinds.StructType):
            kind = next((field.type for field in chosen.fields if field.encode_name == step["key"]), None)
            raw = raw.get(step["key"])
        else:
            return []
    chosen = _choose(kind, raw)
    if not isinstance(chosen, kinds.StructType):
        return []
    tag = [(chosen.tag_field, True)] if chosen.tag_field else []
    return [*tag, *((field.encode_name, field.required) for field in chosen.fields)]


def _choose(kind: Any, raw: Any) -> Any:
    """Of several types, give the struct whose tag the data has, else the first struct."""
    while isinstance(kind, kinds.Metadata):
        kind = kind.type
    if not isinstance(kind, kinds.UnionType):
        return kind
    structs = [choice for choice in kind.types if isinstance(choice, kinds.StructType)]
    said = raw if isinstance(raw, dict) else {}
    tagged = [choice for choice in structs if choice.tag_field and said.get(choice.tag_field) == choice.tag]
    return next(iter([*tagged, *structs]), None)
