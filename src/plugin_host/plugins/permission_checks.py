"""Checks of permissions.json: names, what implies what, what roles grant, and what is public."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from plugin_host.plugins.findings import Finding, Findings, first_cycle, nearest
from plugin_host.sdk.conditions import ConditionError, parse_condition

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from plugin_host.sdk.manifest import Permission, PermissionsFile, PublicRoute, Role, RoleGrant

WORDS: Final = ("signed-in", "public")
"""What may stand where a permission is asked for, besides a permission."""

MAX_NAME: Final = 100

_SEGMENT: Final = r"[a-z][a-z0-9_-]*"
_NAMES: Final = {
    "type": re.compile(rf"{_SEGMENT}\.{_SEGMENT}"),
    "object": re.compile(rf"{_SEGMENT}\.{_SEGMENT}\.{_SEGMENT}"),
}
_SHAPES: Final = {"type": "{0}.<action>", "object": "{0}.<object>.<action>"}
_PUBLIC_PATH: Final = re.compile(r"/|(/([A-Za-z0-9._~-]+|\{[A-Za-z_]\w*:[a-z]+\}))+(/\*)?|/\*")


def check_permissions(plugin: str, permissions: Sequence[Permission], label: str, findings: Findings) -> None:
    """Check names, doubles, and that what is implied is there and does not go in a circle."""
    known = [permission.name for permission in permissions]
    for n, permission in enumerate(permissions):
        path = f"$.permissions[{n}]"
        _check_name(plugin, permission, f"{path}.name", label, findings)
        if permission.name in known[:n]:
            findings.add(Finding(label, f"{path}.name", f"{permission.name!r} stands there twice", "Remove one."))
        for m, implied in enumerate(permission.implies):
            if implied not in known:
                text = f"{permission.name!r} implies {implied!r}, which is no permission of {plugin}"
                way_out = nearest(implied, known, "permissions")
                findings.add(Finding(label, f"{path}.implies[{m}]", text, way_out))
    circle = first_cycle({permission.name: permission.implies for permission in permissions})
    if circle is not None:
        text = f"permissions imply each other in a circle: {' → '.join(circle)}"
        findings.add(Finding(label, "$.permissions", text, "Take one `implies` out."))


def check_roles(plugin: str, file: PermissionsFile, label: str, findings: Findings) -> None:
    """Check that a role is named after the plugin and grants only what is the plugin's own."""
    known = {permission.name: permission for permission in file.permissions}
    seen: set[str] = set()
    for n, role in enumerate(file.roles):
        path = f"$.roles[{n}]"
        _check_role(plugin, role, seen, f"{path}.name", label, findings)
        for m, grant in enumerate(role.grants):
            _check_grant(plugin, grant, known, f"{path}.grants[{m}]", label, findings)


def check_public(routes: Iterable[PublicRoute], label: str, findings: Findings) -> None:
    """Check the paths of public routes: the handler's own spelling, at most `/*` at the end."""
    seen: set[tuple[str, str]] = set()
    for n, route in enumerate(routes):
        path = f"$.public[{n}]"
        if _PUBLIC_PATH.fullmatch(route.path) is None or "/.." in route.path:
            text = f"{route.path!r} is no path below the plugin's API"
            way_out = 'Write the handler\'s own path, for example "/hello", "/files/{name:str}" or "/files/*".'
            findings.add(Finding(label, f"{path}.path", text, way_out))
        if (route.method, route.path) in seen:
            findings.add(Finding(label, path, f"{route.method} {route.path} stands there twice", "Remove one."))
        seen.add((route.method, route.path))


def check_reference(
    plugin: str, name: str, known: Collection[str], needed: Collection[str], where: tuple[str, str], findings: Findings
) -> None:
    """Check a permission that a menu item or screen names: a word, one of the plugin, or of one it needs.

    Whether that other plugin has it is judged when all plugins are known. `where` is file and path.
    """
    owner = name.partition(".")[0]
    if name in WORDS or name in known or (owner != plugin and owner in needed):
        return
    if owner == plugin or "." not in name:
        way_out = nearest(name, (*known, *WORDS), "permissions")
        text = f"{name!r} is no permission of {plugin}"
        findings.add(Finding(*where, text, way_out, "permission_unknown"))
    else:
        text = f"{name!r} is a permission of {owner!r}, which {plugin} does not need"
        way_out = f"Add {owner!r} to `requires` in plugin.json, or name a permission of {plugin}."
        findings.add(Finding(*where, text, way_out, "permission_foreign"))


def _check_name(plugin: str, permission: Permission, path: str, label: str, findings: Findings) -> None:
    name, scope = permission.name, permission.scope
    shapes = _NAMES.values() if plugin == "core" else (_NAMES[scope],)  # core.users.manage is of type scope
    if name.startswith(f"{plugin}.") and len(name) <= MAX_NAME and any(shape.fullmatch(name) for shape in shapes):
        return
    shape = _SHAPES[scope].format(plugin)
    other = next((other for other in _NAMES if other != scope and _NAMES[other].fullmatch(name)), None)
    hint = f', or say "scope": "{other}"' if other is not None and name.startswith(f"{plugin}.") else ""
    text = f"{name!r} is no name of a permission of {scope} scope"
    findings.add(Finding(label, path, text, f"Name it {shape} (at most {MAX_NAME} characters){hint}."))


def _check_role(plugin: str, role: Role, seen: set[str], path: str, label: str, findings: Findings) -> None:
    if role.name in seen:
        findings.add(Finding(label, path, f"{role.name!r} stands there twice", "Remove one."))
    seen.add(role.name)
    shaped = _NAMES["type"].fullmatch(role.name) and len(role.name) <= MAX_NAME
    if not (shaped and role.name.startswith(f"{plugin}.")):
        way_out = f"Name it {plugin}.<role> (at most {MAX_NAME} characters)."
        findings.add(Finding(label, path, f"{role.name!r} is no name of a role of {plugin}", way_out))


def _check_grant(
    plugin: str, grant: RoleGrant, known: Mapping[str, Permission], path: str, label: str, findings: Findings
) -> None:
    name = grant.permission
    if name not in known:
        owner = name.partition(".")[0]
        if owner == plugin or "." not in name:
            text = f"{name!r} is no permission of {plugin}"
            way_out = nearest(name, known, "permissions")
            findings.add(Finding(label, f"{path}.permission", text, way_out, "permission_unknown"))
        else:
            text = f"{name!r} is a permission of {owner!r}; a role grants only what is its plugin's own"
            way_out = "Remove it: an administrator gives roles of several plugins to a person."
            findings.add(Finding(label, f"{path}.permission", text, way_out, "permission_foreign"))
    elif grant.where is not None:
        _check_where(known[name], grant, f"{path}.where", label, findings)


def _check_where(permission: Permission, grant: RoleGrant, path: str, label: str, findings: Findings) -> None:
    if permission.scope == "type":
        text = f"{permission.name!r} is of type scope: it is asked of no row that a condition could read"
        findings.add(Finding(label, path, text, 'Take `where` out, or give the permission "scope": "object".'))
        return
    try:
        parse_condition(grant.where)
    except ConditionError as error:
        steps = "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in error.pointer.split("/")[1:])
        way_out = 'Write for example {"==": [{"row": "owner_id"}, {"actor": "id"}]}.'
        findings.add(Finding(label, f"{path}{steps}", error.detail, way_out))
