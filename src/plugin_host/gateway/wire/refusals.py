"""What is said on a connection before there is a request that an application could be asked about."""

from __future__ import annotations

import os
from http import HTTPStatus
from typing import Final

import msgspec

from plugin_host.sdk.errors import Problem

# What the edge sets on every answer of the host holds for these as well.
_HEADERS: Final = (
    b"content-type: application/problem+json\r\n"
    b"cache-control: no-store\r\n"
    b"x-content-type-options: nosniff\r\n"
    b"referrer-policy: no-referrer\r\n"
    b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
    b"cross-origin-opener-policy: same-origin\r\n"
    b"cross-origin-resource-policy: same-origin\r\n"
    b"x-frame-options: DENY\r\n"
    b"connection: close\r\n"
)

MALFORMED: Final = Problem(400, "malformed", "This is no HTTP request, or one that can be read in two ways.")
LATE: Final = Problem(408, "too_slow", "The request took too long to arrive.")
FULL: Final = Problem(
    503, "too_many_connections", "Too many connections are open; try again.", headers={"retry-after": "5"}
)


def headers_too_large(header_bytes: int, header_count: int) -> Problem:
    """Say what a request's headers may be."""
    return Problem(
        431,
        "headers_too_large",
        f"The request's first line and headers may have {header_bytes} bytes, in at most {header_count} headers.",
    )


def write(problem: Problem) -> bytes:
    """Give the whole answer, which ends its connection."""
    request_id = os.urandom(8).hex()
    body = msgspec.json.encode(problem.body(request_id))
    extra = "".join(f"{name}: {value}\r\n" for name, value in problem.headers.items())
    return b"".join(
        (
            f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\n".encode(),
            _HEADERS,
            f"x-request-id: {request_id}\r\ncontent-length: {len(body)}\r\n{extra}\r\n".encode(),
            body,
        )
    )
