"""Settings: a frozen value that is handed down, never a global.

`Settings()` is all defaults and reads nothing. `Settings.load()` reads plugin-host.toml and then the
`PLUGIN_HOST_…` variables, in three steps:
1. each place is flattened into leaves, `("server", "port") -> 8080`, each with the place that said it;
2. each leaf is checked against the type of its field, so that an error can name key and place;
3. the leaves of later places replace those of earlier ones, and the struct is built.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeAlias

import msgspec
from msgspec import Meta
from msgspec import inspect as shapes

PREFIX: Final = "PLUGIN_HOST_"
FILE_NAME: Final = "plugin-host.toml"
DEFAULT: Final = "default"

# Variables with the prefix that are not settings: where the settings are, the demonstration's password, tests.
_NOT_SETTINGS: Final = re.compile(r"PLUGIN_HOST_(CONFIG|DEMO_PASSWORD|TEST_\w+)")
_SECRET_WORD: Final = re.compile(r"secret|password|token|key\b|credential", re.IGNORECASE)

Key: TypeAlias = tuple[str, ...]
Text: TypeAlias = Annotated[str, Meta(min_length=1)]


class SettingsError(Exception):
    """The settings cannot be used: one line that says what is wrong, where it stands, and the way out."""


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    def __post_init__(self) -> None:
        """Hold values given in code to the same rules as those of a file: types alone do not run."""
        for field in msgspec.structs.fields(self):
            try:
                value = msgspec.convert(getattr(self, field.name), field.type)
            except msgspec.ValidationError as error:
                msg = f"{type(self).__name__}({field.name}=…): {error}"
                raise SettingsError(msg) from None
            msgspec.structs.force_setattr(self, field.name, value)


class Server(_Section, frozen=True):
    """`[server]`: how `plugin-host serve` listens. An embedding application has its own server."""

    host: Annotated[Text, Meta(description="Address to listen on; `0.0.0.0` is every network of the machine.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 takes a free one.")] = 8000
    workers: Annotated[
        int, Meta(ge=1, le=64, description="Processes that serve. SQLite lets one write at a time: leave it at 1 there.")
    ] = 1
    graceful_timeout: Annotated[
        int, Meta(ge=0, description="Seconds that running requests are given when a plugin or the server stops.")
    ] = 10
    hosts: Annotated[
        tuple[Text, ...],
        Meta(description="Host names that requests may be sent to; others get 400. Empty: any name, for trying out."),
    ] = ()
    trusted_proxies: Annotated[
        tuple[Text, ...],
        Meta(description="Addresses of proxies whose `X-Forwarded-…` headers are believed. Empty: none."),
    ] = ()


class Loader(_Section, frozen=True):
    """`[loader]`: which plugins are looked for and run."""

    folders: Annotated[
        tuple[Text, ...], Meta(description="Folders whose sub-folders are plugins, beside those that pip installed.")
    ] = ()
    disabled: Annotated[
        tuple[Text, ...], Meta(description="Ids of plugins that never run, whatever is wished in the running host.")
    ] = ()
    default: Annotated[
        Literal["enable", "ask"],
        Meta(description="What happens to a plugin seen for the first time: run it, or wait for consent."),
    ] = "enable"
    strict: Annotated[
        bool, Meta(description="Do not start while any plugin is parked by a fault of its own.")
    ] = False


class Migrations(_Section, frozen=True):
    """`[migrations]`: who brings the tables up to date."""

    on_start: Annotated[
        Literal["auto", "check"],
        Meta(description="Migrate at the start, or only look: plugins with pending migrations are then parked."),
    ] = "auto"


class Argon2(_Section, frozen=True):
    """`[auth.argon2]`: the cost of a password hash. The defaults are the floor; less is refused."""

    time_cost: Annotated[int, Meta(ge=2, description="Passes over the memory.")] = 2
    memory_kib: Annotated[int, Meta(ge=19_456, description="Memory of one hash in KiB.")] = 19_456
    parallelism: Annotated[int, Meta(ge=1, description="Lanes of one hash.")] = 1


class Auth(_Section, frozen=True):
    """`[auth]`: sign-in."""

    session_idle: Annotated[
        int, Meta(ge=600, description="Seconds without a request after which a person must sign in again.")
    ] = 12 * 3600
    session_absolute: Annotated[
        int, Meta(ge=600, description="Seconds after which a person must sign in again in any case.")
    ] = 14 * 24 * 3600
    argon2: Argon2 = Argon2()


class Limits(_Section, frozen=True):
    """`[limits]`: what one request, and one plugin, may take."""

    body: Annotated[int, Meta(ge=1, description="Bytes of a request's body; more gets 413.")] = 10_000_000
    startup_timeout: Annotated[
        float, Meta(gt=0, description="Seconds that a plugin's `startup` and `shutdown` may take.")
    ] = 10.0


class Theme(_Section, frozen=True):
    """`[theme]`: how the pages look."""

    name: Annotated[Text, Meta(description="Name of the application, in the header and the page title.")] = "Plugin Host"
    logo: Annotated[Text | None, Meta(description="Address of a picture for the header.")] = None
    accent: Annotated[
        Annotated[str, Meta(pattern="^#([0-9a-fA-F]{3}){1,2}$")] | None,
        Meta(description="Colour of buttons and links, as `#0b6bcb`."),
    ] = None


class Settings(_Section, frozen=True):
    """All settings. `Settings()` reads neither file nor environment; `Settings.load()` does."""

    data_dir: Annotated[
        Text, Meta(description="Folder for the database and files; made with mode 0700 if it is not there.")
    ] = "./plugin-host-data"
    database: Annotated[
        Text | None,
        Meta(description="`sqlite:///file.db` or `postgresql://user@host/name`. Without it: `<data_dir>/host.db`."),
    ] = None
    schema: Annotated[
        Annotated[str, Meta(pattern="^[a-z_][a-z0-9_]{0,62}$")] | None,
        Meta(description="PostgreSQL schema that holds the tables; made if it is not there."),
    ] = None
    public_url: Annotated[
        Annotated[str, Meta(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*)?$")] | None,
        Meta(description="Address that people type. With `https` cookies are sent over TLS only."),
    ] = None
    server: Server = Server()
    loader: Loader = Loader()
    migrations: Migrations = Migrations()
    auth: Auth = Auth()
    limits: Limits = Limits()
    theme: Theme = Theme()
    plugins: Annotated[
        dict[str, dict[str, Any]],
        Meta(description="`[plugins.<id>]`: what the plugin's own settings struct says; the plugin checks it."),
    ] = {}

    @property
    def database_url(self) -> str:
        """The database, or the default one in the data folder."""
        return self.database or f"sqlite:///{self.data_dir.rstrip('/')}/host.db"

    @classmethod
    def load(
        cls, config: str | Path | None = None, environ: Mapping[str, str] = os.environ, cwd: Path | None = None
    ) -> Settings:
        """Read the settings file and the environment.

        The file is `config`, else the one `PLUGIN_HOST_CONFIG` names, else plugin-host.toml in `cwd` (default:
        the working folder) if it is there. Relative paths are relative to `cwd`, not to the file.
        Raises `SettingsError`.
        """
        return cls.load_with_sources(config, environ, cwd)[0]

    @classmethod
    def load_with_sources(
        cls, config: str | Path | None = None, environ: Mapping[str, str] = os.environ, cwd: Path | None = None
    ) -> tuple[Settings, dict[str, str]]:
        """Read as `load` does, and tell of each key where it comes from: `default`, the file, or the variable."""
        leaves = _read(config, environ, cwd or Path())
        tree: dict[str, Any] = {}
        for key, leaf in leaves.items():
            _place(tree, key, leaf.value)
        sources = {row.key: DEFAULT for row in describe_settings() if row.key != "plugins"}
        sources |= {".".join(key): leaf.source for key, leaf in leaves.items()}
        return msgspec.convert(tree, cls), sources


class SettingRow(NamedTuple):
    """One setting as the reference shows it."""

    key: str
    type: str
    default: str
    description: str


def describe_settings(section: type[_Section] = Settings, above: Key = ()) -> list[SettingRow]:
    """List every setting with its type, its default as TOML would say it, and its manual, in the structs' order."""
    rows: list[SettingRow] = []
    for field in msgspec.structs.fields(section):
        key = (*above, field.name)
        if _is_section(field.type):
            rows += describe_settings(field.type, key)
            continue
        default = {} if field.default is msgspec.NODEFAULT else field.default
        shown = "" if default is None else msgspec.json.encode(default).decode()
        manual = next(note.description for note in field.type.__metadata__ if note.description)
        rows.append(SettingRow(".".join(key), _words(shapes.type_info(field.type)), shown, manual))
    return rows


