"""What a request says of itself in its headers, as far as the gate listens."""

from __future__ import annotations

from typing import Any, Final

from plugin_host.sdk.errors import Problem

POLICY_REVISION: Final = b"policy-revision"
"""In an answer: the policy revision that a change has made. In a request: the rules are to be at least as new."""

_MAX_DIGITS: Final = 18  # of a number that fits into the revision's column


def wanted_revision(scope: dict[str, Any]) -> int:
    """Give the policy revision that the caller has seen, or 0."""
    for name, value in scope["headers"]:
        if name == POLICY_REVISION:
            if not value.isdigit() or len(value) > _MAX_DIGITS:
                raise Problem(400, "malformed", "Policy-Revision: send the number that an answer carried.")
            return int(value)
    return 0


def is_preflight(scope: dict[str, Any]) -> bool:
    """Tell whether a browser asks by it what a page of another origin may send."""
    names = {name for name, _ in scope["headers"]}
    return b"origin" in names and b"access-control-request-method" in names


def require_json(scope: dict[str, Any]) -> None:
    """Refuse a body that does not say it is JSON: other types can be sent by any page's form."""
    has_body = False
    for name, value in scope["headers"]:
        if name == b"content-type":
            kind = value.partition(b";")[0].strip().lower()
            if kind == b"application/json" or (kind.startswith(b"application/") and kind.endswith(b"+json")):
                return
            break
        has_body = has_body or name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
    else:
        if not has_body:
            return
    raise Problem(415, "unsupported_media_type", "Send the body as JSON, with Content-Type: application/json.")
