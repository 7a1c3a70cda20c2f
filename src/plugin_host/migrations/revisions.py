"""Revisions as files: `migrations/NNNN_slug.py` is revision `<plugin>_<NNNN>`, and the numbers are the order.

So the revision that a plugin expects is known from a listing, without importing anything. What a file says of
itself (`needs`, `phase`) is read from its syntax tree: a plan never runs a plugin's code.
"""

from __future__ import annotations

import ast
import hashlib
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, NoReturn

from plugin_host.migrations.schedule import CORE, Step, revision_id
from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, ModuleType

_FILE: Final = re.compile(r"(\d{4})_\w+\.py", re.ASCII)
_PHASES: Final = ("expand", "contract")

UNREADABLE: Final = (SyntaxError, ValueError, RecursionError, MemoryError)
"""What Python raises about a text that is no program, the last two where it is nested too deeply."""


@dataclass(frozen=True)
class Source:
    """Where the revisions of one plugin come from. `folder` is None for a plugin without any.

    `requires` are the ids of the plugins that it requires; only of these a revision may say `needs`.
    """

    plugin: str
    folder: Path | None
    requires: tuple[str, ...] = ()
    version: str = ""


def expected_head(source: Source) -> str | None:
    """Name the last revision that the plugin brings, or None: one listing, nothing is opened.

    Raises `PluginFault` for a file whose name is no revision, and for a gap or a number taken twice.
    """
    found = revision_files(source)
    return revision_id(source.plugin, len(found)) if found else None


def revision_files(source: Source) -> tuple[Path, ...]:
    """List the revisions of a plugin: the file of number n stands at n - 1. Raises as `expected_head`."""
    numbers: dict[int, str] = {}
    for name in _python_files(source):
        match = _FILE.fullmatch(name)
        if match is None:
            _fail(source.plugin, f"migrations/{name} is no revision", "Name it NNNN_slug.py, as 0001_people.py.")
        number = int(match[1])
        if number in numbers:
            text = f"migrations/{numbers[number]} and migrations/{name} are both number {match[1]}"
            way_out = "Give the younger one the next number: revisions are one line, without branches."
            _fail(source.plugin, text, way_out, "migration_heads")
        numbers[number] = name
    for expected, number in enumerate(sorted(numbers), 1):
        if number != expected:
            text = f"migrations/{numbers[number]} is there, number {expected:04d} is not"
            way_out = "Bring the missing file back, or number without gaps from 0001."
            _fail(source.plugin, text, way_out, "migration_missing")
    folder = source.folder or Path()
    return tuple(folder / numbers[number] for number in sorted(numbers))


def read_step(source: Source, path: Path) -> Step:
    """Read one revision's file. Raises `PluginFault` when it cannot be read, or says what cannot be served."""
    text = read_text(source, path)
    try:
        tree = ast.parse(text)
    except UNREADABLE as error:
        _fail(source.plugin, f"{path} is no Python: {error or type(error).__name__}", "Correct the file.")
    try:
        said = {name: _literal(tree, name) for name in ("needs", "phase", "transactional")}
    except (TypeError, *UNREADABLE):  # the first for a list as a key
        text = f"{path}: `needs`, `phase` and `transactional` are read without running the file"
        _fail(source.plugin, text, 'Write the value out: needs = {"contacts": "contacts_0002"}.')
    if not any(isinstance(node, ast.FunctionDef) and node.name == "upgrade" for node in tree.body):
        _fail(source.plugin, f"{path} has no function upgrade()", "Define `def upgrade() -> None:` at the top level.")
    if said["phase"] not in (None, *_PHASES):
        _fail(source.plugin, f"{path}: phase is {said['phase']!r}", 'Say phase = "expand" or phase = "contract".')
    if said["transactional"] not in (None, True, False):
        text = f"{path}: transactional is {said['transactional']!r}"
        _fail(source.plugin, text, "Say transactional = False, or leave it out.")
    return Step(
        source.plugin,
        int(path.name[:4]),
        _needs(source, path, said["needs"]),
        path,
        text,
        said["phase"],
        transactional=said["transactional"] is not False,
    )


