"""One's own second factor: begin, confirm, new recovery codes, take away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Request, Response
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.audit import Entry, record
from plugin_host.core.api.auth import with_cookies
from plugin_host.core.api.fresh import require_fresh
from plugin_host.sdk.context import Actor
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.routing import delete, get, post

if TYPE_CHECKING:
    from plugin_host.auth.tables import User
    from plugin_host.core.credentials import Credentials
    from plugin_host.settings import Settings


class FactorOut(msgspec.Struct, frozen=True):
    """Whether there is a second factor, whether there must be, and how many recovery codes are left."""

    enabled: bool
    required: bool
    recovery_codes: int


class SeedOut(msgspec.Struct, frozen=True):
    """What an authenticator is fed: the secret to be typed, and the address behind its picture."""

    secret: str
    uri: str


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code that the authenticator shows."""

    otp: str


class RecoveryCodes(msgspec.Struct, frozen=True):
    """Codes for when the authenticator is lost: each works once, and they are shown this once."""

    recovery_codes: list[str]


def mfa_routes(settings: Settings, credentials: Credentials) -> list[Any]:
    """Make the handlers of one's own second factor."""
    factors, sign_in = credentials.factors, credentials.sign_in

    async def own(db: AsyncSession, actor: Actor) -> User:
        user = await credentials.people.by_id(db, actor.id)
        if user is None or actor.credential not in ("session", "access"):
            raise Problem(403, "interactive_session_required", "Sign in first.")
        return user

    @get("/auth/mfa", permission="signed-in")
    async def show_mfa(actor: Actor, db: AsyncSession) -> FactorOut:
        """Say whether one has a second factor."""
        user = await credentials.people.by_id(db, actor.id)
        left = await factors.recovery_codes_left(db, actor.id)
        return FactorOut(user is not None and user.mfa, credentials.factor_required(actor), left)

    @post("/auth/mfa/totp", permission="signed-in")
    async def begin_totp(actor: Actor, db: AsyncSession) -> SeedOut:
        """Begin a second factor: a new seed for an authenticator. It counts when a code of it is confirmed."""
        require_fresh(actor, settings)
        return SeedOut(*await factors.begin(db, await own(db, actor)))

    @post("/auth/mfa/totp/confirm", permission="signed-in", status_code=200)
    async def confirm_totp(
        data: Code, actor: Actor, request: Request[Any, Any, Any], db: AsyncSession
    ) -> Response[RecoveryCodes]:
        """Confirm it with a code: from now on it is asked for. Answers the recovery codes."""
        require_fresh(actor, settings)
        codes = await factors.confirm(db, await own(db, actor), data.otp)
        await record(db, Entry(action="core.mfa.added", actor=actor, object=f"user:{actor.id}"))
        # Whoever is signed in elsewhere did not show it.
        await credentials.sessions.end_all(db, actor.id, keep=actor.credential_id)
        return with_cookies(Response(RecoveryCodes(codes)), await sign_in.renew(db, request.scope, ("otp",)))

    @delete("/auth/mfa/totp", permission="signed-in")
    async def remove_totp(actor: Actor, db: AsyncSession) -> None:
        """Take one's second factor away."""
        require_fresh(actor, settings)
        if credentials.factor_required(actor):
            raise Problem(409, "mfa_required", "You must have a second factor here, by auth.mfa.")
        if not await credentials.desk.remove_factor(db, actor, await own(db, actor)):
            raise Problem(404, "not_found", "You have no second factor.")

    @post("/auth/mfa/recovery-codes", permission="signed-in", status_code=200)
    async def new_recovery_codes(actor: Actor, db: AsyncSession) -> RecoveryCodes:
        """Make ten new recovery codes; the old ones are void."""
        require_fresh(actor, settings)
        user = await own(db, actor)
        if not user.mfa:
            raise Problem(409, "mfa_not_begun", "You have no second factor yet.")
        await record(db, Entry(action="core.mfa.codes_renewed", actor=actor, object=f"user:{actor.id}"))
        return RecoveryCodes(await factors.new_recovery_codes(db, user.id))

    return [show_mfa, begin_totp, confirm_totp, remove_totp, new_recovery_codes]
