"""Who a request comes from, when proxies stand in between: only those on the list are believed.

Anybody can write `X-Forwarded-For`. So each address is taken from the right, where the nearest proxy has put it,
as long as it is a proxy's own; the first that is none is the client's.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import TYPE_CHECKING, Any, Final

from plugin_host.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ADDRESS: Final = b"x-forwarded-for"
SCHEME: Final = b"x-forwarded-proto"
HOST: Final = b"x-forwarded-host"

_SCHEMES: Final = {"http": {b"http": "http", b"https": "https"}, "websocket": {b"http": "ws", b"https": "wss"}}
_WITH_PORT: Final = re.compile(r"\[(?P<v6>[^\]]+)\](?::\d+)?|(?P<v4>[\d.]+):\d+")


class Proxies:
    """The trusted proxies: addresses, networks (`10.0.0.0/8`), or `*` for everybody. Raises `SettingsError`."""

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        trusted = tuple(trusted)
        self._everybody = "*" in trusted
        self._networks = [_network(each) for each in trusted if each != "*"]
        self.any = bool(trusted)
        # The same few addresses come all day.
        self.trusts = functools.lru_cache(maxsize=1024)(self._trusts)

    def apply(self, scope: dict[str, Any], headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Put what a trusted proxy says of the client, the scheme and the host in place of its own.

        `headers` are those that came; `scope["headers"]` must be a list of the caller's own.
        """
        client = scope.get("client")
        if client is None or not self.trusts(client[0]):
            return
        said: dict[bytes, list[bytes]] = {ADDRESS: [], SCHEME: [], HOST: []}
        for name, value in headers:
            if name in said:
                said[name] += [part.strip() for part in value.split(b",")]
        if (address := self._client(said[ADDRESS])) is not None:
            scope["client"] = (address, 0)
        if said[SCHEME]:
            scope["scheme"] = _SCHEMES[scope["type"]].get(said[SCHEME][-1].lower(), scope["scheme"])
        if said[HOST] and said[HOST][-1]:
            kept = [header for header in scope["headers"] if header[0] != b"host"]
            scope["headers"] = [(b"host", said[HOST][-1]), *kept]

    def _client(self, said: Sequence[bytes]) -> str | None:
        found = None
        for value in reversed(said):
            address = _address(value)
            if address is None:
                break  # whoever wrote that is not to be believed in anything further to the left either
            found = address
            if not self.trusts(address):
                break
        return found

    def _trusts(self, address: str) -> bool:
        if self._everybody:
            return True
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None)
        return any((mapped or parsed) in network for network in self._networks)


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        msg = (
            f"server.trusted_proxies: {text!r} is no address; name addresses (10.0.0.5), networks (10.0.0.0/8), "
            "or * for everybody"
        )
        raise SettingsError(msg) from None


def _address(value: bytes) -> str | None:
    text = value.decode("latin-1").strip('"')
    if (parts := _WITH_PORT.fullmatch(text)) is not None:
        text = parts["v6"] or parts["v4"]
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return None
