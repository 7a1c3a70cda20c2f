"""Restart the worker when a file of a plugin changes, for `serve --reload`: not only Python, as uvicorn's own does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from uvicorn.supervisors.statreload import StatReload

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WATCHED: Final = frozenset({".py", ".json", ".js", ".css", ".html"})
"""Endings of files whose change restarts the worker."""


class Reloading(StatReload):
    """uvicorn's supervisor, looking at all that a plugin is made of."""

    def iter_py_files(self) -> Iterator[Path]:
        """Give the files that are watched."""
        for folder in self.config.reload_dirs:
            yield from (path.resolve() for path in folder.rglob("*") if path.suffix in WATCHED)
