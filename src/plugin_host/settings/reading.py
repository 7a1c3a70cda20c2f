"""Read settings from a TOML file and from variables, for any tree of structs, in three steps.

1. Each place is flattened into leaves, `("server", "port") -> 8080`, each with the place that said it;
2. each leaf is checked against the type of its field, so that an error names key, place and way out;
3. leaves of the environment replace those of the file.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple, TypeAlias, get_args, get_origin

import msgspec

from plugin_host.settings.wording import takes_text, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

PREFIX: Final = "PLUGIN_HOST_"
FILE_NAME: Final = "plugin-host.toml"

# Variables with the prefix that are not settings: where the file is, the demonstration's password, tests.
_NOT_SETTINGS: Final = re.compile(r"PLUGIN_HOST_(CONFIG|DEMO_PASSWORD|TEST_\w+)")

Key: TypeAlias = tuple[str, ...]
Root: TypeAlias = type[msgspec.Struct]


class SettingsError(Exception):
    """The settings cannot be used: one line that says what is wrong, where it stands, and the way out."""


class Leaf(NamedTuple):
    """One value, the file or variable that said it, and whether it was read from a file of its own."""

    value: Any
    source: str
    secret: bool = False


def read(root: Root, config: str | Path | None, environ: Mapping[str, str], folder: Path) -> dict[Key, Leaf]:
    """Read file and environment; every leaf fits the type that `root` has there. Raises `SettingsError`."""
    leaves: dict[Key, Leaf] = {}
    for said in (_read_file(root, config, environ, folder), _read_environment(root, environ)):
        layer = _layer(root, said, folder)
        for key, leaf in layer.items():
            _check(root, key, leaf)
        leaves |= layer
    _check_whole(root, leaves)
    return leaves


def secret_files(
    root: Root, config: str | Path | None, environ: Mapping[str, str], folder: Path | None = None
) -> list[tuple[str, Path]]:
    """List the files that values are read from: the name of each setting (`secret_key`), and its file."""
    folder = folder or Path()
    said = [*_read_file(root, config, environ, folder), *_read_environment(root, environ)]
    targets = ((_file_target(root, key), leaf) for key, leaf in said)
    return [(".".join(target), folder / str(leaf.value)) for target, leaf in targets if target is not None]


def tree_of(leaves: Mapping[Key, Leaf]) -> dict[str, Any]:
    """Build the nested tables that the leaves came from; where two disagree about the shape, the later one wins."""
    root: dict[str, Any] = {}
    for key, leaf in leaves.items():
        table = root
        for word in key[:-1]:
            if not isinstance(table.get(word), dict):
                table[word] = {}
            table = table[word]
        if leaf.value != {} or not isinstance(table.get(key[-1]), dict):
            table[key[-1]] = leaf.value
    return root


def flatten(root: Root, value: Any, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Give the leaves below a key; what is no table stays whole, and so does a named section that is empty."""
    if isinstance(value, dict) and _is_table(_type_at(root, key)) and not (value == {} and _is_named(root, key)):
        for word, part in value.items():
            yield from flatten(root, part, (*key, word))
    else:
        yield key, value


def named_section(kind: Any) -> Root | None:
    """Give the struct of each section where there are several of a kind, as in `dict[str, Remote]`; else None."""
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    inner = get_args(bare)[1] if get_origin(bare) is dict else None
    return inner if _is_section(inner) else None


def fields_of(root: Root, above: Key = ()) -> Iterator[tuple[Key, msgspec.structs.FieldInfo]]:
    """Give every field that is not a section itself, with its key."""
    for field in msgspec.structs.fields(root):
        if _is_section(field.type):
            yield from fields_of(field.type, (*above, field.name))
        else:
            yield (*above, field.name), field


# -- the two places ----------------------------------------------------------------------------------------


