"""The shell's own scripts and style sheets without what only people read.

They are kept as they are written and sent without comments and indentation: a third less on every first visit, and no
build step. It is made for this project's own files (the tests run them all); plugins' files are sent as they are.
"""

from __future__ import annotations

import re
from typing import Final

# One alternative for each kind of thing that may hold what looks like another. A slash begins a regular expression
# where a value may begin: after an operator, an opening bracket, a comma, or one of a few words.
_SCRIPT: Final = re.compile(
    r"""
      (?P<comment> //[^\n]* | /\*.*?\*/ )
    | (?P<text> "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
    | (?P<template> ` )
    | (?P<regex> (?<=[(,=:\[!&|?{};+\n>]) (?P<blank>\s*) /(?![*/])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n])+/[a-z]* )
    """,
    re.VERBOSE | re.DOTALL,
)
_INDENT: Final = re.compile(r"[ \t]*\n\s*")
_SHEET: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_AROUND: Final = re.compile(r"\s*([{};,])\s*")


def strip(path: str, body: bytes) -> bytes:
    """Give a file as it is sent: scripts and style sheets stripped, everything else as it is."""
    if path.endswith(".css"):
        return strip_sheet(body.decode()).encode()
    if path.endswith(".js") and not path.startswith("vendor/"):
        return strip_script(body.decode()).encode()
    return body


def strip_sheet(text: str) -> str:
    """Take comments and blanks out of a style sheet; texts in it have neither."""
    return _AROUND.sub(r"\1", re.sub(r"\s+", " ", _SHEET.sub("", text))).replace(";}", "}").strip()


def strip_script(text: str) -> str:
    """Take comments and indentation out of a script. Line ends stay: they may end a statement."""
    made: list[str] = []
    _code(text, 0, made)
    return "".join(made).strip() + "\n"


def _code(text: str, at: int, made: list[str]) -> int:
    """Copy code from a place up to the end, or up to the bracket that ends a template's hole; gives where it ends."""
    depth = 0
    plain = at

    def flush(end: int) -> None:
        made.append(_INDENT.sub("\n", text[plain:end]))

    while at < len(text):
        letter = text[at]
        if letter == "{":
            depth += 1
        elif letter == "}":
            if depth == 0:
                flush(at)
                return at
            depth -= 1
        elif letter in "/\"'`" or (letter in "(,=:[!&|?{;+\n>" and text[at + 1 : at + 2].isspace()):
            found = _SCRIPT.match(text, at)
            if found is not None and found["comment"] is not None:
                flush(at)
                made[-1] = made[-1].rstrip(" \t")  # a comment at the end of a line leaves no blanks
                at = plain = found.end()
                if made[-1][-1:] in ("", "\n"):  # one of its own leaves no line
                    at = plain = at + len(text[at:]) - len(text[at:].lstrip())
                continue
            if found is not None and found["template"] is not None:
                flush(at)
                at = plain = _template(text, at, made)
                continue
            if found is not None:
                flush(at)
                made.append(found[0])
                at = plain = found.end()
                continue
        at += 1
    flush(at)
    return at


def _template(text: str, at: int, made: list[str]) -> int:
    """Copy a template; its texts stay as they are, code in its holes does not. Gives the place behind it."""
    start = at
    at += 1
    while text[at] != "`":
        if text[at] == "\\":
            at += 2
        elif text.startswith("${", at):
            made.append(text[start : at + 2])
            at = start = _code(text, at + 2, made)
        else:
            at += 1
    made.append(text[start : at + 1])
    return at + 1
