"""Sphinx: markdown pages, built with `-n -W` so that a dead link is an error."""

from __future__ import annotations

import tomllib
from pathlib import Path

_PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]

project = "plugin-host"
author = "The plugin-host authors"
project_copyright = "2026, The plugin-host authors"
release = version = _PROJECT["version"]

extensions = ["myst_parser"]
exclude_patterns = ["_build", "changelog"]
nitpicky = True

html_theme = "furo"
html_title = f"plugin-host {version}"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
