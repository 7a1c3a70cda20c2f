"""What the browser brings back, and what the provider gives for it: the same in both kinds."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Final

from plugin_host.auth.oidc.provider import SignInError, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plugin_host.auth.oidc.fetching import Fetcher
    from plugin_host.auth.oidc.provider import Transaction
    from plugin_host.settings.oidc import IdentityProvider

MAX_CODE: Final = 4096
_OK: Final = 200


def check_answer(answer: Mapping[str, str], state: str, issuer: str, *, names_itself: bool) -> str:
    """Give the code, if the answer is to this attempt and of this provider (RFC 9207). Raises `SignInError`."""
    if not hmac.compare_digest(answer.get("state", "").encode(), state.encode()):
        raise SignInError("state")
    said = answer.get("iss")
    if said != issuer and (said is not None or names_itself):
        raise SignInError("response_issuer", str(said))
    if "error" in answer:
        raise SignInError("access_denied" if answer["error"] == "access_denied" else "provider_error", answer["error"])
    code = answer.get("code", "")
    if not code or len(code) > MAX_CODE:
        raise SignInError("code")
    return code


async def exchange(
    fetcher: Fetcher,
    endpoint: object,
    settings: IdentityProvider,
    transaction: Transaction,
    code: str,
    *,
    basic: bool,
) -> dict[str, Any]:
    """Give the tokens for a code. Raises `SignInError`."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": transaction.redirect_uri,
        "code_verifier": transaction.verifier,
    }
    secret = settings.client_secret
    if secret is None or not basic:
        form["client_id"] = settings.client_id
    if secret is not None and not basic:
        form["client_secret"] = secret
    known = (settings.client_id, secret) if secret is not None and basic else None
    status, tokens = await fetcher.post(fetcher.require_address(endpoint), form, known)
    # GitHub answers a refusal with 200.
    if status != _OK or "error" in tokens:
        raise SignInError("code", str(tokens.get("error", status)))
    if (text_of(tokens, "token_type") or "bearer").lower() != "bearer":
        raise SignInError("provider_malformed", "token_type", off=True)
    return tokens
