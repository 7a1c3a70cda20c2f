"""Bad plugins as data, and how they are built: real wheels that pip installs, or real folders."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

GET: Final = """
from plugin_host.sdk import get, hookimpl

@get("/", permission="signed-in")
async def hello() -> dict[str, str]:
    return {"hello": "world"}

@hookimpl
def register_routes():
    return [hello]
"""
"""The hooks of a plugin that has nothing wrong with it yet."""

HEAD: Final = "from plugin_host.sdk import AsgiApp, MenuItem, Permission, get, hookimpl\n"
FIX: Final = "Correct the plugin"


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A plugin that misbehaves, and what an operator must be told of it.

    `keys` are put into a sound plugin.json (None takes one out); `manifest` is written instead of it, as it is.
    `hooks` is the text of hooks.py, `files` are others of the package, by path (None takes one out). `says` and
    `way_out` are words of the reason. `culprits` (default: the id) and the words may name `{site}` and `{folders}`.
    `settings` is the plugin's table in plugin-host.toml. `others` are built with it, and are not looked at.
    """

    plugin: str
    what: str
    state: str
    code: str | None = None
    says: str = ""
    way_out: str = ""
    culprits: tuple[str, ...] | None = None
    form: Literal["wheel", "folder"] = "wheel"
    keys: Mapping[str, Any] = field(default_factory=dict)
    manifest: bytes | None = None
    permissions: Any = None
    menu: Any = None
    hooks: str = GET
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)
    version: str = "1.0"
    entry: str | None = None
    package: str | None = None
    settings: str = ""
    restart_needed: bool = False
    others: tuple[Bad, ...] = ()

    @property
    def folder(self) -> str:
        """The package's name."""
        return self.package or f"host_{self.plugin}"

    def members(self) -> dict[str, bytes]:
        """Give the files of the package by their path in it."""
        keys = {"id": self.plugin, "name": self.plugin.title(), "requires": {"core": ">=1.0,<2"}, **self.keys}
        if self.form == "folder":
            keys = {"version": self.version, "entry": f"{self.folder}.hooks", **keys}
        said = json.dumps({key: value for key, value in keys.items() if value is not None}).encode()
        texts: dict[str, str | bytes | None] = {
            "__init__.py": "",
            "plugin.json": said if self.manifest is None else self.manifest,
            "hooks.py": self.hooks,
            **{f"{n}.json": json.dumps(x) for n in ("permissions", "menu") if (x := getattr(self, n)) is not None},
            **self.files,
        }
        there = {path: text for path, text in texts.items() if text is not None}
        return {path: text.encode() if isinstance(text, str) else text for path, text in there.items()}


def build(plugins: Iterable[Bad], site: Path, folders: Path) -> None:
    """Build and install all of them: wheels by pip into `site`, the others as folders below `folders`."""
    everybody = [one for bad in plugins for one in (bad, *bad.others)]
    wheels = site.parent / "wheels"
    wheels.mkdir(parents=True)
    for bad in everybody:
        if bad.form == "wheel":
            make_wheel(wheels, bad)
        else:
            write(folders / bad.folder, bad.members())
    if any(wheels.iterdir()):
        words = ["--quiet", "--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check", "--no-cache-dir"]
        target = ["--target", str(site), *map(str, sorted(wheels.iterdir()))]
        subprocess.run([sys.executable, "-m", "pip", "install", *words, *target], check=True)


def write(folder: Path, members: Mapping[str, bytes]) -> None:
    """Write a package as a folder."""
    for path, content in members.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def make_wheel(where: Path, bad: Bad) -> Path:
    """Write the wheel of a plugin, with all that pip wants to see."""
    name = f"host_{bad.plugin}" if bad.plugin.isascii() else f"host_{bad.folder}"
    info = f"{name}-{bad.version}.dist-info"
    point = f"[plugin_host.plugins]\n{bad.plugin} = {bad.entry or f'{bad.folder}.hooks'}\n"
    members = {
        **{f"{bad.folder}/{path}": content for path, content in bad.members().items()},
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {bad.version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": point.encode(),
    }
    record = [f"{path},sha256={_digest(content)},{len(content)}" for path, content in members.items()]
    members[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    path = where / f"{name}-{bad.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, content in members.items():
            wheel.writestr(member, content)
    return path


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
