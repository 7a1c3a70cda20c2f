"""A site folder of its own for each test, and plugin folders; whatever they import is forgotten afterwards."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def site_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty folder in which hand-made distributions are found, as if pip had installed them."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    return folder


@pytest.fixture(autouse=True)
def _forget_modules() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if not name.startswith(("plugin_host", "_pytest", "hypothesis")):
            module = sys.modules[name]
            if "pytest-of-" in str(getattr(module, "__file__", "") or getattr(module, "__path__", "")):
                del sys.modules[name]
