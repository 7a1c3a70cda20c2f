"""A database that goes away while the host runs, and comes back: told, not spoken of at every call."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy.engine import make_url

from plugin_host import PluginHost, Settings

from .conftest import client, running, signed_in

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


class Wire:
    """A wire to a server that can be cut and mended."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        self._cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self._cut = True
        for line in self._open:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
        self._open.clear()

    def mend(self) -> None:
        self._cut = False

    def close(self) -> None:
        self.cut()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._listening.accept()
                if self._cut:
                    line.close()
                    continue
                far = socket.create_connection(self._to)
                self._open += [line, far]
                for pair in ((line, far), (far, line)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    @staticmethod
    def _carry(near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while some := near.recv(65536):
                far.sendall(some)
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wire(postgres_url: str) -> Iterator[tuple[Wire, str]]:
    """Give a wire to an empty database, and the address at its near end."""
    url = make_url(postgres_url)
    made = Wire(url.host or "127.0.0.1", url.port or 5432)
    yield made, url.set(host="127.0.0.1", port=made.port).render_as_string(hide_password=False)
    made.close()


async def test_calls_are_503_and_health_tells_it_until_it_is_back(
    tmp_path: object, wire: tuple[Wire, str], caplog: pytest.LogCaptureFixture
) -> None:
    made, url = wire
    settings = Settings(data_dir=str(tmp_path), database=url)
    async with running(PluginHost(settings)) as host, signed_in(host) as root, client(host) as nobody:
        assert (await root.get("/api/core/users")).status_code == 200
        caplog.clear()
        with caplog.at_level(logging.INFO):
            made.cut()
            for _ in range(10):
                answer = await root.get("/api/core/users")
                assert answer.status_code == 503
                assert answer.json()["type"] == "urn:plugin-host:problem:database_unavailable"
                assert answer.headers["retry-after"]
            login = await nobody.post("/api/core/auth/login", json={"username": "root", "password": "x" * 20})
            assert login.status_code == 503
            ready = await nobody.get("/health/ready")
            assert (ready.status_code, ready.json()) == (503, {"status": "unavailable"})
            assert (await nobody.get("/health/live")).status_code == 200
        told = [record for record in caplog.records if record.name.startswith("plugin_host")]
        assert [record for record in told if record.exc_info] == []
        assert len([record for record in told if "cannot be reached" in record.getMessage()]) <= 1
        made.mend()
        assert (await root.get("/api/core/users")).status_code == 200
        assert (await nobody.get("/health/ready")).json()["status"] in ("ok", "degraded")
