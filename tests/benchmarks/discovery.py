"""What a look through the installed distributions costs: the first one beside those that find nothing changed.

`python tests/benchmarks/discovery.py` prints the medians in milliseconds: cold, warm.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from plugin_host.plugins.installed import Scanner

if TYPE_CHECKING:
    from collections.abc import Callable

DISTRIBUTIONS = 1_000
PLUGINS = 10
ROUNDS = 15


def install(folder: Path, count: int, plugins: int) -> None:
    """Write what pip writes beside the packages of distributions, of which the first ones bring a plugin."""
    for number in range(count):
        info = folder / f"dist{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: dist{number}\nVersion: 1.0\n")
        group = "plugin_host.plugins" if number < plugins else "console_scripts"
        (info / "entry_points.txt").write_text(f"[{group}]\nword{number} = dist{number}.hooks\n")
    yesterday = time.time() - 86_400
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (yesterday, yesterday))


def scans(count: int = DISTRIBUTIONS, plugins: int = PLUGINS) -> tuple[float, float]:
    """Give the median milliseconds of a cold and of a warm scan, measured in turn in one process."""
    with tempfile.TemporaryDirectory() as name:
        install(Path(name), count, plugins)
        before = [*sys.path]
        sys.path[:] = [*before, name]
        try:
            return _measure()
        finally:
            sys.path[:] = before


def _measure() -> tuple[float, float]:
    cold, warm = [], []
    for _ in range(ROUNDS):
        scanner = Scanner()  # it has seen nothing yet
        cold.append(_took(scanner.scan))
        warm.append(_took(scanner.scan))
    return statistics.median(cold), statistics.median(warm)


def _took(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) * 1000


if __name__ == "__main__":
    sys.stdout.write(json.dumps(scans()) + "\n")