def show_settings(
    config: str | Path | None = None, environ: Mapping[str, str] = os.environ, cwd: Path | None = None
) -> list[dict[str, Any]]:
    """List `key`, `value` and `source` of every setting in force, for `config show`; secrets are masked."""
    leaves = _read(config, environ, cwd or Path())
    settings, sources = Settings.load_with_sources(config, environ, cwd)
    return [
        {
            "key": ".".join(key),
            "value": _mask(key, value, secret=key in leaves and leaves[key].secret),
            "source": sources[".".join(key)],
        }
        for key, value in _flatten(msgspec.to_builtins(settings))
    ]


# -- places ------------------------------------------------------------------------------------------------


class _Leaf(NamedTuple):
    value: Any
    source: str
    secret: bool = False


def _read(config: str | Path | None, environ: Mapping[str, str], folder: Path) -> dict[Key, _Leaf]:
    """Read both places, check every leaf, and let the environment win."""
    leaves: dict[Key, _Leaf] = {}
    for said in (_read_file(config, environ, folder), _read_environment(environ)):
        layer = _layer(said, folder)
        for key, leaf in layer.items():
            _check(key, leaf)
        leaves |= layer
    return leaves


def _read_file(config: str | Path | None, environ: Mapping[str, str], folder: Path) -> list[tuple[Key, _Leaf]]:
    named = config or environ.get(f"{PREFIX}CONFIG")
    path = Path(named or FILE_NAME)
    if not named and not (folder / path).is_file():
        return []
    try:
        # Windows editors put a byte order mark in front, which TOML does not know.
        tree = tomllib.loads((folder / path).read_text(encoding="utf-8-sig"))
    except OSError as error:
        by = f"{PREFIX}CONFIG" if config is None else "--config"
        msg = f"{path}: the settings file cannot be read ({error.strerror}); correct the path in {by}"
        raise SettingsError(msg) from None
    except ValueError as error:  # of TOML or of UTF-8
        msg = f"{path}: the settings file is not valid TOML: {error}"
        raise SettingsError(msg) from None
    return [(key, _Leaf(value, str(path))) for key, value in _flatten(tree)]


