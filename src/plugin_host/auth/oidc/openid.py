"""OpenID Connect, as a client: discovery, code with PKCE, and an ID token that keeps to every rule."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from plugin_host.auth.oidc.answers import check_answer, exchange
from plugin_host.auth.oidc.fetching import Fetcher
from plugin_host.auth.oidc.id_token import verify_id_token
from plugin_host.auth.oidc.keys import ProviderKeys
from plugin_host.auth.oidc.provider import Assertion, Provider, SignInError, Transaction, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from plugin_host.settings.oidc import IdentityProvider

KEEP: Final = 3600.0
COOLDOWN: Final = 30.0
SCOPES: Final = ("openid", "profile", "email")


class OpenIdProvider(Provider):
    """A provider that is discovered by its issuer. What it says of itself is kept for an hour."""

    def __init__(
        self,
        settings: IdentityProvider,
        fetcher: Fetcher | None = None,
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._fetcher = fetcher or Fetcher(settings.issuer)
        self._clock = clock
        self._ticks = ticks
        self._keys = ProviderKeys(self._fetch_keys, ticks)
        self._known: dict[str, Any] | None = None
        self._known_at = self._tried_at = float("-inf")

    async def begin(self, transaction: Transaction) -> str:
        """See `Provider`."""
        metadata = await self._metadata()
        address = self._fetcher.require_address(metadata.get("authorization_endpoint"))
        scopes = self._settings.scopes or SCOPES
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": transaction.redirect_uri,
            "scope": " ".join(scopes if "openid" in scopes else ("openid", *scopes)),
            "state": transaction.state,
            "nonce": transaction.nonce,
            "code_challenge": transaction.challenge,
            "code_challenge_method": "S256",
        }
        return f"{address}{'&' if '?' in address else '?'}{urlencode(asked)}"

    async def complete(self, transaction: Transaction, answer: Mapping[str, str]) -> Assertion:
        """See `Provider`."""
        metadata = await self._metadata()
        names_itself = metadata.get("authorization_response_iss_parameter_supported") is True
        code = check_answer(answer, transaction.state, self._settings.issuer, names_itself=names_itself)
        methods = metadata.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
        basic = not isinstance(methods, list) or "client_secret_basic" in methods
        tokens = await exchange(
            self._fetcher, metadata.get("token_endpoint"), self._settings, transaction, code, basic=basic
        )
        claims = await verify_id_token(
            tokens.get("id_token"),
            keys=self._keys,
            issuer=self._settings.issuer,
            client_id=self._settings.client_id,
            nonce=transaction.nonce,
            access_token=text_of(tokens, "access_token"),
            clock=self._clock,
        )
        claims = await self._add_userinfo(metadata, claims, text_of(tokens, "access_token"))
        named = text_of(claims, self._settings.username_claim or "preferred_username", "nickname", "email", "sub") or ""
        return Assertion(
            issuer=self._settings.issuer,
            subject=claims["sub"],
            username=named,
            display=text_of(claims, "name") or named,
            email=text_of(claims, "email"),
            claims=claims,
        )

    async def close(self) -> None:
        """See `Provider`."""
        await self._fetcher.close()

    async def _add_userinfo(
        self, metadata: Mapping[str, Any], claims: dict[str, Any], access_token: str | None
    ) -> dict[str, Any]:
        """Ask for what the ID token does not say: many providers keep names and groups out of it."""
        wanted = [self._settings.roles_claim.partition(".")[0]] if self._settings.role_map else []
        if self._settings.auto_create:
            wanted.append(self._settings.username_claim or "preferred_username")
        endpoint = metadata.get("userinfo_endpoint")
        if endpoint is None or access_token is None or all(name in claims for name in wanted):
            return claims
        said = await self._fetcher.get(endpoint, access_token)
        if said.get("sub") != claims["sub"]:  # OpenID Connect Core 5.3.2: it may be about somebody else
            raise SignInError("userinfo_subject")
        return {**said, **claims}

    async def _metadata(self) -> dict[str, Any]:
        now = self._ticks()
        if self._known is not None and now - self._known_at < KEEP:
            return self._known
        if now - self._tried_at < COOLDOWN:
            raise SignInError("provider_unavailable", "asked a moment ago", off=True)
        self._tried_at = now
        issuer = self._settings.issuer
        said = await self._fetcher.get(issuer.rstrip("/") + "/.well-known/openid-configuration")
        if said.get("issuer") != issuer:
            raise SignInError(
                "provider_issuer", f"discovery says {said.get('issuer')!r}, the settings {issuer!r}", off=True
            )
        self._known, self._known_at = said, now
        self._tried_at = float("-inf")
        return said

    async def _fetch_keys(self) -> dict[str, Any]:
        return await self._fetcher.get(self._fetcher.require_address((await self._metadata()).get("jwks_uri")))
