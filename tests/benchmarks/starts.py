"""How long a process takes from its start until it answers, beside what has to be imported for it.

All are fresh processes with compiled code at hand, as an installer leaves it, so each kind is started once before
it is measured.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from distributions import datasette_plugins, host_plugins

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# What a start of the host imports of other people's work. Not alembic: it is for migrations that wait.
LIBRARIES = (
    "argon2, casbin, click, litestar, msgspec, multipart, packaging.specifiers, pluggy, "
    "sqlalchemy.ext.asyncio, sqlalchemy.orm, sqlalchemy.dialects.sqlite.aiosqlite, aiosqlite, "
    "uvicorn.protocols.http.auto, uvicorn.protocols.websockets.auto"
)
PATIENCE = 60.0


def has_datasette() -> bool:
    """Tell whether there is a Datasette to compare with."""
    return importlib.util.find_spec("datasette") is not None


def libraries() -> float:
    """Import the libraries; gives the seconds that the process took."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {LIBRARIES}"], check=True, cwd=tempfile.gettempdir(), env=compiled())
    return time.perf_counter() - start


def host_ready(site: Path, data: Path) -> float:
    """Serve the plugins in `site` on the database in `data`; gives the seconds until it says that it is ready."""
    with _free_port() as port:
        return _until_answered(["plugin_host", "serve", "--port", str(port)], site, data, port, "/health/ready")


def datasette_ready(site: Path, data: Path) -> float:
    """Serve the plugins in `site` with Datasette; gives the seconds until its first answer."""
    with _free_port() as port:
        words = ["datasette", "serve", "--port", str(port), "--memory"]
        return _until_answered(words, site, data, port, "/-/versions.json")


def ready_beside_imports(count: int, rounds: int) -> tuple[list[tuple[float, float]], list[float]]:
    """Compare a ready host with the import of its libraries: pairs in turn, and the starts on a new database."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = host_plugins(folder / "site", count)
        data = _made(folder / "data")
        first = [host_ready(site, _made(folder / f"new{number}")) for number in range(3)]
        host_ready(site, data), libraries()
        return [(host_ready(site, data), libraries()) for _ in range(rounds)], first


def beside_datasette(count: int, rounds: int) -> list[tuple[float, float]]:
    """Compare starts with that many plugins: pairs in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data = _made(folder / "data")
        ours, theirs = host_plugins(folder / "ours", count), datasette_plugins(folder / "theirs", count)
        host_ready(ours, data), datasette_ready(theirs, data)
        return [(host_ready(ours, data), datasette_ready(theirs, data)) for _ in range(rounds)]


def ratio(pairs: Sequence[tuple[float, float]]) -> float:
    """Give the median of the ratios."""
    return statistics.median(ours / theirs for ours, theirs in pairs)


def middle(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Give the median of each side."""
    return statistics.median(ours for ours, _ in pairs), statistics.median(theirs for _, theirs in pairs)


def compiled(site: Path | None = None) -> dict[str, str]:
    """Give an environment in which Python keeps what it compiles, and finds the plugins in `site`."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    if site is not None:
        path = [str(site), *filter(None, [environment.get("PYTHONPATH")])]
        environment["PYTHONPATH"] = os.pathsep.join(path)
    return environment


def _until_answered(words: list[str], site: Path, folder: Path, port: int, path: str) -> float:
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=folder,
        env=compiled(site),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not _answers(port, path):
            if process.poll() is not None or time.perf_counter() - start > PATIENCE:
                message = f"{words[0]} did not start: {process.stderr.read() if process.stderr else ''}"
                raise SystemExit(message)
            time.sleep(0.002)
        return time.perf_counter() - start
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)


def _answers(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n".encode())
            return b" 200 " in connection.recv(64)
    except OSError:
        return False


@contextlib.contextmanager
def _free_port() -> Iterator[int]:
    with socket.socket() as looking:
        looking.bind(("127.0.0.1", 0))
        port: int = looking.getsockname()[1]
    yield port


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
