"""Hooks and events, as the sources name them."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Final

from plugin_host.core.checking.finding import Finding, finding
from plugin_host.plugins.findings import nearest
from plugin_host.plugins.relay import ASYNC_HOOKS
from plugin_host.sdk import hookspecs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugin_host.core.checking.sources import Module
    from plugin_host.core.checking.subject import Subject

HOOKS: Final = {
    name: tuple(inspect.signature(found).parameters)
    for name, found in vars(hookspecs).items()
    if hasattr(found, f"{hookspecs.PROJECT}_spec")
}
"""What each hook offers to its implementations."""

_MARK: Final = "plugin_host.sdk.hookimpl"


def find(subject: Subject) -> Iterator[Finding]:
    """Find hooks that are none, functions that should be hooks, and events that the files do not name."""
    entry = _entry(subject)
    for module in subject.sources:
        for node in module.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _hook(module, node, is_entry=module.name == entry)
            elif isinstance(node, ast.ClassDef):
                yield from _event(subject, module, node)


def _entry(subject: Subject) -> str:
    said = subject.manifest.entry if subject.manifest is not None else None
    return (said or subject.candidate.entry).partition(":")[0]


def _hook(module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef, *, is_entry: bool) -> Iterator[Finding]:
    marks = [each for each in node.decorator_list if _is_mark(module, each)]
    name = next(filter(None, map(_specname, marks)), node.name)
    if marks and name not in HOOKS:
        yield finding("PH310", f"{name!r} is no hook", nearest(name, HOOKS, "hooks"), module.label, node.lineno)
    elif marks:
        yield from _misfit(module, node, name, marks)
    elif not marks and is_entry and _is_top(module, node):
        if node.name in HOOKS and not node.decorator_list:
            text = f"{node.name!r} is named like a hook, but has no @hookimpl"
            way_out = "Put @hookimpl above it (from plugin_host.sdk), or rename it."
            yield finding("PH311", text, way_out, module.label, node.lineno)
        elif node.name.startswith("register_") and node.name not in HOOKS:
            text = f"{node.name!r} is named like a hook, and there is no such hook"
            yield finding("PH310", text, nearest(node.name, HOOKS, "hooks"), module.label, node.lineno)


def _misfit(
    module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef, name: str, marks: list[ast.expr]
) -> Iterator[Finding]:
    """Hold an implementation to what its hook offers."""
    offered = HOOKS[name]
    taken = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    strange = [each for each in taken if each not in {*offered, "self", "cls"}]
    if strange:
        text = f"{name} takes {', '.join(strange)}, which the hook does not offer"
        way_out = f"Write `def {name}({', '.join(offered)})`: it may take fewer, not others."
        yield finding("PH314", text, way_out, module.label, node.lineno)
    if isinstance(node, ast.AsyncFunctionDef) and name not in ASYNC_HOOKS:
        text = f"{name} is asynchronous; only {', '.join(sorted(ASYNC_HOOKS))} may be"
        yield finding("PH314", text, "Write `def`, and return what it adds.", module.label, node.lineno)
    if any(keyword.arg in ("wrapper", "hookwrapper") for mark in marks for keyword in getattr(mark, "keywords", ())):
        text = f"{name} is a wrapper, and there is nothing to wrap: each plugin is called by itself"
        yield finding("PH314", text, "Make it a plain @hookimpl.", module.label, node.lineno)


def _is_mark(module: Module, decorator: ast.expr) -> bool:
    return module.dotted(decorator.func if isinstance(decorator, ast.Call) else decorator) == _MARK


def _specname(mark: ast.expr) -> str | None:
    for keyword in mark.keywords if isinstance(mark, ast.Call) else ():
        if keyword.arg == "specname" and isinstance(keyword.value, ast.Constant):
            return str(keyword.value.value)
    return None


def _is_top(module: Module, node: ast.AST) -> bool:
    return node in module.tree.body


def _event(subject: Subject, module: Module, node: ast.ClassDef) -> Iterator[Finding]:
    """Hold the tag of an event type to what plugin.json says of events."""
    tag = next((keyword.value for keyword in node.keywords if keyword.arg == "tag"), None)
    name = subject.sources.text(module, tag)
    if name is None or subject.manifest is None or name.count(".") < 2:  # noqa: PLR2004 - <id>.<object>.<verb>
        return
    owner, events = name.partition(".")[0], subject.manifest.events
    if owner == subject.id and name not in events.publishes:
        text, key = f"the event {name!r} is not among those that plugin.json publishes", "publishes"
    elif owner in {*subject.needs, *subject.others} - {subject.id} and name not in events.subscribes:
        text, key = f"the event {name!r} of {owner} is not among those that plugin.json subscribes to", "subscribes"
    else:
        return
    yield finding("PH313", text, f'Add it: "events": {{"{key}": ["{name}"]}}.', module.label, node.lineno)
