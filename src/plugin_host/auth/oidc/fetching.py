"""Asking a provider: with a time limit, a size limit, no redirects, and never an address inside by its say-so."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus, urlsplit

from plugin_host.auth.oidc.provider import SignInError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

    import httpx2

TIMEOUT: Final = 5.0
TOTAL: Final = 10.0
"""Seconds for one question in all: a byte now and then keeps any other time-out from ending it."""
MAX_BYTES: Final = 256 * 1024
_OK: Final = 200
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Fetcher:
    """Asks the provider with this issuer; `timeout` and `total` are seconds."""

    def __init__(self, issuer: str, *, timeout: float = TIMEOUT, total: float = TOTAL) -> None:
        self._issuer = urlsplit(issuer)
        self._timeout = timeout
        self._total = total
        self._client: httpx2.AsyncClient | None = None
        self._opening = asyncio.Lock()
        self._inside: bool | None = None

    async def get(self, url: str, bearer: str | None = None) -> dict[str, Any]:
        """Get a JSON object; anything but 200 is an error. Raises `SignInError`."""
        headers = {"accept": "application/json"}
        if bearer is not None:
            headers["authorization"] = f"Bearer {bearer}"
        status, body = await self._ask("GET", url, headers)
        if status != _OK:
            raise SignInError("provider_unavailable", f"{url} answered {status}", off=True)
        return body

    async def post(
        self, url: str, form: Mapping[str, str], basic: tuple[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Post a form, with the client's name and secret as RFC 6749 wants them; gives status and JSON object."""
        headers = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"}
        if basic is not None:
            headers["authorization"] = _basic(*basic)
        body = "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in form.items())
        return await self._ask("POST", url, headers, body.encode())

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def require_address(self, url: object) -> str:
        """Give the address if people, and we, may be sent there: as safe as the issuer's. Raises `SignInError`."""
        try:
            parts = urlsplit(url) if isinstance(url, str) and url.isascii() and url.isprintable() else None
            port = parts.port if parts is not None else None  # raises for one that is none
        except ValueError:
            parts = port = None
        if parts is None or not parts.hostname or parts.username is not None or port == 0 or " " in str(url):
            raise SignInError("provider_address", str(url), off=True)
        if parts.scheme != "https" and not (
            parts.scheme == "http" == self._issuer.scheme and parts.hostname in _LOOPBACK
        ):
            raise SignInError("provider_insecure", str(url), off=True)
        return str(url)

    async def _ask(
        self, method: str, url: str, headers: dict[str, str], body: bytes | None = None
    ) -> tuple[int, dict[str, Any]]:
        await self._require_outside(urlsplit(self.require_address(url)))
        client = await self._open()
        import httpx2  # noqa: PLC0415 - only who signs in with a provider needs it; imported by now

        headers["accept-encoding"] = "identity"  # what is small when packed need not be when unpacked
        try:
            async with (
                asyncio.timeout(self._total),
                client.stream(method, url, headers=headers, content=body) as answer,
            ):
                if answer.is_redirect or "content-encoding" in answer.headers:
                    raise SignInError("provider_unavailable", f"{url} answers with a redirect or packed", off=True)
                raw = b""
                async for chunk in answer.aiter_bytes():
                    raw += chunk
                    if len(raw) > MAX_BYTES:
                        raise SignInError("provider_too_large", url, off=True)
                return answer.status_code, read_object(raw, url)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError, UnicodeError) as error:
            raise SignInError("provider_unavailable", f"{url}: {type(error).__name__}", off=True) from error

    async def _open(self) -> httpx2.AsyncClient:
        """Give the client; made in a thread, for it reads the library and every certificate there is."""
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._make)
            return self._client

    def _make(self) -> httpx2.AsyncClient:
        import httpx2  # noqa: PLC0415 - only who signs in with a provider needs it

        # A proxy of the environment is no way to this very machine.
        trust = self._issuer.hostname not in _LOOPBACK
        return httpx2.AsyncClient(timeout=self._timeout, follow_redirects=False, trust_env=trust)

    async def _require_outside(self, parts: SplitResult) -> None:
        """Refuse addresses inside that a provider outside names: it must not make us ask our own neighbours."""
        if parts.hostname == self._issuer.hostname:
            return
        if self._inside is None:
            self._inside = await _is_inside(self._issuer)
        if not self._inside and await _is_inside(parts):
            raise SignInError("provider_address", f"{parts.netloc} is inside, the issuer is not", off=True)


async def _is_inside(parts: SplitResult) -> bool:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port or 443)
        return any(not ipaddress.ip_address(str(info[4][0]).partition("%")[0]).is_global for info in found)
    except (OSError, ValueError, UnicodeError) as error:
        raise SignInError("provider_unavailable", f"{parts.hostname}: no such host", off=True) from error


def read_object(raw: bytes | str, where: str) -> dict[str, Any]:
    """Read a JSON object in which no name stands twice: of two readers each might take another one."""
    try:
        said = json.loads(raw, object_pairs_hook=_unique, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise SignInError("provider_malformed", f"{where}: no JSON", off=True) from error
    if not isinstance(said, dict):
        raise SignInError("provider_malformed", f"{where}: no JSON object", off=True)
    return said


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        msg = "a name stands twice"
        raise ValueError(msg)
    return made


def _no_number(said: str) -> float:
    raise ValueError(said)


def _basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{quote_plus(name)}:{quote_plus(secret)}".encode()).decode()
