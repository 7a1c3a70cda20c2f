"""The folder of a plugin below `data_dir`: counted, put into an archive, removed. Links are never followed."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Callable


class Files(msgspec.Struct, frozen=True):
    """The plugin's folder below `data_dir`: how many files are in it, and how many bytes they have."""

    folder: str
    count: int
    bytes: int


def look_at(folder: Path) -> Files:
    """Count what is in a folder; links are counted as they are and never followed."""
    count = size = 0
    if not folder.is_symlink():
        for place, _, names in os.walk(folder):
            for name in names:
                count += 1
                size += (Path(place) / name).lstat().st_size
    return Files(str(folder), count, size)


def remove_folder(folder: Path, plugin: str, tell: Callable[[str], None]) -> None:
    """Remove the folder with all that is in it; of a link, the link. Raises `Problem`."""
    if not (folder.is_symlink() or folder.is_dir()):
        return
    tell(f"{plugin}: removing {folder} …")
    try:
        if folder.is_symlink():
            folder.unlink()
        else:
            shutil.rmtree(folder)
    except OSError as error:
        text = f"the tables of {plugin} are gone, {folder} is not ({error.strerror}): see to it, and purge again"
        raise Problem(409, "files_remain", text) from error


def add_folder(archive: zipfile.ZipFile, folder: Path) -> dict[str, int]:
    """Put the plugin's files in below `files/`; what is no ordinary file (a link, a socket) is counted and left out."""
    written = left_out = 0
    for place, _, names in os.walk(folder) if not folder.is_symlink() else ():
        for name in sorted(names):
            path = Path(place) / name
            if not stat.S_ISREG(path.lstat().st_mode):
                left_out += 1
                continue
            # A name that is no Unicode is spelled out: the format has no other.
            inside = os.fsencode(path.relative_to(folder)).decode("utf-8", "backslashreplace")
            archive.write(path, f"files/{inside}")
            written += 1
    return {"files": written, "left_out": left_out}
