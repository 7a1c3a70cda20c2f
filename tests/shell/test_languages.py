"""What the shell says is in every language that it speaks, with the same names to be filled in."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import plugin_host.shell

STATIC = Path(plugin_host.shell.__file__).parent / "static"
LANGUAGES = sorted(path.stem for path in (STATIC / "locales").glob("*.json"))
_CALL = re.compile(r'(?<![\w.])t\(\s*"((?:[^"\\]|\\.)*)"')
_NAME = re.compile(r"\{\w+\}")


def said() -> set[str]:
    files = [path for path in STATIC.rglob("*.js") if "vendor" not in path.parts]
    return {text for path in files for text in _CALL.findall(path.read_text(encoding="utf-8"))}


def test_there_is_another_language_than_english() -> None:
    assert LANGUAGES == ["de"]
    assert len(said()) > 100


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_is_complete_and_fills_in_the_same_names(language: str) -> None:
    texts = json.loads((STATIC / "locales" / f"{language}.json").read_text(encoding="utf-8"))
    assert set(texts) == said()
    assert [text for text, other in texts.items() if sorted(_NAME.findall(text)) != sorted(_NAME.findall(other))] == []
    assert all(other.strip() for other in texts.values())
