"""What the plugin imports: of the host only its face, of other plugins only what it requires."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from plugin_host import sdk
from plugin_host.core.checking.finding import Finding, finding
from plugin_host.plugins.findings import nearest
from plugin_host.sdk.deprecations import DEPRECATED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from plugin_host.core.checking.sources import Module
    from plugin_host.core.checking.subject import Subject
    from plugin_host.sdk.deprecations import Deprecation

_FACES: Final = ("plugin_host.sdk", "plugin_host.testing")


def find(subject: Subject, deprecated: Sequence[Deprecation] = DEPRECATED) -> Iterator[Finding]:
    """Find modules that do not parse, and imports that will not hold."""
    owners = {found.candidate.package: plugin for plugin, found in subject.others.items() if found.candidate.package}
    for module in subject.sources:
        if module.error is not None:
            text = f"Python cannot parse it: {module.error.msg}"
            yield finding("PH301", text, "Correct the syntax.", module.label, module.error.lineno)
        for name, line in _imports(module):
            yield from _of_host(module, name, line)
            yield from _of_plugin(subject, owners, module, name, line)
        yield from _going_away(module, {each.name: each for each in deprecated})


def _imports(module: Module) -> Iterator[tuple[str, int]]:
    """Give each imported name in full, with its line."""
    for node in module.nodes:
        if isinstance(node, ast.Import):
            yield from ((each.name, node.lineno) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = module.source_of(node)
            yield from ((f"{source}.{each.name}", each.lineno or node.lineno) for each in node.names)


def _of_host(module: Module, name: str, line: int) -> Iterator[Finding]:
    if name.partition(".")[0] != "plugin_host":
        return
    if not any(name == face or name.startswith(f"{face}.") for face in _FACES):
        text = f"it imports {name}, which is the host's own"
        yield finding("PH302", text, "Import what you need from plugin_host.sdk.", module.label, line)
        return
    word = name.removeprefix("plugin_host.sdk.")
    if "." in word and word != name:
        text = f"it imports {name}: how plugin_host.sdk is made up may change"
        way_out = f"Write: from plugin_host.sdk import {word.rpartition('.')[2]}."
        yield finding("PH302", text, way_out, module.label, line)
    elif word not in (name, "*") and word not in sdk.__all__:
        text = f"plugin_host.sdk has no {word!r}"
        yield finding("PH303", text, nearest(word, sdk.__all__, "names"), module.label, line)


def _of_plugin(subject: Subject, owners: dict[str, str], module: Module, name: str, line: int) -> Iterator[Finding]:
    owner = owners.get(name.partition(".")[0])
    if owner is None or owner in {"core", subject.id, *subject.needs} or subject.manifest is None:
        return
    if name.partition(".")[0] == subject.candidate.package:
        return
    text = f"it imports {name} of the plugin {owner}, which plugin.json does not require"
    way_out = f'Add it: "requires": {{"{owner}": ">=…"}}; or `optional`, and import it only when it is there.'
    yield finding("PH305", text, way_out, module.label, line)


def _going_away(module: Module, deprecated: dict[str, Deprecation]) -> Iterator[Finding]:
    if not deprecated:
        return
    seen = [*_imports(module)]
    seen += [(module.dotted(node), node.lineno) for node in module.nodes if isinstance(node, ast.Attribute)]
    for name, line in dict.fromkeys(seen):
        if (old := deprecated.get(name)) is not None:
            text = f"{name} is deprecated since contract {old.since}, and gone in {old.removed}"
            yield finding("PH304", text, f"Use {old.instead}.", module.label, line)
