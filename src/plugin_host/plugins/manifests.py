"""Read a plugin's three JSON files, without importing it. A bad file is a value, not a crash.

1. Each file is taken from the candidate's folder, or from its object, and decoded into plain data within bounds;
2. the data is held to the structs of `sdk.manifest`: types, and no unknown keys;
3. what the files say is held against itself and against the package (`consistency`).
Every finding of a step is told at once, each with file, JSON path and the way out.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from typing import Any, Final

import msgspec

from plugin_host.plugins import consistency
from plugin_host.plugins.discovery import MAX_BYTES
from plugin_host.plugins.findings import Finding, Findings, file_label, nearest
from plugin_host.plugins.plan import Candidate, Found
from plugin_host.sdk.manifest import ID_PATTERN, MenuFile, PermissionsFile, PluginManifest

MAX_DEPTH: Final = 40
"""How deep lists and objects of a file may be nested."""

# Opened once and looked at then: a pipe in the place of a file must not be waited for, and every start reads
# three files of every plugin. The last two are not known on every system.
_READ: Final = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_PLACE: Final = re.compile(r"(?P<what>.*) - at (`key` in )?`(?P<path>\$.*)`", re.DOTALL)
_UNKNOWN_KEY: Final = re.compile(r"Object contains unknown field `(?P<key>.*)`", re.DOTALL)
_MISSING_KEY: Final = re.compile(r"Object missing required field `(?P<key>.*)`", re.DOTALL)
_STEP: Final = re.compile(r"\.(?P<key>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]")


def read(candidate: Candidate) -> Found:
    """Read and check the files of a candidate. Never raises: what is wrong is the `fault` of what it returns."""
    if candidate.fault is not None:
        return Found(candidate=candidate, fault=candidate.fault)
    if candidate.source == "remote":
        return Found(candidate=candidate)  # it has no files here; the resolver says the rest
    findings = Findings(candidate.id)
    manifest = _decoded("plugin", PluginManifest, candidate, findings)
    permissions = _decoded("permissions", PermissionsFile, candidate, findings) or PermissionsFile()
    menu = _decoded("menu", MenuFile, candidate, findings) or MenuFile()
    if manifest is not None and not findings:
        consistency.check(candidate, manifest, permissions, menu, findings)
    return Found(
        candidate=candidate,
        manifest=manifest,
        permissions=permissions,
        menu=menu,
        fault=findings.reason(),
    )


def _decoded(word: str, struct: type[Any], candidate: Candidate, findings: Findings) -> Any:
    """Give the struct of one file; None if it is not there, or if it is wrong (then that is found)."""
    label = file_label(candidate, word)
    try:
        raw = _raw(word, candidate)
        return None if raw is None else msgspec.convert(raw, struct)
    except msgspec.ValidationError as error:
        findings.add(_mismatch(label, word, struct, raw, str(error)))
    except _Unreadable as error:
        findings.add(Finding(label, "", str(error), error.way_out))
    return None


class _Unreadable(Exception):
    def __init__(self, text: str, way_out: str = "") -> None:
        super().__init__(text)
        self.way_out = way_out or "Make it a JSON object; `plugin-host schema` prints what may stand in it."


def _raw(word: str, candidate: Candidate) -> Any:
    """Give a file's content as plain data, None if it may be missing and is; raises `_Unreadable`."""
    if candidate.source == "object":
        raw = _from_object(candidate.obj, "manifest" if word == "plugin" else word)
        missing = "it is missing: a plugin object says there what plugin.json would say"
    else:
        raw = _from_file(f"{candidate.folder}/{word}.json") if candidate.folder is not None else None
        missing = f"plugin.json is missing in {candidate.folder}"
    if raw is None and word == "plugin":
        raise _Unreadable(missing, "Add it; in a wheel, see that the build packs it (setuptools leaves it out).")
    _check_depth(raw)
    return raw


def _from_object(obj: object, name: str) -> Any:
    try:
        said = getattr(obj, name, None)
        return said if said is None else dict(said)
    except Exception as error:
        raise _Unreadable(f"it is no mapping ({type(error).__name__}: {error})") from error


