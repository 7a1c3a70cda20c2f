"""Settings, addresses, the rights of files, and the disk."""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from plugin_host.core.doctor.findings import Finding
from plugin_host.settings import Settings, SettingsError
from plugin_host.settings.server import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from plugin_host.core.doctor.findings import Level

_CONFIG: Final = "PLUGIN_HOST_CONFIG"
_LOW: Final = 100_000_000
_SCARCE: Final = 1_000_000_000
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
# A password in an address, or a key that sounds like one; `…_file` only says where one is.
_SECRET: Final = re.compile(
    r"://[^/\s\"']*:[^/\s\"']+@|^\s*(?!\w*_file\s*=)\w*(secret|password|token)\w*\s*=", re.IGNORECASE | re.MULTILINE
)
_NOT_SETTINGS: Final = ("PLUGIN_HOST_CONFIG", "PLUGIN_HOST_DEMO_PASSWORD", "PLUGIN_HOST_TEST_")


def settings_file(config: str | None, environ: Mapping[str, str]) -> Path | None:
    """Give the settings file that is read, or None if there is none."""
    named = config or environ.get(_CONFIG)
    path = Path(named or "plugin-host.toml")
    return path if named or path.is_file() else None


def check_settings(config: str | None, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Read the file alone, then each variable on top of it: one that is wrong does not hide the next."""
    path = settings_file(config, environ)
    named = {_CONFIG: environ[_CONFIG]} if _CONFIG in environ else {}
    try:
        Settings.load(config, named)
    except SettingsError as error:
        yield _wrong(str(error))
        return
    said = sorted(name for name in environ if name.startswith("PLUGIN_HOST_"))
    variables = [name for name in said if not name.startswith(_NOT_SETTINGS)]
    wrong: set[str] = set()
    for name in variables:
        try:
            Settings.load(config, {**named, name: environ[name]})
        except SettingsError as error:
            wrong.add(str(error))
            yield _wrong(str(error))
    if wrong:
        return
    try:
        Settings.load(config, environ)
    except SettingsError as error:  # each is right, and together they are not
        yield _wrong(str(error))
        return
    place = f"{path} is read" if path is not None else "There is no settings file: all settings have their defaults"
    count = f", and {len(variables)} variables PLUGIN_HOST_…" if variables else ""
    yield Finding(check="settings", level="ok", text=f"{place}{count}.")


def _wrong(text: str) -> Finding:
    told, _, way_out = text.partition("; ")
    way_out = way_out or "correct it; `config show` lists all settings"
    way_out = way_out[:1].upper() + way_out[1:] + ("" if way_out.endswith("?") else ".")
    return Finding(check="settings", level="error", text=f"{told}.", way_out=way_out)


# -- addresses -------------------------------------------------------------------------------------------------


def check_addresses(settings: Settings) -> Iterator[Finding]:
    """Look for ways of listening that are surely not meant."""
    server, url = settings.server, settings.public_url or ""
    outside = not is_loopback(server.host)
    https = url.startswith("https:")
    if outside and not server.hosts:
        yield _address(
            "warning",
            f"The host listens on {server.host} and answers requests for any host name.",
            "Name the host names in server.hosts.",
        )
    if outside and not https:
        yield _address(
            "warning",
            f"The host listens on {server.host}, and public_url is not https: passwords travel in the clear.",
            'Put a proxy with TLS in front, and say public_url = "https://…".',
        )
    if https and not server.trusted_proxies:
        yield _address(
            "note",
            "public_url is https, so a proxy is in front; server.trusted_proxies is empty, so that all people "
            "seem to come from the proxy's address.",
            "Name the proxy's address in server.trusted_proxies.",
        )
    if outside and "*" in server.trusted_proxies:
        yield _address(
            "warning",
            "server.trusted_proxies believes everybody: whoever reaches the port chooses the address he is seen under.",
            "Name the proxy's address.",
        )
    name = (urlsplit(url).hostname or "") if url else ""
    if name and server.hosts and not any(_allows(pattern.lower(), name) for pattern in server.hosts):
        yield _address(
            "error",
            f"public_url is at {name}, which is not in server.hosts: every request to it gets 400.",
            f"Add {name} to server.hosts.",
        )
    if server.workers > 1 and settings.database_url.startswith("sqlite"):
        yield _address(
            "warning",
            f"server.workers is {server.workers}, and SQLite lets one process write at a time.",
            "Use PostgreSQL, or one worker.",
        )


def _allows(pattern: str, name: str) -> bool:
    return pattern in {"*", name} or (pattern.startswith("*.") and name.endswith(pattern[1:]))


def _address(level: Level, text: str, way_out: str) -> Finding:
    return Finding(check="addresses", level=level, text=text, way_out=way_out)


# -- files -----------------------------------------------------------------------------------------------------


def check_files(settings: Settings, config: Path | None) -> Iterator[Finding]:
    """Look at the rights of what is secret, and of what is run."""
    if os.name != "posix":
        return
    if os.geteuid() == 0:
        yield _files("note", "This runs as root; files that it makes are root's.", "Run the host as a user of its own.")
    if config is not None and config.is_file():
        yield from _settings_rights(config)
    folder = Path(settings.data_dir)
    if folder.is_dir():
        yield from _data_rights(folder)
    elif folder.exists():
        yield _files("error", f"data_dir {folder} is not a folder.", "Name a folder in data_dir.")
    for place in map(Path, settings.loader.folders):
        for each in (place, *(place.iterdir() if place.is_dir() else ())):
            if each.is_dir() and each.stat().st_mode & _OTHERS_WRITE:
                text = f"{each} may be written by others: whoever may write there runs code in the host."
                yield _files("warning", text, f"Run: chmod go-w {each}")


def check_disk(settings: Settings) -> Iterator[Finding]:
    """See that there is room where the data lies."""
    place = Path(settings.data_dir).absolute()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    level: Level = "error" if free < _LOW else "warning" if free < _SCARCE else "ok"
    way_out = "" if level == "ok" else "Make room, or move data_dir: a full disk stops every write."
    yield Finding(check="disk", level=level, text=f"{free / 1e9:.1f} GB are free at {place}.", way_out=way_out)


def readable_by_others(path: Path) -> bool:
    """Tell whether others may read a file: its own rights, and those of the folder around it."""
    file, folder = path.stat().st_mode, path.parent.stat().st_mode
    return bool(file & (stat.S_IRGRP | stat.S_IROTH)) and bool(folder & (stat.S_IXGRP | stat.S_IXOTH))


def _settings_rights(config: Path) -> Iterator[Finding]:
    mode = config.stat().st_mode
    if mode & _OTHERS_WRITE:
        yield _files(
            "warning", f"{config} may be written by others, who so rule the host.", f"Run: chmod go-w {config}"
        )
    if mode & (stat.S_IRGRP | stat.S_IROTH) and _SECRET.search(config.read_text("utf-8-sig", "replace")):
        way_out = f"Run: chmod 600 {config}; or keep the secret in a file of its own (`<name>_file`)."
        yield _files("warning", f"{config} holds what looks like a secret, and others may read it.", way_out)


def _data_rights(folder: Path) -> Iterator[Finding]:
    about = folder.stat()
    wrong = False
    if about.st_uid != os.geteuid():
        wrong = True
        text = f"{folder} belongs to another user (id {about.st_uid}; this is {os.geteuid()})."
        yield _files("warning", text, "Run this as the user of the host, or give the folder to that user.")
    if about.st_mode & _OTHERS:
        wrong = True
        text = f"{folder} has mode {stat.S_IMODE(about.st_mode):04o}: others may look into the data."
        yield _files("warning", text, f"Run: chmod 700 {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        wrong = True
        text = f"{folder} cannot be written to."
        yield _files("error", text, "Give it to the user that the host runs under, or name another in data_dir.")
    if not wrong:
        yield Finding(check="files", level="ok", text=f"{folder} is for its owner only, and can be written to.")


def _files(level: Level, text: str, way_out: str) -> Finding:
    return Finding(check="files", level=level, text=text, way_out=way_out)
