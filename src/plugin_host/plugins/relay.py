"""The relay: the one way in which the host calls the hooks of one plugin.

Each plugin has a pluggy manager of its own, so that every contribution, timing and failure has its owner's name
(in one manager for all, results come back last-in first-out and without names). What the hooks are comes from
outside: only `activation` knows the hook specifications.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import pluggy

from plugin_host.plugins.blame import define_place, describe, did_you_mean, fault
from plugin_host.sdk.errors import PluginFault, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

ASYNC_HOOKS: Final = frozenset({"startup", "shutdown", "sample_data"})
"""Hooks that may be written with `async def`; the others are called while nothing else runs."""

MAX_ITEMS: Final = 10_000
"""So many things a hook may return: one that never ends must not fill the memory."""

_FIX: Final = "Correct the plugin and restart, or disable it."


class Relay:
    """Calls the hooks of one plugin; `timings` are milliseconds by step and hook, added up."""

    def __init__(self, plugin: str, obj: object, specs: ModuleType, folder: Path | None = None) -> None:
        """Register a plugin object with the hooks of `specs`; raises `PluginFault` if it does not fit them."""
        self.id = plugin
        self.obj: Any = obj
        self.folder = folder
        self.timings: dict[str, float] = {}
        self._manager = _Manager(specs.PROJECT)
        self._manager.add_hookspecs(specs)
        with self.timed("register"):
            self._register()

    def has(self, hook: str) -> bool:
        """Tell whether the plugin implements a hook."""
        return bool(self._hook(hook).get_hookimpls())

    @property
    def hooks(self) -> tuple[str, ...]:
        """The hooks that the plugin implements."""
        return tuple(hook for hook in self._known() if self.has(hook))

    def call(self, hook: str, **arguments: object) -> list[Any]:
        """Call a hook and give what it returned as one flat list; a hook that returns nothing adds nothing.

        Raises `PluginFault` `hook_failed`, naming the hook and where it failed.
        """
        with self.timed(hook), self.blamed("hook_failed", f"hook {hook}"):
            items = [item for result in self._hook(hook)(**arguments) for item in _flat(result)]
            if len(items) > MAX_ITEMS:
                text = f"{hook} returns more than {MAX_ITEMS:,} things."
                raise self.fault("hook_invalid", text, "Return what the plugin brings, as a list.")
            return items

    def start(self, hook: str, **arguments: object) -> list[Any]:
        """Call a hook and give what it returned as it is (awaitables, for a hook that is asynchronous)."""
        returned: list[Any] = self._hook(hook)(**arguments)
        return returned

    @contextlib.contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the time that a step takes."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            spent = (time.perf_counter() - begun) * 1000
            self.timings[step] = round(self.timings.get(step, 0.0) + spent, 3)

    @contextlib.contextmanager
    def blamed(self, code: ReasonCode, what: str) -> Iterator[None]:
        """Turn whatever the plugin's code raises into a `PluginFault` of this plugin."""
        try:
            yield
        except PluginFault:
            raise
        except BaseException as error:  # also SystemExit and KeyboardInterrupt: a plugin never ends the host
            raise self.fault(code, f"{what} failed: {describe(error, self.folder)}.", _FIX) from error

    def fault(self, code: ReasonCode, text: str, way_out: str) -> PluginFault:
        """Make an error of this plugin."""
        return fault(code, self.id, text, way_out)

    def _register(self) -> None:
        with self.blamed("hook_invalid", "looking at its functions"):
            for name, function in _functions(self.obj):
                self._check(name, function)
            try:
                self._manager.register(self.obj, name=self.id)
            except pluggy.PluginValidationError as error:
                raise self._misfit(error) from error

    def _check(self, name: str, function: Callable[..., Any]) -> None:
        """Judge one function: whether it is a hook, should be one, and may be one."""
        marks = self._manager.parse_hookimpl_opts(self.obj, name)
        at = f"{name} ({define_place(function, self.folder)})"
        if marks is None:
            self._check_unmarked(name, function, at)
            return
        hook = marks.get("specname") or name
        if hook not in self._known():
            raise self._unknown(hook, f"{at} has @hookimpl, but {hook!r} is no hook.")
        if marks.get("wrapper") or marks.get("hookwrapper"):
            text = f"{at} is a wrapper, and there is nothing to wrap: each plugin is called by itself."
            raise self.fault("hook_invalid", text, "Make it a plain @hookimpl.")
        if hook not in ASYNC_HOOKS and (inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)):
            text = f"{at} is asynchronous; only {', '.join(sorted(ASYNC_HOOKS))} may be."
            raise self.fault("hook_invalid", text, "Write `def`, and return what it adds.")

    def _check_unmarked(self, name: str, function: Callable[..., Any], at: str) -> None:
        if not _is_own(function, self.obj):
            return  # a library's function that happens to have the name
        if name in self._known():
            text = f"{at} is named like the hook {name!r}, but has no @hookimpl, so it would never be called."
            raise self.fault("hook_unknown", text, "Put @hookimpl above it (from plugin_host.sdk), or rename it.")
        if name.startswith("register_"):
            raise self._unknown(name, f"{at} is named like a hook, and there is no such hook.")

    def _unknown(self, name: str, text: str) -> PluginFault:
        near = did_you_mean(name, self._known())
        way_out = f"Did you mean {near!r}?" if near else f"The hooks are: {', '.join(sorted(self._known()))}."
        return self.fault("hook_unknown", text, way_out)

    def _misfit(self, error: pluggy.PluginValidationError) -> PluginFault:
        """Word pluggy's finding that an implementation takes an argument which its hook does not offer."""
        text = " ".join(str(error).split())
        hook = next((name for name in self._known() if f"hook {name!r}" in text), "")
        spec = self._hook(hook).spec if hook else None
        offered = ", ".join(spec.argnames) if spec is not None else ""
        return self.fault("hook_invalid", f"{text}.", f"Write `def {hook}({offered})`: it may take fewer, not others.")

    def _known(self) -> tuple[str, ...]:
        return tuple(name for name in vars(self._manager.hook) if not name.startswith("_"))

    def _hook(self, name: str) -> pluggy.HookCaller:
        caller: pluggy.HookCaller = getattr(self._manager.hook, name)
        return caller


