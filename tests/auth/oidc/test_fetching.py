"""Asking a provider costs little time and little memory, and leads to no place that it should not."""

from __future__ import annotations

import asyncio
import gzip
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from plugin_host.auth.oidc.fetching import Fetcher
from plugin_host.auth.oidc.provider import SignInError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = [pytest.mark.anyio, pytest.mark.security]


@asynccontextmanager
async def answering(*parts: bytes, pause: float = 0.0) -> AsyncIterator[str]:
    """Serve one answer, whatever is asked, in parts; gives the address."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(pause)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def http(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", "connection: close", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


async def refused(*parts: bytes, pause: float = 0.0, silence: float = 5.0, total: float = 10.0) -> str:
    async with answering(*parts, pause=pause) as address:
        fetcher = Fetcher(address, timeout=silence, total=total)
        try:
            with pytest.raises(SignInError) as told:
                await fetcher.get(f"{address}/keys")
        finally:
            await fetcher.close()
    assert told.value.off
    return told.value.code


async def test_a_json_object_is_what_is_wanted() -> None:
    async with answering(http(b'{"keys": []}')) as address:
        fetcher = Fetcher(address)
        assert await fetcher.get(f"{address}/keys") == {"keys": []}
        await fetcher.close()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Again", "308 For ever"])
async def test_f09_redirects_are_not_followed(status: str) -> None:
    assert await refused(http(b"{}", status, "location: http://127.0.0.1:1/latest/meta-data")) == "provider_unavailable"


async def test_f09_too_much_is_not_read() -> None:
    assert await refused(http(b'{"keys": "' + b"x" * 5_000_000 + b'"}')) == "provider_too_large"


async def test_too_much_without_a_length_is_not_read() -> None:
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
    assert await refused(head, *[b" " * 65536] * 40) == "provider_too_large"


async def test_what_is_packed_is_not_unpacked() -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    assert await refused(http(bomb, "200 OK", "content-encoding: gzip")) == "provider_unavailable"


async def test_a_byte_now_and_then_does_not_keep_us() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n"
    assert await refused(head, *[b"x"] * 100, pause=0.05, total=0.3) == "provider_unavailable"


async def test_silence_does_not_keep_us() -> None:
    assert await refused(b"", pause=2.0, silence=0.2) == "provider_unavailable"


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b'{"a": 1, "a": 2}', b'{"a": NaN}', b"[" * 9999])
async def test_anything_else_than_an_object_is_refused(body: bytes) -> None:
    assert await refused(http(body)) == "provider_malformed"


@pytest.mark.parametrize("answer", [http(b"{}", "500 Oh"), http(b"{}", "204 Nothing"), b"rubbish\r\n\r\n"])
async def test_other_answers_are_refused(answer: bytes) -> None:
    assert await refused(answer) in ("provider_unavailable", "provider_malformed")


async def test_nobody_there_is_no_reason_to_fail_otherwise() -> None:
    fetcher = Fetcher("http://127.0.0.1:9")
    with pytest.raises(SignInError, match="provider_unavailable"):
        await fetcher.get("http://127.0.0.1:9/keys")
    await fetcher.close()


@pytest.mark.parametrize(
    "address",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://10.0.0.1/",
        "https://192.168.1.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[fd00::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://0.0.0.0/",
        "https://2130706433/",
    ],
)
async def test_a_provider_outside_does_not_send_us_inside(address: str) -> None:
    fetcher = Fetcher("https://93.184.216.34")
    with pytest.raises(SignInError) as told:
        await fetcher.get(address)
    assert told.value.code in ("provider_address", "provider_unavailable")
    assert fetcher._client is None or address.endswith("2130706433/")


@pytest.mark.parametrize(
    "address",
    [
        None,
        7,
        "",
        "keys",
        "//id.example.test/keys",
        "http://id.example.test/keys",
        "ftp://id.example.test/keys",
        "file:///etc/passwd",
        "https://ann:secret@id.example.test/",
        "https://id.example.test:0/",
        "https://id.example.test:port/",
        "https://[::1/",
        "https://id.example.test/a b",
        "https://id.example.test/\n",
        "https://\u0456d.example.test/",
        "http://127.0.0.1/",
    ],
)
def test_only_safe_addresses_are_addresses(address: object) -> None:
    with pytest.raises(SignInError):
        Fetcher("https://id.example.test").require_address(address)
