"""A PostgreSQL server for tests: the one that PLUGIN_HOST_TEST_POSTGRES names, else a private one, else none.

The private one is started where PostgreSQL's programs are installed, in a temporary folder, on a port of its own on
this machine, with a password of its own, and it goes when the tests are over. PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import NoReturn

VARIABLE: Final = "PLUGIN_HOST_TEST_POSTGRES"
_PLACES: Final = ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/pgsql")


class NoServerError(Exception):
    """There is no PostgreSQL to test with: a sentence that says why, and what to do."""


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Give the address of a server in which databases may be made. Raises `NoServerError`."""
    named = os.environ.get(VARIABLE)
    if named:
        _check(named)
        yield named
        return
    with _private() as address:
        yield address


@contextlib.contextmanager
def empty_database(address: str) -> Iterator[str]:
    """Make a database with a random name in a server, give its address, and drop it afterwards."""
    import psycopg  # noqa: PLC0415 - an extra
    from psycopg import sql  # noqa: PLC0415 - with it
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - pytest loads this module in every run

    name = f"plugin_host_test_{secrets.token_hex(6)}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield make_url(address).set(database=name).render_as_string(hide_password=False)
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def do_without(reason: str) -> NoReturn:
    """Skip the test with a sentence; in CI (`CI=true`), where everything should be there, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def _check(address: str) -> None:
    try:
        import psycopg  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NoServerError("psycopg is not installed: pip install plugin-host[postgres]") from error
    try:
        psycopg.connect(address, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        why = str(error).partition("\n")[0]
        raise NoServerError(f"no PostgreSQL answers ({why}): start one, or name one in {VARIABLE}") from error


@contextlib.contextmanager
def _private() -> Iterator[str]:
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="plugin-host-postgres-") as folder, socket.socket() as probe:
        data, password = Path(folder) / "data", secrets.token_hex(16)
        (Path(folder) / "password").write_text(password, encoding="utf-8")
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        words = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={folder}/password", "--encoding=UTF8"]
        _call([str(programs / "initdb"), f"--pgdata={data}", "--no-sync", *words])
        control = [str(programs / "pg_ctl"), f"--pgdata={data}", "--wait", "--silent"]
        # Nothing must outlive the tests: what a power failure would lose is not missed.
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c fsync=off"
        _call([*control, "start", f"--log={folder}/log", f"--options={options}"])
        try:
            yield f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
        finally:
            _call([*control, "stop", "--mode=immediate"])


def _programs() -> Path:
    """Find the folder of initdb, the newest where there are several."""
    if os.name != "posix" or os.geteuid() == 0:
        raise NoServerError(f"{VARIABLE} names no server, and as root no private one can be started")
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    places = [path.parent for place in _PLACES for path in Path(place).glob("*/bin/initdb")]
    if not places:
        raise NoServerError(f"{VARIABLE} names no server, and PostgreSQL's programs (initdb) are not installed")
    return max(places, key=lambda place: (len(place.parent.name), place.parent.name))


def _call(words: list[str]) -> None:
    done = subprocess.run(words, check=False, capture_output=True, text=True)  # noqa: S603 - programs that were looked up
    if done.returncode:
        raise NoServerError(f"a private PostgreSQL cannot be started: {done.stderr.strip()}")
