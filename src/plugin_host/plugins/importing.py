"""Find a plugin's package without importing it, and import it when the time has come.

Discovery asks the import system where a top-level name is; that runs no code of the plugin. A folder plugin is
imported under its folder's name from its own path, so that `sys.path` stays as it is.
"""

from __future__ import annotations

import importlib
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import ModuleType


class FolderLoader(SourceFileLoader):
    """Marks the packages that the host imported from a folder: only those may be imported anew.

    `code` is what its files looked like then.
    """

    code: tuple[object, ...] = ()


def code_of(folder: Path) -> tuple[object, ...]:
    """Tell other Python files in a folder from the same ones, without reading them: by what `stat` says."""
    marks: list[object] = []
    for path in sorted(folder.rglob("*.py")):
        try:
            stat = path.stat()
        except OSError:
            continue
        marks.append((str(path), stat.st_mtime_ns, stat.st_size, stat.st_ino))
    return tuple(marks)


def locate(plugin: str, module: str, within: Path | None = None) -> Path:
    """Find the folder that holds the manifest of the plugin whose hooks are in `module`, importing nothing.

    It is the folder of the top-level package. A namespace package is nobody's own: without a plugin.json there,
    the packages below it on the way to `module` are looked at (`acme.contacts` of `acme.contacts.hooks`). If there
    is no plugin.json at all, the first place is given, and reading says what is missing. `within` limits the
    search to one folder. Raises `PluginFault`: `package_missing` if nothing has that name, `import_failed` if
    looking for it failed, `manifest_invalid` if it is no package, or in several places.
    """
    top, _, below = module.partition(".")
    spec = _look_up(plugin, top, within)
    places = _places(plugin, module, spec)
    first = places[0]
    steps = iter(below.split(".") if below else ())
    while True:
        holding = [place for place in places if (place / "plugin.json").is_file()]
        if len(holding) > 1:
            text = f"{plugin}: plugin.json of {module!r} is in several places: {' and '.join(map(str, holding))}."
            raise _fault("manifest_invalid", plugin, text, "Uninstall all but one of them.")
        if holding:
            return holding[0]
        step = next(steps, None)
        if step is None or spec.origin is not None:  # what is below a regular package is its own matter
            return first
        deeper = find_spec(f"{spec.name}.{step}", spec.submodule_search_locations)
        if deeper is None or deeper.submodule_search_locations is None:
            return first
        spec = deeper
        places = _places(plugin, module, spec)


def find_spec(name: str, path: Iterable[str] | None = None) -> ModuleSpec | None:
    """Ask the import system where a name would be found, whatever was imported under it before.

    `path` are the places of the package above it. (importlib.util.find_spec imports that package.)
    """
    for finder in sys.meta_path:
        find = getattr(finder, "find_spec", None)
        spec = find(name, path) if find is not None else None
        if isinstance(spec, ModuleSpec):
            return spec
    return None


def _look_up(plugin: str, top: str, within: Path | None) -> ModuleSpec:
    try:
        spec = find_spec(top) if within is None else PathFinder.find_spec(top, [str(within)])
    except Exception as error:  # a finder is foreign code
        text = f"{plugin}: looking for its package {top!r} failed: {type(error).__name__}: {error}."
        raise _fault("import_failed", plugin, text, f"Reinstall the distribution that brings {plugin}.") from error
    if spec is None:
        text = f"{plugin}: its entry point names the package {top!r}, and there is none."
        way_out = "Reinstall its distribution; if that was an editable install, its source folder may have moved."
        raise _fault("package_missing", plugin, text, way_out)
    return spec


def _places(plugin: str, module: str, spec: ModuleSpec) -> list[Path]:
    """Give the folders of a package; finders of editable installs put placeholders among them."""
    places = [Path(place) for place in spec.submodule_search_locations or ()]
    if not places:
        text = f"{plugin}: its entry point names {module!r}, but {spec.name!r} is a single module ({spec.origin})."
        way_out = f"Make {spec.name} a package: a folder with __init__.py and plugin.json."
        raise _fault("manifest_invalid", plugin, text, way_out)
    return [place for place in places if place.is_dir()] or places


def foreign(name: str, folder: Path) -> str | None:
    """Say what already goes by the import name of a folder plugin, if that is something else than the folder."""
    loaded = sys.modules.get(name)
    if loaded is not None:
        if _is_ours(loaded) or _is_at(getattr(loaded, "__file__", None), folder):
            return None
        return f"the module {name!r} ({getattr(loaded, '__file__', None) or 'not from a file'})"
    try:
        spec = find_spec(name)
    except Exception:  # noqa: BLE001 - a broken finder of somebody else is no fault of this plugin
        return None
    if spec is None or spec.origin is None or _is_at(spec.origin, folder):
        return None  # a folder without code somewhere on the path (a namespace) is nobody's module
    return f"the module {name!r} ({spec.origin})"


def name_clash(plugin: str, folder: Path, other: str) -> Reason:
    """Word that a folder plugin's import name is taken."""
    return Reason(
        code="name_clash",
        text=f"{plugin}: its folder {folder} would be imported as {folder.name!r}, which is the name of {other}.",
        culprits=(plugin, folder.name),
        way_out=f"Rename the folder, for example to host_{plugin}; the id stays.",
    )


def import_entry(entry: str, folder: Path | None) -> Any:
    """Import the module of an entry and give what it names: the module itself, or an attribute of it.

    With `folder` the package is imported from there. Raises whatever the plugin's code raises, and
    `AttributeError` if the module has no such attribute.
    """
    module, _, path = entry.partition(":")
    before = dict(sys.modules)
    try:
        if folder is not None:
            _import_folder(folder)
        found: Any = importlib.import_module(module)
        for name in filter(None, path.split(".")):
            found = getattr(found, name)
    except BaseException:
        # Half a package must not stay: the next attempt would find what the first one left.
        _purge(module.partition(".")[0], spare=before)
        importlib.invalidate_caches()  # what it lacked may be installed before the next attempt
        raise
    return found


def _import_folder(folder: Path) -> None:
    """Import the package of a folder under the folder's name: once, as long as its files stay the same."""
    name = folder.name
    code = code_of(folder)
    loaded = sys.modules.get(name)
    if loaded is not None:
        loader = getattr(loaded, "__loader__", None)
        if not isinstance(loader, FolderLoader) or (_is_at(loaded.__file__, folder) and loader.code == code):
            return
        _purge(name)
    importlib.invalidate_caches()  # the files may have been written a moment ago
    file = str(folder / "__init__.py")
    loader = FolderLoader(name, file)
    loader.code = code
    spec = spec_from_file_location(name, file, loader=loader, submodule_search_locations=[str(folder)])
    if spec is None or spec.loader is None:  # pragma: no cover - a loader was given
        raise ImportError(name)
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def _purge(name: str, spare: Mapping[str, ModuleType] = MappingProxyType({})) -> None:
    """Forget a package and what is below it, but for modules that were there before as they are now."""
    for loaded in [key for key in sys.modules if key == name or key.startswith(f"{name}.")]:
        if spare.get(loaded) is not sys.modules[loaded]:
            del sys.modules[loaded]


def _is_ours(module: ModuleType) -> bool:
    return isinstance(getattr(module, "__loader__", None), FolderLoader)


def _is_at(file: str | None, folder: Path) -> bool:
    return file is not None and Path(file).resolve().parent == folder.resolve()


def _fault(code: Any, plugin: str, text: str, way_out: str) -> PluginFault:
    return PluginFault(Reason(code=code, text=text, culprits=(plugin,), way_out=way_out))
