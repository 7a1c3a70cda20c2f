"""A small load generator: keep-alive connections that each send the same request again and again.

It runs in a process of its own. Made of asyncio protocols on raw bytes, it costs a fraction of what the
servers cost that it measures.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time


class Client(asyncio.Protocol):
    """One connection: the next request is sent when the answer to the last one has arrived."""

    def __init__(self, request: bytes, until: float) -> None:
        self.request = request
        self.until = until
        self.done = asyncio.get_running_loop().create_future()
        self.answered = 0
        self.wrong = 0
        self._got = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._got += data
        head, found, body = self._got.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().find(b"content-length:")
        length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(body) < length:
            return
        self._got = b""
        self.answered += 1
        self.wrong += not head.startswith(b"HTTP/1.1 200")
        if time.monotonic() >= self.until:
            self.transport.close()
        else:
            self.transport.write(self.request)  # type: ignore[attr-defined]

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def load(port: int, path: str, headers: list[str], connections: int, seconds: float) -> dict[str, float]:
    """Drive one server and count its answers."""
    lines = [f"GET {path} HTTP/1.1", f"host: 127.0.0.1:{port}", *headers, "", ""]
    request = "\r\n".join(lines).encode()
    loop = asyncio.get_running_loop()
    start = time.monotonic()
    clients = [
        (await loop.create_connection(lambda: Client(request, start + seconds), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.done for client in clients))
    took = time.monotonic() - start
    answered = sum(client.answered for client in clients)
    return {"per_second": answered / took, "answered": answered, "wrong": sum(client.wrong for client in clients)}


def main() -> None:
    """Run with the arguments as JSON and print the result as JSON."""
    said = json.loads(sys.argv[1])
    try:
        import uvloop
    except ImportError:
        run = asyncio.run
    else:
        run = uvloop.run
    sys.stdout.write(json.dumps(run(load(**said))))


if __name__ == "__main__":
    main()
