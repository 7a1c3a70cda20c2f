"""Routes as the sources declare them: seen even if the plugin cannot be imported. The built ones tell the rest."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from plugin_host.core.checking.finding import Finding, finding
from plugin_host.plugins.findings import nearest
from plugin_host.plugins.permission_checks import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugin_host.core.checking.sources import Module
    from plugin_host.core.checking.subject import Subject

_VERBS: Final = ("get", "post", "put", "patch", "delete", "websocket")
_GROUPS: Final = frozenset({"litestar.Router", "litestar.Controller", "litestar.router.Router"})
_DECORATORS: Final = frozenset(f"{module}.{verb}" for module in ("plugin_host.sdk", "litestar") for verb in _VERBS)


def find(subject: Subject) -> Iterator[Finding]:
    """Find handlers without a permission, and permissions that there are not."""
    outer = any(_declares_outside(module) for module in subject.sources)
    for module in subject.sources:
        for node in module.nodes:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                for decorator in node.decorator_list:
                    call = decorator if isinstance(decorator, ast.Call) else None
                    if module.dotted(call.func if call is not None else decorator) in _DECORATORS:
                        yield from _handler(subject, module, node, call, declared_outside=outer)


def _declares_outside(module: Module) -> bool:
    """Tell whether a Controller or Router may declare for its handlers."""
    return any(
        isinstance(node, ast.Dict)
        and any(isinstance(key, ast.Constant) and key.value == "permission" for key in node.keys)
        for node in module.nodes
    )


def _handler(
    subject: Subject,
    module: Module,
    node: ast.FunctionDef | ast.AsyncFunctionDef,
    call: ast.Call | None,
    *,
    declared_outside: bool,
) -> Iterator[Finding]:
    keywords = {keyword.arg: keyword.value for keyword in call.keywords} if call is not None else {}
    if "permission" not in keywords:
        if not declared_outside and not {"opt", None} & keywords.keys():
            text = f"the handler {node.name} declares no permission"
            way_out = 'Write permission="…": a permission of the plugin, "signed-in", or "public".'
            yield finding("PH401", text, way_out, module.label, node.lineno)
        return
    name = subject.sources.text(module, keywords["permission"])
    line = keywords["permission"].lineno
    if name == "public" and call is not None:
        yield from _unlisted(subject, module, node, call)
    if name is None or name in WORDS or name in subject.own or subject.manifest is None:
        return
    owner = name.partition(".")[0]
    if owner == subject.id or "." not in name:
        if not subject.adds_permissions:
            text, known = f"{node.name} needs {name!r}, which nobody declares", (*subject.own, *WORDS)
            yield finding("PH204", text, nearest(name, known, "permissions"), module.label, line)
    elif owner not in subject.needs:
        text = f"{node.name} needs {name!r} of {owner}, which plugin.json does not require"
        way_out = f"Name a permission of {subject.id}, or require {owner}."
        yield finding("PH205", text, way_out, module.label, line)
    elif owner in subject.others:
        theirs = [permission.name for permission in subject.others[owner].permissions.permissions]
        if name not in theirs and subject.others[owner].fault is None:
            text = f"{node.name} needs {name!r}, which {owner} does not declare"
            yield finding("PH204", text, nearest(name, theirs, "permissions"), module.label, line)


def _unlisted(
    subject: Subject, module: Module, node: ast.FunctionDef | ast.AsyncFunctionDef, call: ast.Call
) -> Iterator[Finding]:
    """Find a public handler that permissions.json does not list, where its path is all in its decorator."""
    given = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "path")]
    path = subject.sources.text(module, given[0]) if given else "/"
    grouped = any(name in _GROUPS for each in subject.sources for name in each.imported.values())
    if path is None or grouped:
        return
    verb = module.dotted(call.func).rpartition(".")[2].upper()
    method, below = "WS" if verb == "WEBSOCKET" else verb, f"/{path.strip('/')}"
    for entry in subject.permissions.public:
        listed = f"/{entry.path.strip('/')}"
        base = listed.removesuffix("/*")
        within = listed != base and f"{below.rstrip('/')}/".startswith(f"{base}/")
        if entry.method in ("*", method) and (below == listed or within):
            return
    text = f"{node.name} is public, and permissions.json does not list {method} {below}"
    said = f'{{"method": "{method}", "path": "{below}", "reason": "…"}}'
    yield finding("PH402", text, f'Add it under "public": {said}; or name a permission.', module.label, node.lineno)
