"""Permissions: whether something asks for them, whether rows are found by them, and what roles and `asks` say."""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING, Final

from plugin_host.core.checking.finding import Finding, finding
from plugin_host.plugins.findings import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugin_host.core.checking.subject import Subject
    from plugin_host.sdk.manifest import Role

_ASKING: Final = {"can": 0, "require": 0, "permitted": 1, "get": 2, "can_many": 0, "explain": 0}
"""The calls of `access` that take a permission, and as which argument."""

_KEYWORDS: Final = frozenset({"permission", "perm"})


def find(subject: Subject) -> Iterator[Finding]:
    """Find everything about permissions that is not wrong in one file alone."""
    asked = tuple(_asked_in_code(subject))
    yield from _asked(subject, asked)
    yield from _unused(subject)
    yield from _without_model(subject)
    for n, role in enumerate(subject.permissions.roles):
        yield from _grants(subject, role, f"$.roles[{n}]")
    yield from _asks(subject, {name for name, _, _ in asked})
    yield from _public(subject)


# -- what code asks for ------------------------------------------------------------------------------------------


def _asked_in_code(subject: Subject) -> Iterator[tuple[str, str, int]]:
    """Give each permission that a call of `access` names, with file and line."""
    for module in subject.sources:
        for node in module.nodes:
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            place = _ASKING.get(node.func.attr)
            if place is None or not module.dotted(node.func.value).endswith("access"):
                continue
            given = [*node.args[place : place + 1], *(each.value for each in node.keywords if each.arg in _KEYWORDS)]
            name = subject.sources.text(module, given[0]) if given else None
            if name is not None:
                yield name, module.label, node.lineno


def _asked(subject: Subject, asked: tuple[tuple[str, str, int], ...]) -> Iterator[Finding]:
    """Find permissions asked for in code that nobody declares, or that the plugin may not use."""
    if subject.manifest is None:
        return
    for name, file, line in asked:
        owner = name.partition(".")[0]
        if name in subject.own or name in subject.manifest.asks:
            continue
        if owner == subject.id:
            if not subject.adds_permissions:
                text, way_out = f"{name!r} is no permission of {owner}", nearest(name, subject.own, "permissions")
                yield finding("PH204", text, way_out, file, line)
        elif owner in subject.others:
            text = f"{name!r} is a permission of {owner}, and plugin.json does not ask for it"
            yield finding("PH209", text, f'Add it: "asks": ["{name}"].', file, line)


def _unused(subject: Subject) -> Iterator[Finding]:
    """Find permissions that neither code, menu, screens, pages nor another permission names."""
    begun = tuple(text for text in subject.sources.beginnings if text.startswith(f"{subject.id}."))
    for n, permission in enumerate(subject.permissions.permissions):
        name = permission.name
        seen = permission.scope == "object" and name.endswith(".view")  # "may see" is asked by `access.get` itself
        if seen or name in _named(subject) or (begun and name.startswith(begun)):
            continue
        text = f"nothing asks for {name!r}"
        way_out = "Name it in a route, in `access.can` or in a screen; or take it out, and out of the roles."
        yield finding("PH206", text, way_out, *subject.documents.at("permissions", f"$.permissions[{n}].name"))


def _named(subject: Subject) -> frozenset[str]:
    ui = subject.manifest.ui if subject.manifest is not None else None
    shown = [part.permission for part in (*ui.screens, *ui.slots)] if ui is not None else []
    menu = [item.permission for item in subject.menu.items if item.permission is not None]
    routes = [route.permission for route in subject.built.routes] if subject.built is not None else []
    return frozenset({*shown, *menu, *routes, *subject.sources.texts, *_in_pages(subject)})


def _in_pages(subject: Subject) -> set[str]:
    folder = subject.folder / "ui" if subject.folder is not None else None
    if folder is None or not folder.is_dir():
        return set()
    texts = [
        path.read_text(encoding="utf-8", errors="replace")
        for path in folder.rglob("*")
        if path.suffix in {".js", ".mjs", ".html"} and path.is_file() and not path.is_symlink()
    ]
    return {name for name in subject.own if any(name in text for text in texts)}


# -- objects -----------------------------------------------------------------------------------------------------


