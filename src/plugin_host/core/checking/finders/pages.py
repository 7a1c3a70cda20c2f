"""Files for the browser: what the shell's policy blocks, what is not there, and what is too large."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from plugin_host.core.checking.finding import Finding, finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from plugin_host.core.checking.subject import Subject

LARGE: Final = 1_000_000

_SCRIPTS: Final = frozenset({".js", ".mjs"})
_COMMENT: Final = re.compile(r"/\*.*?\*/|(?<![:\"'`\w])//[^\n]*", re.DOTALL)
_IMPORT: Final = re.compile(
    r"""(?<![\w.$])(?:import|export)\b\s*(?:[^"'`;()]*?\bfrom\s*)?["']([^"'\n]+)["']|\bimport\(\s*["']([^"'\n]+)["']\s*\)"""
)
_EVAL: Final = re.compile(r"(?<![.\w$])eval\s*\(|\bnew\s+Function\s*\(")
_ELSEWHERE: Final = re.compile(r"<(?:script|link)\b[^>]*\b(?:src|href)\s*=\s*[\"'](?:https?:)?//", re.IGNORECASE)


def find(subject: Subject) -> Iterator[Finding]:
    """Look at every file below ui/ of a plugin that has screens or slots."""
    folder = subject.folder / "ui" if subject.folder is not None else None
    if subject.manifest is None or subject.manifest.ui is None or folder is None or not folder.is_dir():
        return
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        label, size = subject.label(path), path.stat().st_size
        if path.suffix in {*_SCRIPTS, ".css"} and size > LARGE:
            text = f"it has {size / 1_000_000:.1f} MB"
            yield finding("PH703", text, "Minify it, or import parts of it when they are needed.", label)
        if path.suffix in _SCRIPTS:
            # Below the hash of the folder, below the plugin: where the shell's end of a frame's port is.
            port = "../" * (len(path.relative_to(folder).parts) + 1) + "core/frame.js"
            yield from _script(path, label, port)
        elif path.suffix in {".html", ".htm"}:
            yield from _page(path, label)


def _script(path: Path, label: str, port: str) -> Iterator[Finding]:
    text = _uncommented(_read(path))
    for match in _EVAL.finditer(text):
        way_out = "Do without: parse data with JSON.parse, and import code."
        yield finding("PH704", f"{match[0].strip('( ')} is blocked", way_out, label, _line(text, match.start()))
    for match in _IMPORT.finditer(text):
        target, line = match[1] or match[2], _line(text, match.start(1 if match[1] else 2))
        if re.match(r"(https?:)?//", target):
            way_out = "Put a copy below ui/ and import that."
            yield finding("PH704", f"importing {target} is blocked", way_out, label, line)
        elif target == port or not target.startswith(("./", "../")):
            continue
        elif not (path.parent / re.split("[?#]", target)[0]).is_file():
            text_ = f"it imports {target!r}, and there is no such file"
            yield finding("PH705", text_, "Correct the name, with its ending; or see that it is packed.", label, line)


def _page(path: Path, label: str) -> Iterator[Finding]:
    text = _read(path)
    for match in _ELSEWHERE.finditer(text):
        told = "what comes from another server is blocked"
        yield finding("PH704", told, "Put a copy below ui/.", label, _line(text, match.start()))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _uncommented(text: str) -> str:
    """Blank comments out; lines keep their numbers."""
    return _COMMENT.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
