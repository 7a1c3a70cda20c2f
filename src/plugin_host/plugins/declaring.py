"""What a plugin's hooks add: merged with its files, held to types, named after their owner.

Hooks may say what files say. Two different sayings of one thing are an error that names both places; what a hook
adds beyond the files goes through the same checks as the files.
"""

from __future__ import annotations

import importlib.util
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from plugin_host.plugins.blame import describe, did_you_mean
from plugin_host.plugins.findings import Findings, file_label
from plugin_host.plugins.permission_checks import check_permissions
from plugin_host.plugins.ui_checks import check_menu
from plugin_host.sdk.contributions import EventHandler, Job, Migrations, Service
from plugin_host.sdk.errors import PluginFault
from plugin_host.sdk.manifest import MenuItem, Permission

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    import click

    from plugin_host.plugins.plan import Found
    from plugin_host.plugins.relay import Relay
    from plugin_host.sdk.context import Identity, PluginContext
    from plugin_host.sdk.contributions import Health
    from plugin_host.sdk.manifest import PluginManifest

T = TypeVar("T", Permission, MenuItem)


@dataclass(frozen=True, slots=True)
class Declared:
    """What a plugin says it has: of its files and its hooks together.

    `settings` is one of the struct that `register_settings` returned, None without that hook. `beyond` are
    sentences about what hooks add to the files: a plan cannot see that, and `check` warns about it.
    """

    permissions: tuple[Permission, ...]
    menu: tuple[MenuItem, ...]
    settings: Any = None
    beyond: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contributions:
    """What a plugin adds to the host, each thing of its proper type."""

    services: tuple[Service[Any], ...] = ()
    routes: tuple[Any, ...] = ()
    commands: tuple[click.Command, ...] = ()
    health: tuple[Callable[[], Awaitable[Health]], ...] = ()
    authenticators: tuple[Callable[[Any], Awaitable[Identity | None]], ...] = ()
    events: tuple[type[msgspec.Struct], ...] = ()
    handlers: tuple[EventHandler, ...] = ()
    jobs: tuple[Job, ...] = ()


def declare(relay: Relay, found: Found, config: Mapping[str, Any]) -> Declared:
    """Hear what the plugin says it has; `config` is its table `[plugins.<id>]`.

    Raises `PluginFault`: `hook_failed`, `hook_invalid`, `settings_invalid`, or what the checks of files find.
    """
    if found.manifest is None:
        raise relay.fault("manifest_invalid", "it has no manifest.", "Add plugin.json.")
    _check_migrations(relay)
    beyond: list[str] = []
    permissions = _merge(
        relay, "register_permissions", Permission, "name", found.permissions.permissions, found, beyond
    )
    menu = _merge(relay, "register_menu", MenuItem, "id", found.menu.items, found, beyond)
    _check_merged(relay, found.manifest, permissions, menu)
    return Declared(permissions, menu, _settings(relay, config), tuple(beyond))


def contribute(relay: Relay, context: PluginContext[Any]) -> Contributions:
    """Hear what the plugin adds. Raises `PluginFault`: `hook_failed`, or `hook_invalid` for a thing of another type.

    Routes are judged by the gateway, which builds them; events, handlers and jobs by the room of events.
    """
    return Contributions(
        services=tuple(_typed(relay, "register_services", Service, "a Service", context=context)),
        routes=tuple(relay.call("register_routes", context=context)),
        commands=tuple(_commands(relay, context)),
        health=tuple(_callables(relay, "register_health", context)),
        authenticators=tuple(_authenticators(relay, context)),
        events=tuple(
            _typed_by(relay, "register_events", _is_struct, "a msgspec Struct type", relay.call("register_events"))
        ),
        handlers=tuple(_typed(relay, "register_event_handlers", EventHandler, "an EventHandler", context=context)),
        jobs=tuple(_typed(relay, "register_jobs", Job, "a Job", context=context)),
    )


# -- files and hooks together ------------------------------------------------------------------------------------


def _merge(  # noqa: PLR0913 - one thing said in two places
    relay: Relay, hook: str, kind: type[T], key: str, filed: Sequence[T], found: Found, beyond: list[str]
) -> tuple[T, ...]:
    """Put what a hook returns beside what the file says: the same is one, another saying of it is an error."""
    word = "permissions" if kind is Permission else "menu"
    label = file_label(found.candidate, word)
    merged: dict[str, tuple[T, str]] = {getattr(item, key): (item, label) for item in filed}
    for item in _typed(relay, hook, kind, f"a {kind.__name__}"):
        name = getattr(item, key)
        if name not in merged:
            merged[name] = (item, hook)
            beyond.append(f"{hook} adds {name!r}, which {label} does not say: a plan cannot show it")
        elif merged[name][0] != item:
            text = f"{name!r} is said in two ways, by {merged[name][1]} and by {hook}."
            raise relay.fault("hook_invalid", text, "Say it in one of the two places, or in the same way.")
    return tuple(item for item, _ in merged.values())


def _check_merged(
    relay: Relay, manifest: PluginManifest, permissions: Sequence[Permission], menu: Sequence[MenuItem]
) -> None:
    findings = Findings(relay.id)
    if relay.has("register_permissions"):
        check_permissions(relay.id, permissions, "register_permissions", findings)
    if relay.has("register_menu"):
        names = frozenset(permission.name for permission in permissions)
        check_menu(manifest, names, menu, "register_menu", findings)
    reason = findings.reason()
    if reason is not None:
        raise PluginFault(reason)


