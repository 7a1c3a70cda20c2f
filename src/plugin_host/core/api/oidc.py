"""Signing in with a provider: the buttons, the way there and back, and links of one's own account."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

import msgspec
from litestar import Request, Response
from litestar.datastructures import Cookie
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.audit import Entry, record
from plugin_host.auth.oidc.identities import list_identities, unlink
from plugin_host.auth.sessions import is_secure
from plugin_host.core.api.fresh import require_fresh
from plugin_host.core.provider_sign_in import LIFE, safe_return
from plugin_host.gateway.foreign import BASE
from plugin_host.sdk.context import Actor
from plugin_host.sdk.errors import FieldError, Problem
from plugin_host.sdk.listing import Page
from plugin_host.sdk.models import to
from plugin_host.sdk.routing import delete, get, post

if TYPE_CHECKING:
    from plugin_host.core.provider_sign_in import ProviderSignIn
    from plugin_host.settings import Settings

SECURE_NAME: Final = "__Host-ph_oidc"
PLAIN_NAME: Final = "ph_oidc"
_ANSWER: Final = ("code", "state", "iss", "error")


class ProviderOut(msgspec.Struct, frozen=True):
    """A provider that people may sign in with; `start` is where the button leads."""

    name: str
    title: str
    start: str


class IdentityOut(msgspec.Struct, frozen=True):
    """An account at a provider that is linked to one's own here."""

    id: str
    provider: str
    issuer: str
    subject: str
    email: str | None
    created_at: dt.datetime
    used_at: dt.datetime | None


class LinkIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which provider to link one's account to, and where to go afterwards."""

    provider: str
    return_to: str = "/"


class LinkOut(msgspec.Struct, frozen=True):
    """Where to send the browser."""

    url: str


def oidc_routes(settings: Settings, providers: ProviderSignIn) -> list[Any]:
    """Make the handlers."""
    public_url = settings.public_url
    https = (public_url or "").startswith("https:")

    @get("/auth/providers", permission="public")
    async def list_providers(request: Request[Any, Any, Any]) -> Page[ProviderOut]:
        """List the providers that people may sign in with."""
        base = request.scope.get(BASE, "")
        titles = providers.titles().items()
        return Page([ProviderOut(name, title, f"{base}/api/core/auth/oidc/{name}/start") for name, title in titles])

    @get("/auth/oidc/{name:str}/start", permission="public")
    async def start_oidc(name: str, request: Request[Any, Any, Any], return_to: str | None = None) -> Response[None]:
        """Send the browser to the provider; `return_to` is a path of this host for afterwards."""
        scope: Any = request.scope
        back = callback_url(scope, name, public_url)
        address, sealed = await providers.start(name, back, safe_return(return_to))
        return _redirect(address, cookies=[_cookie(scope, sealed, https=https)])

    @get("/auth/oidc/{name:str}/callback", permission="public")
    async def finish_oidc(name: str, request: Request[Any, Any, Any], actor: Actor) -> Response[None]:
        """Take the provider's answer, and send the browser into the shell."""
        scope: Any = request.scope
        base = scope.get(BASE, "")
        answer = {}
        for key, value in request.query_params.multi_items():
            if key in answer and key in _ANSWER:
                raise Problem(400, "sign_in_refused", f"{key} was sent twice.")
            answer[key] = value
        sealed = request.cookies.get(SECURE_NAME if is_secure(scope, https=https) else PLAIN_NAME)
        forget = [_cookie(scope, "", https=https)]
        try:
            finished = await providers.finish(name, sealed, answer, scope, actor)
        except Problem as problem:
            if "text/html" not in request.headers.get("accept", ""):
                raise
            # Somebody looks at this: the sign-in page words it.
            return _redirect(f"{base}/?sign_in={quote(problem.code)}", cookies=forget)
        headers = {"set-cookie": finished.cookies[0]} if finished.cookies else {}
        return _redirect(f"{base}{finished.return_to}", cookies=forget, headers=headers)

    return [list_providers, start_oidc, finish_oidc, *_identity_routes(settings, providers)]


def _identity_routes(settings: Settings, providers: ProviderSignIn) -> list[Any]:
    https = (settings.public_url or "").startswith("https:")

    @get("/auth/identities", permission="signed-in")
    async def list_own_identities(actor: Actor, db: AsyncSession) -> Page[IdentityOut]:
        """List the accounts at providers that are linked to one's own."""
        return Page([to(each, IdentityOut) for each in await list_identities(db, actor.id)])

    @post("/auth/identities", permission="signed-in", status_code=200)
    async def link_identity(data: LinkIn, actor: Actor, request: Request[Any, Any, Any]) -> Response[LinkOut]:
        """Begin to link one's account to one at a provider: gives where to send the browser."""
        require_fresh(actor, settings)
        if data.provider not in providers.titles():
            known = ", ".join(providers.titles()) or "none"
            detail = f"there is no provider {data.provider!r}; there are: {known}"
            raise Problem(422, "invalid", f"provider: {detail}", errors=[FieldError("/provider", detail)])
        scope: Any = request.scope
        back = callback_url(scope, data.provider, settings.public_url)
        address, sealed = await providers.start(data.provider, back, safe_return(data.return_to), links=actor.id)
        return Response(LinkOut(address), cookies=[_cookie(scope, sealed, https=https)])

    @delete("/auth/identities/{identity_id:str}", permission="signed-in")
    async def unlink_identity(identity_id: str, actor: Actor, db: AsyncSession) -> None:
        """Remove a link of one's own account. Sessions that are open stay."""
        require_fresh(actor, settings)
        gone = await unlink(db, actor.id, identity_id)
        if gone is None:
            raise Problem(404, "not_found", "You have no such link.")
        said = {"provider": gone.provider, "subject": gone.subject}
        entry = Entry(action="core.identity.unlinked", actor=actor, object=f"identity:{identity_id}", detail=said)
        await record(db, entry)

    return [list_own_identities, link_identity, unlink_identity]


def callback_url(scope: Any, name: str, public_url: str | None) -> str:
    """Give the address that the provider sends the browser back to: the same at the start and at the exchange.

    It is made from `public_url` where that is set; without, from the Host header, which only names whoever sent it.
    """
    base = scope.get(BASE, "")
    if public_url is not None:
        parts = urlsplit(public_url)
        root = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/') or base}"
    else:
        host = next((value for key, value in scope["headers"] if key == b"host"), b"localhost").decode("latin-1")
        root = f"{scope.get('scheme', 'http')}://{host}{base}"
    return f"{root}/api/core/auth/oidc/{name}/callback"


def _redirect(address: str, cookies: list[Cookie], headers: dict[str, str] | None = None) -> Response[None]:
    return Response(
        None,
        status_code=302,
        media_type="text/plain",
        headers={"location": address, "cache-control": "no-store", **(headers or {})},
        cookies=cookies,
    )


def _cookie(scope: Any, sealed: str, *, https: bool) -> Cookie:
    """Make the cookie of an attempt; an empty one is forgotten. Lax, since the answer comes from another site."""
    secure = is_secure(scope, https=https)
    return Cookie(
        key=SECURE_NAME if secure else PLAIN_NAME,
        value=sealed,
        path="/" if secure else (scope.get(BASE) or "/"),
        secure=secure,
        httponly=True,
        samesite="lax",
        max_age=int(LIFE) if sealed else 0,
    )