class _Manager(pluggy.PluginManager):
    """A manager that looks at each thing once.

    pluggy's own looks at all hook specifications anew for each plugin, and at each of its functions again after the
    relay did: that was half of the time that a relay takes to make.
    """

    def __init__(self, project: str) -> None:
        super().__init__(project)
        self._marks: dict[tuple[int, str], pluggy.HookimplOpts | None] = {}

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> pluggy.HookspecOpts | None:
        """Give the marks of a specification, as they were found at the first plugin."""
        marks = _specified(self.project_name, module_or_class, name)
        return None if marks is None else marks.copy()

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> pluggy.HookimplOpts | None:
        """Give the marks of a plugin's function, as they were found when the relay judged it."""
        key = id(plugin), name  # of one plugin, which the relay keeps
        if key not in self._marks:
            self._marks[key] = super().parse_hookimpl_opts(plugin, name)
        return self._marks[key]


@functools.cache
def _specified(project: str, specs: ModuleType, name: str) -> pluggy.HookspecOpts | None:
    return pluggy.PluginManager(project).parse_hookspec_opts(specs, name)


def _functions(obj: object) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Give the functions of a plugin object; of an instance those of its class."""
    for name in dir(obj):
        if not name.startswith("_"):
            found = getattr(obj, name)
            if inspect.isroutine(found):
                yield name, found


def _is_own(function: Callable[..., Any], obj: object) -> bool:
    """Tell whether a function is of the plugin's own package, and not of a library it uses or derives from."""
    owner = obj.__name__ if inspect.ismodule(obj) else type(obj).__module__
    return (getattr(function, "__module__", None) or "").partition(".")[0] == owner.partition(".")[0]


def _flat(result: object) -> Iterable[Any]:
    if isinstance(result, Iterable) and not isinstance(result, str | bytes | Mapping | type):
        return list(itertools.islice(result, MAX_ITEMS + 1))
    return [result]