def _without_model(subject: Subject) -> Iterator[Finding]:
    """Find objects of permissions that not exactly one model stands for."""
    models = _models(subject)
    told = set()
    for n, permission in enumerate(subject.permissions.permissions):
        kind = permission.name.rpartition(".")[0]
        if permission.scope != "object" or kind in told or models[kind] == 1:
            continue
        told.add(kind)
        many = f"{models[kind]} models say" if models[kind] else "no model says"
        text = f'{permission.name!r} is asked of rows, and {many} __object__ = "{kind}"'
        way_out = f'Write __object__ = "{kind}" in exactly one model; or give the permission type scope.'
        yield finding("PH207", text, way_out, *subject.documents.at("permissions", f"$.permissions[{n}]"))


def _models(subject: Subject) -> Counter[str]:
    """Count the classes that say `__object__`, by what they say."""
    if subject.built is not None:
        return Counter({kind: len(names) for kind, names in subject.built.kinds.items()})
    counted: Counter[str] = Counter()
    for module in subject.sources:
        for node in module.nodes:
            for part in node.body if isinstance(node, ast.ClassDef) else ():
                targets = part.targets if isinstance(part, ast.Assign) else [getattr(part, "target", None)]
                if any(isinstance(target, ast.Name) and target.id == "__object__" for target in targets):
                    kind = subject.sources.text(module, getattr(part, "value", None))
                    counted.update([kind] if kind else [])
    return counted


# -- roles, asks, public -----------------------------------------------------------------------------------------


def _grants(subject: Subject, role: Role, path: str) -> Iterator[Finding]:
    """Find an empty role, and grants that another one of the same role includes."""
    if not role.grants:
        way_out = "Add `grants`, or take the role out."
        yield finding("PH208", f"{role.name!r} grants nothing", way_out, *subject.documents.at("permissions", path))
    for n, grant in enumerate(role.grants):
        including = [
            other.permission
            for m, other in enumerate(role.grants)
            if other.where is None
            and m != n
            and grant.permission in _implied(subject, other.permission)
            and (other.permission != grant.permission or grant.where is not None or m < n)
        ]
        if including:
            text = f"{role.name!r} grants {grant.permission!r}, which {including[0]!r} there includes on every row"
            at = subject.documents.at("permissions", f"{path}.grants[{n}]")
            yield finding("PH208", text, "Take it out, or give the other one a `where`.", *at)


def _implied(subject: Subject, name: str) -> set[str]:
    """Give a permission with all that comes with it."""
    implies = {permission.name: permission.implies for permission in subject.permissions.permissions}
    found, todo = set(), [name]
    while todo:
        each = todo.pop()
        if each not in found:
            found.add(each)
            todo += implies.get(each, ())
    return found


def _asks(subject: Subject, asked: set[str]) -> Iterator[Finding]:
    """Find what the plugin asks for although it uses nothing of that plugin: neither permission nor package."""
    texts = asked | subject.sources.texts
    for n, name in enumerate(subject.manifest.asks if subject.manifest is not None else ()):
        owner = subject.others.get(name.partition(".")[0])
        if name in texts or owner is None or _imports(subject, owner.candidate.package):
            continue
        text = f"nothing here uses {name!r}, or anything of {owner.id}"
        yield finding("PH210", text, "Take it out of `asks`.", *subject.documents.at("plugin", f"$.asks[{n}]"))


def _imports(subject: Subject, package: str) -> bool:
    return any(name.partition(".")[0] == package for module in subject.sources for name in module.imported.values())


def _public(subject: Subject) -> Iterator[Finding]:
    """Find entries under `public` that no public route answers; only the built routes tell."""
    if subject.built is None:
        return
    prefix = f"/api/{subject.id}"
    answered = [
        (route.method, route.path.removeprefix(prefix) or "/")
        for route in subject.built.routes
        if route.permission == "public"
    ]
    for n, entry in enumerate(subject.permissions.public):
        path = f"/{entry.path.strip('/')}"
        base = path.removesuffix("/*")
        if not any(
            entry.method in ("*", method) and (below == path or (path != base and f"{below}/".startswith(f"{base}/")))
            for method, below in answered
        ):
            text = f"no public route answers {entry.method} {entry.path}"
            at = subject.documents.at("permissions", f"$.public[{n}]")
            yield finding("PH403", text, 'Take it out, or declare the route permission="public".', *at)