def _read_environment(environ: Mapping[str, str]) -> list[tuple[Key, _Leaf]]:
    said: list[tuple[Key, _Leaf]] = []
    # Sorted, so that PLUGIN_HOST_SERVER='{…}' comes before PLUGIN_HOST_SERVER__PORT, which is more exact.
    for name in sorted(name for name in environ if name.startswith(PREFIX)):
        if not _NOT_SETTINGS.fullmatch(name):
            key = tuple(name.removeprefix(PREFIX).lower().split("__"))
            value = _parse_variable(name, key, environ[name])
            said += [(leaf, _Leaf(part, name)) for leaf, part in _flatten(value, key)]
    return said


def _parse_variable(name: str, key: Key, raw: str) -> Any:
    """Read text fields as they are and everything else as JSON; a plugin's fields as JSON if they are that."""
    kind = _type_at(_file_target(key) or key)
    if kind is None or _takes_text(kind):  # an unknown name is refused later, whatever its value
        return raw
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:
        if kind is Any:
            return raw
        msg = f"{name}: {'.'.join(key)} takes a {_words(shapes.type_info(kind))} written as JSON, not {raw!r}"
        raise SettingsError(msg) from None


def _layer(said: Iterable[tuple[Key, _Leaf]], folder: Path) -> dict[Key, _Leaf]:
    """Make one place's leaves a mapping; `<name>_file` becomes `<name>` with the file's content."""
    leaves: dict[Key, _Leaf] = {}
    files: dict[Key, _Leaf] = {}
    for key, leaf in said:
        target = _file_target(key)
        if target is None:
            leaves[key] = leaf
        else:
            files[target] = leaf
    for key, leaf in files.items():
        name = ".".join(key)
        if key in leaves:
            msg = f"{leaf.source}: {name} and {name}_file are both given; remove one of them"
            raise SettingsError(msg)
        leaves[key] = _Leaf(_read_secret(name, leaf, folder), leaf.source, secret=True)
    return leaves


def _read_secret(name: str, leaf: _Leaf, folder: Path) -> str:
    try:
        text = (folder / str(leaf.value)).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        msg = f"{leaf.source}: {name}_file: {leaf.value} cannot be read ({why}); correct the path or its rights"
        raise SettingsError(msg) from None
    return text.removesuffix("\n").removesuffix("\r")


