"""Unpack an archive that may be hostile: everything is judged by its directory before the first byte is written.

The limits: at most 10,000 files, 200 MB, 30 folders deep, a hundredfold compression; no links, no way out of the
folder, no two names that one file system takes for one, and no compression but the one that wheels have.
"""

from __future__ import annotations

import shutil
import stat
import struct
import unicodedata
import zipfile
import zlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import BinaryIO

MAX_FILES: Final = 10_000
MAX_BYTES: Final = 200_000_000
MAX_RATIO: Final = 100
MAX_DEPTH: Final = 30  # folders are made, and removed again, by functions that call themselves for each
MAX_DIRECTORY: Final = 500 * MAX_FILES  # bytes: the archive's directory is read whole, so it is bounded first

_END: Final = struct.Struct("<4s4H2LH")  # the record at the end of an archive, which says how large the directory is
_MAX_COMMENT: Final = 1 << 16
_ENCRYPTED: Final = 0x1
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})  # others may ask for any amount of memory


class BadArchive(Exception):
    """The archive is not unpacked; the message goes on after its name ("is no zip file")."""


def extract(archive: Path, into: Path) -> None:
    """Unpack an archive into a folder. Raises `BadArchive`, `OSError` if a file cannot be read or written."""
    if archive.exists() and not archive.is_file():
        raise BadArchive("is no regular file")  # opening a pipe would wait for ever
    try:
        with archive.open("rb") as file:
            _check_end(file)
            with zipfile.ZipFile(file) as opened:
                _check(opened.infolist())
                into.mkdir(parents=True, exist_ok=True)
                for member in opened.infolist():
                    _write(opened, member, into)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, ValueError, zlib.error) as error:
        raise BadArchive(f"is no sound zip file: {error}") from error


def _check_end(file: BinaryIO) -> None:
    """Bound the directory before it is read: its own record says how large it is."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END.size - _MAX_COMMENT))
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _END.size:
        raise BadArchive("is no zip file")
    _, _, _, _, count, length, _, _ = _END.unpack_from(tail, at)
    # zip64 has room for more than a plugin may have; its locator would stand right before this record.
    if count > MAX_FILES or length > MAX_DIRECTORY or tail[max(0, at - 20) : at].startswith(b"PK\x06\x07"):
        raise BadArchive(f"holds more than {MAX_FILES:,} files, or a directory as large as that")


def _check(members: Iterable[zipfile.ZipInfo]) -> None:
    seen: set[str] = set()
    total = 0
    for n, member in enumerate(members):
        total += member.file_size
        if n >= MAX_FILES:
            raise BadArchive(f"holds more than {MAX_FILES:,} files")
        if total > MAX_BYTES:
            raise BadArchive(f"would unpack to more than {MAX_BYTES:,} bytes")
        _check_member(member)
        name = unicodedata.normalize("NFKC", str(PurePosixPath(member.filename))).casefold()
        if name in seen:
            raise BadArchive(f"holds {member.filename!r} twice, or two names that some systems take for one")
        seen.add(name)


def _check_member(member: zipfile.ZipInfo) -> None:
    name = member.filename
    parts = PurePosixPath(name).parts
    if not parts or name.startswith("/") or ".." in parts or any(letter in name for letter in '\\:\0<>"|?*'):
        raise BadArchive(f"holds {name!r}, which is no plain path inside of it")
    if len(parts) > MAX_DEPTH:
        raise BadArchive(f"holds a file in more than {MAX_DEPTH} folders: {name[:40]!r}…")
    if member.compress_type not in _METHODS:
        raise BadArchive(f"holds {name!r}, which is compressed in a way that wheels are not")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        raise BadArchive(f"holds {name!r}, which is a link or a device, not a file")
    if member.flag_bits & _ENCRYPTED:
        raise BadArchive(f"holds {name!r}, which is encrypted")
    if member.file_size > MAX_RATIO * max(1, member.compress_size):
        raise BadArchive(f"holds {name!r}, which is compressed more than {MAX_RATIO} times: a zip bomb")


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, into: Path) -> None:
    """Write one member; a file's reader stops at the size that was judged."""
    target = into.joinpath(*PurePosixPath(member.filename).parts)
    if member.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(member) as source, target.open("xb") as file:
        shutil.copyfileobj(source, file)