def _check_migrations(relay: Relay) -> None:
    """Hold the hook `migrations` to the folder that the host has already migrated from.

    The plugin is imported after its tables are there, so the hook can only repeat what the folder says.
    """
    for said in _typed(relay, "migrations", Migrations, "a Migrations"):
        folder = relay.folder / "migrations" if relay.folder is not None else None
        with relay.blamed("hook_invalid", f"hook migrations: looking for {said.package!r}"):
            spec = importlib.util.find_spec(said.package)
        places = [Path(place).resolve() for place in (spec and spec.submodule_search_locations) or ()]
        if folder is None or folder.resolve() not in places:
            text = f"hook migrations names {said.package!r}; this release finds revisions only in {folder}."
            raise relay.fault("hook_invalid", text, "Move them to migrations/ beside plugin.json; drop the hook.")


# -- settings ----------------------------------------------------------------------------------------------------


def _settings(relay: Relay, config: Mapping[str, Any]) -> Any:
    """Hold `[plugins.<id>]` to the struct of the plugin; without one nothing may stand there."""
    structs = _typed_by(
        relay, "register_settings", _is_struct, "a msgspec Struct type", relay.call("register_settings")
    )
    table = f"plugins.{relay.id}"
    if len(structs) > 1:
        raise relay.fault("hook_invalid", "register_settings returns several types.", "Return one.")
    if not structs:
        if config:
            text = f"settings stand in [{table}] ({', '.join(sorted(config))}), but it takes none."
            raise relay.fault("settings_invalid", text, f"Remove [{table}].")
        return None
    (struct,) = structs
    known = {field.encode_name for field in msgspec.structs.fields(struct)}
    for key in config.keys() - known:
        near = did_you_mean(key, known)
        way_out = f"Did you mean {table}.{near}?" if near else f"It takes: {', '.join(sorted(known)) or 'nothing'}."
        raise relay.fault("settings_invalid", f"there is no setting {table}.{key}.", way_out)
    return _converted(relay, config, struct, table)


def _converted(relay: Relay, config: Mapping[str, Any], struct: type[Any], table: str) -> Any:
    try:
        return msgspec.convert(dict(config), struct)
    except msgspec.ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        key = f"{table}{place.rstrip('`')}"
        text = f"{key}: {what[:1].lower()}{what[1:]}."
        raise relay.fault("settings_invalid", text, f"Correct it in the settings, in [{table}].") from error
    except Exception as error:  # the struct's own __post_init__
        text = f"[{table}] was refused: {describe(error, relay.folder)}."
        raise relay.fault("settings_invalid", text, f"Correct it in the settings, in [{table}].") from error


# -- types -------------------------------------------------------------------------------------------------------


def _typed(relay: Relay, hook: str, kind: type[Any], name: str, **arguments: object) -> list[Any]:
    return _typed_by(relay, hook, lambda item: isinstance(item, kind), name, relay.call(hook, **arguments))


def _typed_by(relay: Relay, hook: str, fits: Callable[[Any], bool], name: str, returned: Iterable[Any]) -> list[Any]:
    items = list(returned)
    for n, item in enumerate(items):
        if not fits(item):
            shown = _shown(item)
            text = f"{hook} returns {shown} (item {n}), which is not {name}."
            raise relay.fault("hook_invalid", text, f"Return a list in which each item is {name}.")
    return items


def _commands(relay: Relay, context: PluginContext[Any]) -> list[click.Command]:
    if not relay.has("register_commands"):
        return []
    import click  # noqa: PLC0415 - only plugins with commands pay for it

    commands = _typed(relay, "register_commands", click.Command, "a click command", context=context)
    names = [command.name for command in commands]
    for n, name in enumerate(names):
        if not name or name in names[:n]:
            text = f"register_commands returns {'a command without a name' if not name else f'two commands {name!r}'}."
            raise relay.fault("hook_invalid", text, "Give each command a name of its own.")
    return commands


def _callables(relay: Relay, hook: str, context: PluginContext[Any]) -> list[Any]:
    return _typed_by(relay, hook, callable, "a function", relay.call(hook, context=context))


def _authenticators(relay: Relay, context: PluginContext[Any]) -> list[Any]:
    functions = _callables(relay, "register_authenticators", context)
    for function in functions:
        called = function if inspect.isroutine(function) else getattr(function, "__call__", function)  # noqa: B004 - below
        if not (inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(called)):
            text = f"register_authenticators returns {_shown(function)}, which is not asynchronous."
            raise relay.fault("hook_invalid", text, "Write `async def authenticate(connection)`.")
    return functions


def _is_struct(item: object) -> bool:
    return isinstance(item, type) and issubclass(item, msgspec.Struct)


def _shown(item: object) -> str:
    try:
        text = repr(item)
    except BaseException:  # noqa: BLE001 - the plugin's own class, which may raise anything
        text = f"something of type {type(item).__name__}"
    return text if len(text) <= 80 else f"{text[:80]}…"  # noqa: PLR2004 - a line
