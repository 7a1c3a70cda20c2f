"""Files: kept by content, undone with the transaction, collected when nobody names them, and never run by a browser."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, strategies as st

from plugin_host.database import Database
from plugin_host.files import StoredFiles, clean_name, disposition, known_hashes, stored

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'files.db'}")
    database.prepare()
    with database.migration_engine() as engine:
        stored.create(engine)
    return database


async def test_what_was_put_can_be_got_and_the_same_content_is_kept_once(database: Database, tmp_path: Path) -> None:
    files, unit = StoredFiles(str(tmp_path)), database.unit()
    one = await files.put(unit.session, "a.txt", b"hello")
    other = await files.put(unit.session, "b.txt", b"hello")
    await unit.commit()
    assert [await files.get(unit.session, key) for key in (one, other)] == [b"hello", b"hello"]
    kept = list((tmp_path / "files").glob("??/*"))
    assert len(kept) == 1
    assert (kept[0].stat().st_mode & 0o777, kept[0].parent.stat().st_mode & 0o777) == (0o600, 0o700)
    await unit.close()
    await database.close()


async def test_what_is_undone_is_not_there_and_is_collected_later(database: Database, tmp_path: Path) -> None:
    files, unit = StoredFiles(str(tmp_path)), database.unit()
    key = await files.put(unit.session, "a.txt", b"hello")
    kept = await files.put(unit.session, "b.txt", b"kept")
    await unit.commit()
    await unit.session.execute(sa.delete(stored).where(stored.c.key == key))
    with pytest.raises(LookupError, match="there is no file"):
        await files.get(unit.session, key)
    known = await known_hashes(unit.session)
    assert files.collect(known, time.time()) == 0  # young: its transaction may be under way
    assert files.collect(known, time.time() + 90_000) == 1
    assert await files.get(unit.session, kept) == b"kept"
    await unit.rollback()
    await unit.close()
    await database.close()


async def test_a_content_that_is_gone_or_was_changed_is_told(database: Database, tmp_path: Path) -> None:
    files, unit = StoredFiles(str(tmp_path)), database.unit()
    key = await files.put(unit.session, "a.txt", b"hello")
    (path,) = (tmp_path / "files").glob("??/*")
    path.chmod(0o600)
    path.write_bytes(b"other")
    with pytest.raises(LookupError, match="was changed on the disk"):
        await files.get(unit.session, key)
    path.unlink()
    with pytest.raises(LookupError, match="is gone from the data folder"):
        await files.get(unit.session, key)
    await unit.close()
    await database.close()


@pytest.mark.security
@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\boot.ini", "boot.ini"),
        ("a\r\nSet-Cookie: x", "aSet-Cookie: x"),
        ("..", "file"),
        ("", "file"),
        ("x" * 300 + ".pdf", "x" * 251 + ".pdf"),
    ],
)
def test_names_are_made_harmless(name: str, clean: str) -> None:
    assert clean_name(name) == clean


@pytest.mark.security
@given(st.text(max_size=400))
def test_no_name_breaks_out_of_its_header(name: str) -> None:
    header = disposition(name)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert header.startswith("attachment; ")