def _read_file(
    root: Root, config: str | Path | None, environ: Mapping[str, str], folder: Path
) -> list[tuple[Key, Leaf]]:
    named = config or environ.get(f"{PREFIX}CONFIG")
    path = Path(named or FILE_NAME)
    if not named and not (folder / path).is_file():
        return []
    try:
        # Windows editors put a byte order mark in front, which TOML does not know.
        tree = tomllib.loads((folder / path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        by = "--config" if config else f"{PREFIX}CONFIG"
        msg = f"{path}: the settings file cannot be read ({error.strerror}); correct the path in {by}"
        raise SettingsError(msg) from None
    except ValueError as error:  # of TOML or of UTF-8
        msg = f"{path}: the settings file is not valid TOML: {error}"
        raise SettingsError(msg) from None
    return [(key, Leaf(value, str(path))) for key, value in flatten(root, tree)]


def _read_environment(root: Root, environ: Mapping[str, str]) -> list[tuple[Key, Leaf]]:
    said: list[tuple[Key, Leaf]] = []
    # Sorted, so that PLUGIN_HOST_SERVER='{…}' comes before PLUGIN_HOST_SERVER__PORT, which is more exact.
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        if not _NOT_SETTINGS.fullmatch(name):
            key = tuple(name.removeprefix(PREFIX).lower().split("__"))
            value = _parse_variable(root, name, key, environ[name])
            said += [(leaf, Leaf(part, name)) for leaf, part in flatten(root, value, key)]
    return said


def _parse_variable(root: Root, name: str, key: Key, raw: str) -> Any:
    """Read text fields as they are and everything else as JSON; a plugin's fields as JSON if they are that."""
    kind = _type_at(root, _file_target(root, key) or key)
    if kind is None or takes_text(kind):  # an unknown name is refused later, whatever its value
        return raw
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        if kind is Any:
            return raw
        msg = f"{name}: {'.'.join(key)} takes {words(kind)} written as JSON, not {raw!r}"
        raise SettingsError(msg) from None


def _layer(root: Root, said: Iterable[tuple[Key, Leaf]], folder: Path) -> dict[Key, Leaf]:
    """Make one place's leaves a mapping; `<name>_file` becomes `<name>` with the file's content."""
    leaves: dict[Key, Leaf] = {}
    files: dict[Key, Leaf] = {}
    for key, leaf in said:
        target = _file_target(root, key)
        if target is None:
            leaves[key] = leaf
        else:
            files[target] = leaf
    for key, leaf in files.items():
        name = ".".join(key)
        if key in leaves:
            msg = f"{leaf.source}: {name} and {name}_file are both given; remove one of them"
            raise SettingsError(msg)
        leaves[key] = Leaf(_read_secret(name, leaf, folder), leaf.source, secret=True)
    return leaves


def _read_secret(name: str, leaf: Leaf, folder: Path) -> str:
    try:
        text = (folder / str(leaf.value)).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        msg = f"{leaf.source}: {name}_file: {leaf.value} cannot be read ({why}); correct the path or its rights"
        raise SettingsError(msg) from None
    return text.removesuffix("\n").removesuffix("\r")


# -- keys and types ----------------------------------------------------------------------------------------


def _type_at(root: Root, key: Key) -> Any:
    """Give the type that the value of a key must fit; None if there is no such key, Any where all is free."""
    kind: Any = root
    for word in key:
        bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
        if _is_section(bare):
            kind = next((field.type for field in msgspec.structs.fields(bare) if field.name == word), None)
        elif get_origin(bare) is dict:
            kind = get_args(bare)[1]
        elif bare is not Any:
            return None
    return kind


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _is_named(root: Root, key: Key) -> bool:
    """Tell whether a key names one of several sections of a kind, as `[remote.<id>]` does."""
    above = _type_at(root, key[:-1])
    bare = get_args(above)[0] if get_origin(above) is Annotated else above
    return bool(key) and get_origin(bare) is dict and _is_section(_type_at(root, key))


def _is_table(kind: Any) -> bool:
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    return bare is Any or _is_section(bare) or get_origin(bare) is dict


def _file_target(root: Root, key: Key) -> Key | None:
    """Give the key whose value stands in the file that this key names: `database` of `database_file`."""
    target = (*key[:-1], key[-1].removesuffix("_file"))
    if target == key or _type_at(root, key) not in (None, Any):
        return None
    kind = _type_at(root, target)
    return target if kind is Any or (kind is not None and takes_text(kind)) else None


def _check(root: Root, key: Key, leaf: Leaf) -> None:
    name = ".".join(key)
    kind = _type_at(root, key)
    if kind is None:
        raise SettingsError(_unknown(root, key, leaf.source))
    if leaf.value == {} and _is_named(root, key):
        return  # what it lacks, another place may say
    try:
        msgspec.convert(leaf.value, kind)
    except msgspec.ValidationError as error:
        msg = f"{leaf.source}: {name}: {error}; it takes {words(kind)}"
        raise SettingsError(msg) from None


def _check_whole(root: Root, leaves: Mapping[Key, Leaf]) -> None:
    """Refuse a section without what it must have, whichever place named it."""
    for key, leaf in leaves.items():
        for end in range(1, len(key) + 1):
            kind = _type_at(root, key[:end])
            for field in msgspec.structs.fields(kind) if _is_section(kind) else ():
                needed = (*key[:end], field.name)
                if field.required and not any(other[: end + 1] == needed for other in leaves):
                    msg = f"{leaf.source}: {'.'.join(needed)} is missing; it takes {words(field.type)}"
                    raise SettingsError(msg)


def _unknown(root: Root, key: Key, source: str) -> str:
    name = ".".join(key)
    known = [".".join(field) for field, _ in fields_of(root)]
    if _is_named(root, key[:-1]):
        known = [".".join((*key[:-1], field.name)) for field in msgspec.structs.fields(_type_at(root, key[:-1]))]
    if source.startswith(PREFIX):
        name, known = source, [PREFIX + each.upper().replace(".", "__") for each in known]
    near = difflib.get_close_matches(name, known, 1)
    way_out = f"did you mean {near[0]}?" if near else "remove it; `plugin-host config show` lists all settings"
    return f"{source}: unknown setting {name}; {way_out}"
