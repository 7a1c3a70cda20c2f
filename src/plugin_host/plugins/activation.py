"""Bring a plugin to life: import it, hold it to the hooks, hear what it adds, start it, stop it.

1. `load` imports it and makes its relay;  2. `declare` hears permissions, menu and settings;
3. `contribute` hears services, routes, commands and the like, without side effects;
4. `start` before its first request;  5. `stop` after its last. Whatever goes wrong is a `PluginFault` of this
plugin: nothing that a plugin raises, not even SystemExit, gets further.
"""

from __future__ import annotations

import inspect
import time
from typing import TYPE_CHECKING, Any, Final

import msgspec

from plugin_host.plugins import importing
from plugin_host.plugins.blame import describe, did_you_mean, fault
from plugin_host.plugins.declaring import Contributions, Declared, contribute, declare
from plugin_host.plugins.lifecycle import in_thread, sample, start, stop
from plugin_host.plugins.relay import Relay
from plugin_host.sdk import hookspecs
from plugin_host.sdk.errors import PluginFault

if TYPE_CHECKING:
    from pathlib import Path

    from plugin_host.plugins.plan import Found

__all__ = [
    "Contributions",
    "Declared",
    "Relay",
    "contribute",
    "declare",
    "in_thread",
    "load",
    "sample",
    "start",
    "stop",
    "with_object",
]

_FIX: Final = "Correct the plugin and restart, or disable it."


def load(found: Found) -> Relay:
    """Import a plugin that was read without fault, and make its relay.

    A class is instantiated. Raises `PluginFault`: `import_failed` (with the place in the plugin), `name_clash` if a
    folder's import name is taken, `hook_unknown` and `hook_invalid` if its functions do not fit the hooks.
    """
    if found.fault is not None:
        raise PluginFault(found.fault)
    begun = time.perf_counter()
    obj = _obtain(found)
    imported = (time.perf_counter() - begun) * 1000
    relay = Relay(found.id, obj, hookspecs, found.candidate.folder)
    relay.timings["import"] = round(imported, 3)
    _check_used(found, relay)
    return relay


def with_object(found: Found, obj: object) -> Found:
    """Give what was found with an object that is at hand already: its entry is not imported."""
    return msgspec.structs.replace(found, candidate=msgspec.structs.replace(found.candidate, obj=obj))


def _obtain(found: Found) -> Any:
    """Give the plugin's object, importing it if need be."""
    candidate = found.candidate
    if candidate.source == "folder" and candidate.folder is not None:
        taken = importing.foreign(candidate.folder.name, candidate.folder)
        if taken is not None:
            raise PluginFault(importing.name_clash(found.id, candidate.folder, taken))
    entry = _entry(found)
    try:
        obj = candidate.obj
        if obj is None:
            obj = importing.import_entry(entry, candidate.folder if candidate.source == "folder" else None)
        return obj() if inspect.isclass(obj) else obj
    except BaseException as error:  # also SystemExit and KeyboardInterrupt: a plugin never ends the host
        text = f"importing {entry} failed: {describe(error, candidate.folder)}."
        raise fault("import_failed", found.id, text, _way_out(error, candidate.folder), *_missing(error)) from error


def _entry(found: Found) -> str:
    return (found.manifest.entry if found.manifest is not None else None) or found.candidate.entry


def _missing(error: BaseException) -> tuple[str, ...]:
    """Name the module that could not be found, if that is what was wrong."""
    return (error.name,) if isinstance(error, ModuleNotFoundError) and error.name else ()


def _way_out(error: BaseException, folder: Path | None) -> str:
    for name in _missing(error):
        if folder is None or name.partition(".")[0] != folder.name:
            return f"Install what brings {name!r}, and name it among the plugin's dependencies."
    if isinstance(error, AttributeError) and isinstance(error.name, str):
        near = did_you_mean(error.name, dir(error.obj))
        if near is not None:
            return f"Did you mean {near!r}?"
    return _FIX


def _check_used(found: Found, relay: Relay) -> None:
    """Refuse a plugin that keeps hooks.py but starts elsewhere: none of its hooks would ever be called."""
    folder = found.candidate.folder
    if relay.hooks or folder is None or found.candidate.obj is not None or not (folder / "hooks.py").is_file():
        return
    text = f"its entry {_entry(found)!r} implements no hook, but hooks.py lies in {folder}."
    way_out = f'Let the entry point (in a folder plugin: `entry` in plugin.json) say "{found.candidate.package}.hooks".'
    raise fault("hook_unknown", found.id, text, way_out)
