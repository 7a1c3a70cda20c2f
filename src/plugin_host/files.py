"""Files that plugins keep: by content under the data folder, and known by a row in the transaction that puts them.

The content is written first and the row with the caller's commit, so what a row names is there. What no row names any
more is collected later (`collect`): an undone transaction, or a file that was removed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import sqlalchemy as sa

from plugin_host.sdk.models import METADATA, new_id
from plugin_host.sdk.services import Files

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.sdk.context import Access

FOLDER: Final = "files"
DAY: Final = 86_400.0
MAX_NAME: Final = 255

stored: Final = sa.Table(
    "core_file",
    METADATA,
    sa.Column("key", sa.String(26), primary_key=True),
    sa.Column("hash", sa.String(64), nullable=False, index=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("name", sa.String(MAX_NAME), nullable=False),
    sa.Column("created", sa.Float(53), nullable=False),
)


class StoredFiles(Files):
    """Keeps files below `<data folder>/files`."""

    def __init__(self, data_dir: str) -> None:
        self._folder = Path(data_dir) / FOLDER

    async def put(self, db: AsyncSession, name: str, content: bytes) -> str:
        """Keep the content under a new key; the file is there once the caller's transaction is committed."""
        digest = hashlib.sha256(content).hexdigest()
        await asyncio.to_thread(self._write, digest, content)
        key = new_id()
        row = {"key": key, "hash": digest, "size": len(content), "name": clean_name(name), "created": time.time()}
        await db.execute(sa.insert(stored).values(row))
        return key

    async def get(self, db: AsyncSession, key: str) -> bytes:
        """Give the content of a file. Raises `LookupError`."""
        return await asyncio.to_thread(self._read, key, (await self._row(db, key)).hash)

    async def remove(self, db: AsyncSession, key: str) -> None:
        """Forget a file; its content goes when nobody else has the same."""
        await self._row(db, key)
        await db.execute(sa.delete(stored).where(stored.c.key == key))

    async def download(
        self,
        db: AsyncSession,
        key: str,
        *,
        access: Access,
        permission: str,
        obj: object | None = None,
        name: str | None = None,
    ) -> Any:
        """Answer with a file, to whoever may: see `Files.download`."""
        from litestar import Response  # noqa: PLC0415 - commands that tidy up need no web stack

        await access.require(permission, obj)
        row = await self._row(db, key)
        content = await asyncio.to_thread(self._read, key, row.hash)
        return Response(
            content,
            media_type="application/octet-stream",
            headers={
                "content-disposition": disposition(name if name is not None else row.name),
                # Whatever the content is, no browser takes it for a page of ours, runs what is in it, or keeps it.
                "x-content-type-options": "nosniff",
                "content-security-policy": "default-src 'none'; sandbox",
                "cross-origin-resource-policy": "same-origin",
                "cache-control": "private, no-store",
            },
        )

    def collect(self, known: Collection[str], now: float, age: float = DAY) -> int:
        """Remove contents that no row names and that are older than `age` seconds. Gives how many. Blocking.

        `known` are the hashes of the rows of every database. Younger ones may be of a transaction that is under way.
        """
        count = 0
        for path in self._folder.glob("??/*"):
            with contextlib.suppress(OSError):
                if path.name not in known and path.stat().st_mtime < now - age:
                    path.unlink()
                    count += 1
        return count

    async def _row(self, db: AsyncSession, key: str) -> Any:
        row = (await db.execute(sa.select(stored).where(stored.c.key == key))).first()
        if row is None:
            msg = f"there is no file {key!r}"
            raise LookupError(msg)
        return row

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest

    def _read(self, key: str, digest: str) -> bytes:
        try:
            content = self._path(digest).read_bytes()
        except FileNotFoundError:
            msg = f"the content of file {key!r} is gone from the data folder: restore {FOLDER}/ with the database"
            raise LookupError(msg) from None
        if hashlib.sha256(content).hexdigest() != digest:
            msg = f"the content of file {key!r} was changed on the disk"
            raise LookupError(msg)
        return content

    def _write(self, digest: str, content: bytes) -> None:
        """Write the content so that it is whole or not there; raises `OSError` when the disk is full."""
        path = self._path(digest)
        with contextlib.suppress(FileNotFoundError):
            os.utime(path)  # young again, so that it is not collected while this transaction is under way
            return
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f"{digest}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


async def known_hashes(session: AsyncSession) -> set[str]:
    """Give the hashes of the files that a database knows."""
    return set((await session.execute(sa.select(stored.c.hash).distinct())).scalars())


def clean_name(name: str) -> str:
    """Make a file's name harmless: no folders, no control characters, not too long, never empty."""
    last = str(name).replace("\\", "/").rpartition("/")[2]
    shown = "".join(each for each in last if each.isprintable()).strip(". ")
    if len(shown) > MAX_NAME:
        stem, dot, ending = shown.rpartition(".")
        ending = f"{dot}{ending}" if dot and len(ending) < 16 else ""  # noqa: PLR2004 - a long one is no ending
        shown = (stem or shown)[: MAX_NAME - len(ending)] + ending
    return shown or "file"


def disposition(name: str) -> str:
    """Write a Content-Disposition that every browser saves as a file under this name (RFC 6266)."""
    shown = clean_name(name)
    plain = "".join(each if each.isascii() and each not in '"\\%' else "_" for each in shown)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(shown, safe='')}"
