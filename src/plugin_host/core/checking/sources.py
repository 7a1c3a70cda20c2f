"""The plugin's Python, parsed and never imported: what a name stands for, and which text a constant holds."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_BYTES: Final = 1_000_000
_SKIPPED: Final = frozenset({"__pycache__", "migrations", "ui", "node_modules"})


@dataclass(frozen=True)
class Module:
    """One file of Python: `label` for people, `name` as it is imported; `error` if it cannot be parsed."""

    label: str
    name: str
    tree: ast.Module
    error: SyntaxError | None = None

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node, in no order that matters."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def constants(self) -> dict[str, str]:
        """Texts by the names they have at the top level: `VIEW: Final = "notes.view"`."""
        found: dict[str, str] = {}
        for node in self.tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            value = getattr(node, "value", None)
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                found |= {target.id: value.value for target in targets if isinstance(target, ast.Name)}
        return found

    @cached_property
    def imported(self) -> dict[str, str]:
        """What each imported name stands for: `{"sleep": "time.sleep"}`."""
        found: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                found |= {
                    each.asname or each.name.partition(".")[0]: each.name
                    if each.asname
                    else each.name.partition(".")[0]
                    for each in node.names
                }
            elif isinstance(node, ast.ImportFrom):
                base = self.source_of(node)
                found |= {each.asname or each.name: f"{base}.{each.name}" for each in node.names}
        return found

    def source_of(self, node: ast.ImportFrom) -> str:
        """Name the module that a `from … import` takes from, also a relative one."""
        if node.level == 0:
            return node.module or ""
        parts = self.name.split(".")
        if not self.label.endswith("__init__.py"):
            parts = parts[:-1]
        parts = parts[: len(parts) - node.level + 1]
        return ".".join([*parts, *([node.module] if node.module else [])])

    def dotted(self, node: ast.AST) -> str:
        """Spell what an expression names, through the imports: `time.sleep`; empty for anything else."""
        if isinstance(node, ast.Name):
            return self.imported.get(node.id, node.id)
        if isinstance(node, ast.Attribute):
            base = self.dotted(node.value)
            return f"{base}.{node.attr}" if base else ""
        return ""


@dataclass(frozen=True)
class Sources:
    """All modules of a package, by their names."""

    modules: Mapping[str, Module]

    def __iter__(self) -> Iterator[Module]:
        return iter(self.modules.values())

    def text(self, module: Module, node: ast.AST | None) -> str | None:
        """Give the text that an expression is, if that can be told: written out, or a constant of the package."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else None
        if isinstance(node, ast.Name) and node.id in module.constants:
            return module.constants[node.id]
        if isinstance(node, ast.Name | ast.Attribute):
            where, _, name = module.dotted(node).rpartition(".")
            other = self.modules.get(where)
            return other.constants.get(name) if other is not None else None
        return None

    @cached_property
    def texts(self) -> frozenset[str]:
        """Every text that is written out anywhere."""
        return frozenset(
            node.value
            for module in self
            for node in module.nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        )

    @cached_property
    def beginnings(self) -> frozenset[str]:
        """What texts begin with that are put together while the plugin runs: `f"notes.{action}"`."""
        found = set()
        for module in self:
            for node in module.nodes:
                first = node.values[0] if isinstance(node, ast.JoinedStr) and node.values else None
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    found.add(first.value)
        return frozenset(found)


def read_sources(folder: Path | None) -> Sources:
    """Parse every module of a package; revisions are not among them."""
    found: dict[str, Module] = {}
    for path in sorted(_python_files(folder)) if folder is not None else []:
        label = str(path.relative_to(folder.parent)) if folder is not None else str(path)
        name = label.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        try:
            found[name] = Module(label, name, ast.parse(path.read_bytes(), filename=label))
        except SyntaxError as error:
            found[name] = Module(label, name, ast.Module([], []), error)
        except (OSError, ValueError, RecursionError, MemoryError) as problem:
            told = SyntaxError(f"it cannot be read ({problem})")
            found[name] = Module(label, name, ast.Module([], []), told)
    return Sources(found)


def _python_files(folder: Path) -> Iterator[Path]:
    try:
        children = sorted(folder.iterdir())
    except OSError:
        return
    for child in children:
        if child.is_symlink() or child.name.startswith("."):
            continue
        if child.is_dir() and child.name not in _SKIPPED:
            yield from _python_files(child)
        elif child.suffix == ".py" and child.stat().st_size <= MAX_BYTES:
            yield child
