"""The archive of a plugin: its rows, who has its roles, its files, and what the ledger says, in one zip file.

`export.json` describes the rest: `tables` in the order in which they can be filled again, each with its `file` of JSON
lines, its `columns` and how many `rows` it has. How values are written is told in `plugin_host.migrations.export`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import secrets
import zipfile
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy import func, select

from plugin_host.access.tables import RoleMember
from plugin_host.core.files import add_folder
from plugin_host.migrations.export import export_rows, write_lines
from plugin_host.migrations.locking import reading
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from plugin_host.database import Database

FORMAT: Final = 1
"""Rises when a reader of the older format would misread the newer one."""


def write_export(  # noqa: PLR0913 - what an archive is made of, by name
    database: Database,
    plugin: str,
    file: Path,
    *,
    host: Database,
    folder: Path,
    about: Mapping[str, Any],
    progress: Callable[[str], None],
) -> None:
    """Write the archive; `folder` holds the plugin's files, `about` goes into `export.json` as it is.

    `host` is the host's own database, which knows who has which role.

    Raises `Problem` where the file is there already or cannot be written: what was begun is taken away again.
    """
    if file.exists():
        raise Problem(409, "export_exists", f"{file} is there already: name another file, or move that one away")
    try:
        with _whole(file) as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:

            def along(connection: sa.Connection) -> None:
                if host is database:
                    write_grants(connection)

            def write_grants(connection: sa.Connection) -> None:
                if sa.inspect(connection).has_table(RoleMember.__tablename__):
                    write_lines(archive, "grants.jsonl", _grants(connection, plugin))

            written = export_rows(database, plugin, archive, along=along, progress=progress)
            if host is not database:
                with host.migration_engine() as engine, reading(engine) as connection:
                    write_grants(connection)
            files = add_folder(archive, folder)
            made = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
            described = {"format": FORMAT, "host": version("plugin-host"), "made": made, **about, **written, **files}
            archive.writestr("export.json", json.dumps(described, indent=2))
    except OSError as error:
        text = (
            f"{file} cannot be written ({error.strerror or error}): name a file in a folder that is there and has room"
        )
        raise Problem(409, "export_failed", text) from error
    progress(f"{plugin}: exported to {file}")


def roles_of(plugin: str) -> sa.ColumnElement[bool]:
    """Choose the roles of a plugin: not with LIKE, which on SQLite does not tell cases apart."""
    prefix = f"{plugin}."
    return func.substr(RoleMember.role, 1, len(prefix)) == prefix


@contextlib.contextmanager
def _whole(file: Path) -> Iterator[BinaryIO]:
    """Open a file that has its name once it is whole and on the disk; only its owner may read it."""
    part = file.with_name(f".{file.name}.{secrets.token_hex(4)}.part")
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w+b") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        part.replace(file)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _grants(connection: sa.Connection, plugin: str) -> Iterator[dict[str, Any]]:
    held = select(RoleMember.subject, RoleMember.role, RoleMember.granted_at, RoleMember.granted_by)
    held = held.where(roles_of(plugin))
    for row in connection.execute(held.order_by(RoleMember.role, RoleMember.subject)).mappings():
        yield {**row, "granted_at": row["granted_at"].isoformat()}