# -- keys --------------------------------------------------------------------------------------------------


def _flatten(value: Any, key: Key = ()) -> Iterator[tuple[Key, Any]]:
    """Give the leaves below a key; what is no table stays whole."""
    if isinstance(value, dict) and (_in_plugins(key) or _is_section(_type_at(key))):
        for word, part in value.items():
            yield from _flatten(part, (*key, word))
    else:
        yield key, value


def _place(tree: dict[str, Any], key: Key, value: Any) -> None:
    for word in key[:-1]:
        if not isinstance(tree.get(word), dict):
            tree[word] = {}
        tree = tree[word]
    tree[key[-1]] = value


def _in_plugins(key: Key) -> bool:
    return key[:1] == ("plugins",)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, _Section)


def _type_at(key: Key) -> Any:
    """Give the type that the value of a key must fit; None if there is no such key."""
    if _in_plugins(key):
        return {1: dict[str, dict[str, Any]], 2: dict[str, Any]}.get(len(key), Any)
    kind: Any = Settings
    for word in key:
        fields = msgspec.structs.fields(kind) if _is_section(kind) else ()
        kind = next((field.type for field in fields if field.name == word), None)
    return kind


def _file_target(key: Key) -> Key | None:
    """Give the key whose value stands in the file that this key names: `database` of `database_file`."""
    target = (*key[:-1], key[-1].removesuffix("_file"))
    if target == key or not target[-1]:
        return None
    if _in_plugins(key):
        return target if len(key) > 2 else None  # noqa: PLR2004 - plugins, the id, the plugin's own key
    kind = _type_at(target)
    return target if kind is not None and _takes_text(kind) else None


def _takes_text(kind: Any) -> bool:
    found = _bare(shapes.type_info(kind))
    parts = found.types if isinstance(found, shapes.UnionType) else (found,)
    return any(isinstance(_bare(part), shapes.StrType | shapes.LiteralType) for part in parts)


def _check(key: Key, leaf: _Leaf) -> None:
    name = ".".join(key)
    kind = _type_at(key)
    if kind is None:
        raise SettingsError(_unknown(name, leaf.source))
    try:
        msgspec.convert(leaf.value, kind)
    except msgspec.ValidationError as error:
        msg = f"{leaf.source}: {name}: {error}; it takes a {_words(shapes.type_info(kind))}"
        raise SettingsError(msg) from None


def _unknown(name: str, source: str) -> str:
    known = [row.key for row in describe_settings()]
    if source.startswith(PREFIX):
        name, known = source, [PREFIX + key.upper().replace(".", "__") for key in known]
    near = difflib.get_close_matches(name, known, 1)
    way_out = f"did you mean {near[0]}?" if near else "remove it; `plugin-host config show` lists all settings"
    return f"{source}: unknown setting {name}; {way_out}"


# -- words -------------------------------------------------------------------------------------------------


def _bare(kind: shapes.Type) -> shapes.Type:
    return kind.type if isinstance(kind, shapes.Metadata) else kind


def _words(kind: shapes.Type) -> str:
    """Say what a field takes, for errors and for the reference."""
    kind = _bare(kind)
    if isinstance(kind, shapes.UnionType):
        return " or ".join(_words(part) for part in kind.types if not isinstance(part, shapes.NoneType))
    if isinstance(kind, shapes.LiteralType):
        return " or ".join(f'"{value}"' for value in kind.values)
    if isinstance(kind, shapes.VarTupleType):
        return f"list of {_words(kind.item_type)}s"
    if isinstance(kind, shapes.IntType | shapes.FloatType):
        word = "whole number" if isinstance(kind, shapes.IntType) else "number"
        bounds = {"from": kind.ge, "above": kind.gt, "to": kind.le}
        return " ".join([word, *(f"{name} {bound}" for name, bound in bounds.items() if bound is not None)])
    return {shapes.StrType: "text", shapes.BoolType: "true or false"}.get(type(kind), "table")


def _mask(key: Key, value: Any, *, secret: bool) -> Any:
    """Hide what may be a secret: a password in an address, what came from a file, a plugin's key that sounds so."""
    if key == ("database",) and value is not None:
        return re.sub(r"(://[^/]*?:).*@|(password=)[^&]*", lambda found: _hide(found), value)
    if _in_plugins(key) and (secret or any(_SECRET_WORD.search(word) for word in key[2:])):
        return "***"
    return value