def _from_file(path: str) -> Any:
    try:
        opened = os.open(path, _READ)
        try:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise _Unreadable("it is no regular file")
            with os.fdopen(opened, "rb", closefd=False) as file:
                content = file.read(MAX_BYTES + 1)
        finally:
            os.close(opened)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _Unreadable(f"it cannot be read ({error.strerror})", "Make it readable for the host.") from error
    if len(content) > MAX_BYTES:
        raise _Unreadable(f"it is larger than {MAX_BYTES:,} bytes")
    try:
        return msgspec.json.decode(content.removeprefix(codecs.BOM_UTF8))  # Windows editors put the mark in front
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _Unreadable(f"it is no JSON: {error}", "Correct the syntax.") from error


def _check_depth(raw: Any) -> None:
    """Refuse what is nested too deep (an object's mapping may even hold itself)."""
    level = [raw]
    for _depth in range(MAX_DEPTH):
        level = [
            part
            for whole in level
            if isinstance(whole, dict | list | tuple)
            for part in (whole.values() if isinstance(whole, dict) else whole)
        ]
        if not level:
            return
    raise _too_deep()


def _too_deep() -> _Unreadable:
    return _Unreadable(f"it is nested deeper than {MAX_DEPTH} levels", "Keep data of your own outside of it.")


# -- wording ------------------------------------------------------------------------------------------------


def _mismatch(label: str, word: str, struct: type[Any], raw: Any, message: str) -> Finding:
    """Word what msgspec says about data that does not fit, with the nearest key that is known there."""
    placed = _PLACE.fullmatch(message)
    what, path = (placed["what"], placed["path"]) if placed else (message, "$")
    schema = f"`plugin-host schema {word}` prints what may stand there."
    if unknown := _UNKNOWN_KEY.fullmatch(what):
        known = _known_keys(struct, raw, path)
        return Finding(label, path, f"unknown key {unknown['key']!r}", nearest(unknown["key"], known, "keys there"))
    if missing := _MISSING_KEY.fullmatch(what):
        return Finding(label, path, f"the key {missing['key']!r} is missing", f"Add it; {schema}")
    if ID_PATTERN in what:
        return Finding(label, path, consistency.BAD_ID, consistency.GOOD_ID)
    return Finding(label, path, what[:1].lower() + what[1:], schema)


def _known_keys(struct: type[Any], raw: Any, path: str) -> list[str]:
    """Name the keys that the object at a path may have, following the data where there is a choice of structs."""
    import msgspec.inspect  # noqa: PLC0415 - only a mistake pays for it

    kind: Any = msgspec.inspect.type_info(struct)
    for step in _STEP.finditer(path):
        kind, raw = _step(msgspec.inspect, kind, raw, step)
    chosen = _choose(msgspec.inspect, kind, raw)
    if not isinstance(chosen, msgspec.inspect.StructType):
        return []
    return [field.encode_name for field in chosen.fields] + ([chosen.tag_field] if chosen.tag_field else [])


def _step(kinds: Any, kind: Any, raw: Any, step: re.Match[str]) -> tuple[Any, Any]:
    chosen = _choose(kinds, kind, raw)
    if isinstance(chosen, kinds.StructType) and step["key"]:
        inner = next((field.type for field in chosen.fields if field.encode_name == step["key"]), None)
        return inner, raw.get(step["key"])
    if isinstance(chosen, kinds.VarTupleType) and step["index"]:
        return chosen.item_type, raw[int(step["index"])]
    return None, None


def _choose(kinds: Any, kind: Any, raw: Any) -> Any:
    """Of several types, give the struct whose tag the data has, else the only one that fits its shape."""
    while isinstance(kind, kinds.Metadata):
        kind = kind.type
    if not isinstance(kind, kinds.UnionType):
        return kind
    structs = [choice for choice in kind.types if isinstance(choice, kinds.StructType)]
    tagged = [choice for choice in structs if choice.tag_field and _tag(raw, choice.tag_field) == choice.tag]
    return next(iter([*tagged, *structs]), None)


def _tag(raw: Any, tag_field: str) -> Any:
    return raw.get(tag_field) if isinstance(raw, dict) else None
