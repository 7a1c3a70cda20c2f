"""Word what a plugin's code raised: what, and where in the plugin, so that its author need not look at a traceback."""

from __future__ import annotations

import difflib
import inspect
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from plugin_host.sdk.errors import PluginFault, Reason, ReasonCode

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_MESSAGE = 300


def describe(error: BaseException, folder: Path | None) -> str:
    """Give the type, the message, and file and line of the deepest frame in the plugin's folder.

    `RuntimeError: no such luck (host_contacts/hooks.py:12)`. Without a frame in the plugin the place is left out.
    """
    name = type(error).__name__
    message = _message(error)
    place = _place(error, folder)
    return (f"{name}: {message}" if message else name) + (f" ({place})" if place else "")


def define_place(function: Any, folder: Path | None) -> str:
    """Say where a function is defined, as `host_contacts/hooks.py:12`; empty if it is not written in Python."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return _shown(code.co_filename, code.co_firstlineno, folder) if code is not None else ""


def fault(code: ReasonCode, plugin: str, text: str, way_out: str, *others: str) -> PluginFault:
    """Make the error that parks a plugin; `others` are culprits besides the plugin itself."""
    return PluginFault(Reason(code=code, text=f"{plugin}: {text}", culprits=(plugin, *others), way_out=way_out))


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """Give the known word that is nearest, if one is near."""
    return next(iter(difflib.get_close_matches(word, sorted(known), 1)), None)


def _message(error: BaseException) -> str:
    try:
        # Without what moves the cursor or colours: the text is shown in terminals.
        words = "".join(letter if letter.isprintable() else " " for letter in str(error)).split()
    except BaseException:  # noqa: BLE001 - even the message is the plugin's code, and may raise anything
        return ""
    text = " ".join(words)
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}…"


def _place(error: BaseException, folder: Path | None) -> str:
    if isinstance(error, SyntaxError) and error.filename and error.lineno and _is_within(error.filename, folder):
        return _shown(error.filename, error.lineno, folder)
    frames = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if _is_within(frame.f_code.co_filename, folder)
    ]
    return _shown(*frames[-1], folder) if frames else ""


def _is_within(file: str, folder: Path | None) -> bool:
    return folder is not None and Path(file).is_relative_to(folder)


def _shown(file: str, line: int, folder: Path | None) -> str:
    shown = Path(file).relative_to(folder.parent) if folder is not None and _is_within(file, folder) else Path(file)
    return f"{shown}:{line}"
