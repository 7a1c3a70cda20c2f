"""Plain OAuth 2, as GitHub speaks it: there is no ID token, so the provider is asked who the access token is of.

That is enough only because the token came straight from the provider, for a code that belongs to this attempt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from plugin_host.auth.oidc.answers import check_answer, exchange
from plugin_host.auth.oidc.fetching import Fetcher
from plugin_host.auth.oidc.id_token import MAX_SUBJECT
from plugin_host.auth.oidc.provider import Assertion, Provider, SignInError, Transaction, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plugin_host.settings.oidc import IdentityProvider


class OAuth2Provider(Provider):
    """A provider whose endpoints stand in the settings."""

    def __init__(self, settings: IdentityProvider, fetcher: Fetcher | None = None) -> None:
        self._settings = settings
        self._fetcher = fetcher or Fetcher(settings.issuer)

    async def begin(self, transaction: Transaction) -> str:
        """See `Provider`."""
        address = self._fetcher.require_address(self._settings.authorization_endpoint)
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": transaction.redirect_uri,
            "state": transaction.state,
            "code_challenge": transaction.challenge,  # who does not know PKCE leaves it alone
            "code_challenge_method": "S256",
        }
        if self._settings.scopes:
            asked["scope"] = " ".join(self._settings.scopes)
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"

    async def complete(self, transaction: Transaction, answer: Mapping[str, str]) -> Assertion:
        """See `Provider`."""
        settings = self._settings
        code = check_answer(answer, transaction.state, settings.issuer, names_itself=False)
        tokens = await exchange(self._fetcher, settings.token_endpoint, settings, transaction, code, basic=False)
        access_token = text_of(tokens, "access_token")
        if access_token is None:
            raise SignInError("provider_malformed", "no access_token", off=True)
        said = await self._fetcher.get(self._fetcher.require_address(settings.userinfo_endpoint), access_token)
        number = said.get(settings.subject_claim)
        subject = str(number) if isinstance(number, str | int) and not isinstance(number, bool) else ""
        if not subject.strip() or len(subject) > MAX_SUBJECT or not subject.isascii():
            raise SignInError("userinfo_subject")
        named = text_of(said, settings.username_claim or "login", "preferred_username", "email") or subject
        return Assertion(
            issuer=settings.issuer,
            subject=subject,
            username=named,
            display=text_of(said, "name") or named,
            email=text_of(said, "email"),
            claims=said,
        )

    async def close(self) -> None:
        """See `Provider`."""
        await self._fetcher.close()