def read_text(source: Source, path: Path) -> str:
    """Read a revision's text, with line ends as Python reads them: a checkout with others is no change."""
    try:
        return path.read_text("utf-8-sig")
    except (OSError, ValueError) as error:
        _fail(source.plugin, f"{path} cannot be read: {error}", "Make it a file of text in UTF-8.")


def checksum(text: str) -> str:
    """Give the SHA-256 of a revision's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def same_code(one: str, other: str) -> bool:
    """Tell whether two texts are the same code; comments and layout may differ.

    Both are parsed by the Python that runs: a stored tree would differ between versions of Python.
    """
    try:
        return ast.dump(ast.parse(one)) == ast.dump(ast.parse(other))
    except UNREADABLE:
        return False


def needs_of(text: str) -> dict[str, int]:
    """Give what a revision, by the text that ran, needs of other plugins: numbers by plugin."""
    try:
        said = _literal(ast.parse(text), "needs") or {}
        return {plugin: int(str(revision).rpartition("_")[2]) for plugin, revision in said.items()}
    except (TypeError, AttributeError, *UNREADABLE):
        return {}


def is_expand(text: str) -> bool:
    """Tell whether a revision, by its text, leaves the release before it working."""
    try:
        return bool(_literal(ast.parse(text), "phase") == "expand")
    except UNREADABLE:
        return False


@contextmanager
def loaded(step: Step) -> Iterator[ModuleType]:
    """Import a revision for as long as it runs: exactly the text that the ledger keeps, and no file is written."""
    name = f"plugin_host_revision_{step.revision}"
    loader = _TextLoader(name, str(step.path), step.source)
    spec = spec_from_file_location(name, step.path, loader=loader)
    assert spec is not None  # noqa: S101 - a loader was given
    module = module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and msgspec look their own module up there
    try:
        loader.exec_module(module)
        yield module
    finally:
        del sys.modules[name]


class _TextLoader(SourceFileLoader):
    """Compiles a text that was read before: neither another reading of the file nor a __pycache__."""

    def __init__(self, name: str, path: str, text: str) -> None:
        super().__init__(name, path)
        self._text = text

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self._text, self.path)  # as text: a coding line says nothing any more


def _python_files(source: Source) -> list[str]:
    """Name the files that may be revisions; `__init__.py` and the like are not."""
    if source.folder is None:
        return []
    try:
        names = sorted(path.name for path in source.folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        _fail(source.plugin, f"{source.folder} cannot be listed ({error.strerror})", "Let the host read it.")
    return [name for name in names if name.endswith(".py") and not name.startswith(("_", "."))]


def _literal(tree: ast.Module, name: str) -> Any:
    """Give the value of a top-level `name = ...`, or None. Raises ValueError when it is not written out."""
    value: Any = None
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets: list[ast.expr] = node.targets
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets = [node.target]
        else:
            continue
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            value = ast.literal_eval(node.value)  # type: ignore[arg-type]  # both kinds have one
    return value


def _needs(source: Source, path: Path, said: Any) -> dict[str, int]:
    if not isinstance(said, dict):
        said = {} if said is None else {"": said}
    return {plugin: _need(source, path, plugin, revision) for plugin, revision in said.items()}


def _need(source: Source, path: Path, plugin: Any, revision: Any) -> int:
    match = re.fullmatch(rf"{re.escape(str(plugin))}_(\d{{4}})", str(revision))
    if match is None:
        text = f"{path}: needs names {revision!r}"
        _fail(source.plugin, text, 'Name one revision of each plugin: needs = {"contacts": "contacts_0002"}.')
    if plugin not in {*source.requires, CORE} - {source.plugin}:
        text = f"{path}: needs names {revision}, and {source.plugin} does not require {plugin}"
        _fail(source.plugin, text, f"Put {plugin} into `requires` of plugin.json, or leave it out of `needs`.")
    return int(match[1])


def _fail(
    plugin: str,
    text: str,
    way_out: str,
    code: Literal["migration_failed", "migration_heads", "migration_missing"] = "migration_failed",
) -> NoReturn:
    raise PluginFault(Reason(code=code, text=f"{text}.", culprits=(plugin,), way_out=way_out))
