"""Trivial plugins as installed distributions, in a folder that is put on the path: for the host, and for Datasette.

Each is a package, what `pip` writes beside it, and one hook that registers one route.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

HOST_HOOKS = """\
from plugin_host.sdk import get, hookimpl


@get("/hello", permission="{name}.view")
async def hello() -> dict[str, str]:
    return {{"hello": "{name}"}}


@hookimpl
def register_routes() -> list[object]:
    return [hello]
"""

DATASETTE_HOOKS = """\
from datasette import Response, hookimpl


async def hello():
    return Response.json({{"hello": "{name}"}})


@hookimpl
def register_routes():
    return [(r"^/-/{name}/hello$", hello)]
"""


def word(number: int) -> str:
    """Give a plugin id that is not taken."""
    return f"other{chr(97 + number // 26)}{chr(97 + number % 26)}"


def host_plugins(folder: Path, count: int) -> Path:
    """Install that many plugins of the host; gives the folder."""
    for name in map(word, range(count)):
        package = _install(folder, f"host_{name}", "plugin_host.plugins", name, f"host_{name}.hooks")
        manifest = {"id": name, "name": name, "version": "1.0", "requires": {"core": ">=1.0,<2"}}
        (package / "plugin.json").write_text(json.dumps(manifest))
        permissions = {"permissions": [{"name": f"{name}.view", "title": "See"}]}
        (package / "permissions.json").write_text(json.dumps(permissions))
        (package / "hooks.py").write_text(HOST_HOOKS.format(name=name))
    return _settled(folder)


def datasette_plugins(folder: Path, count: int) -> Path:
    """Install that many plugins of Datasette; gives the folder."""
    for name in map(word, range(count)):
        package = _install(folder, f"datasette_{name}", "datasette", name, f"datasette_{name}.hooks")
        (package / "hooks.py").write_text(DATASETTE_HOOKS.format(name=name))
    return _settled(folder)


def _install(folder: Path, package: str, group: str, name: str, entry: str) -> Path:
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: 1.0\n")
    (info / "RECORD").write_text("")
    (info / "entry_points.txt").write_text(f"[{group}]\n{name} = {entry}\n")
    (folder / package).mkdir()
    (folder / package / "__init__.py").write_text("")
    return folder / package


def _settled(folder: Path) -> Path:
    """Let everything be of yesterday: of what was written a moment ago nothing is kept that was read of it."""
    folder.mkdir(exist_ok=True)
    yesterday = time.time() - 86_400
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (yesterday, yesterday))
    return folder


def main() -> None:
    """Install plugins by hand: `distributions.py KIND FOLDER COUNT`."""
    kind, folder, count = sys.argv[1:]
    (host_plugins if kind == "host" else datasette_plugins)(Path(folder), int(count))


if __name__ == "__main__":
    main()
