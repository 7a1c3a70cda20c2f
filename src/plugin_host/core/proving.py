"""Proving who somebody is: password, second factor, the waits after failures, and what is written down about it.

No transaction is open while a password is hashed, and an attempt is counted before it is looked at.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from plugin_host.audit import Entry, record
from plugin_host.auth.people import fold
from plugin_host.auth.sessions import address_of
from plugin_host.auth.waits import Bucket, sign_in_buckets
from plugin_host.core.signing_in import as_actor
from plugin_host.sdk.context import ANONYMOUS
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.auth.factors import Factors
    from plugin_host.auth.passwords import Passwords
    from plugin_host.auth.people import Credentials, People
    from plugin_host.auth.tables import User
    from plugin_host.auth.vault import Vault
    from plugin_host.auth.waits import Waits
    from plugin_host.core.auditing import Auditing
    from plugin_host.sdk.context import Actor

DEVICE: Final = "ph_device"
"""The cookie of a browser that has signed in before: other people's guesses do not make it wait."""
_REFUSED: Final = "core.session.refused"


class Proven(NamedTuple):
    """Who somebody is, how they proved it, and the mark of their browser."""

    user: User
    methods: tuple[str, ...]
    device: str


class Proving:
    """Proves people. Everybody who fails is told the same, after the same work."""

    def __init__(
        self,
        vault: Vault,
        *,
        passwords: Passwords,
        people: People,
        factors: Factors,
        waits: Waits,
        auditing: Auditing,
    ) -> None:
        self._vault = vault
        self._passwords = passwords
        self._people = people
        self._factors = factors
        self._waits = waits
        self._auditing = auditing

    async def prove(
        self, db: AsyncSession, scope: Mapping[str, Any], username: str, password: str, otp: str | None
    ) -> Proven:
        """Give the user whose password this is, and whose second factor.

        Raises `Problem` 401 `invalid_credentials`, `otp_required`, `invalid_otp`, 429 `too_many_attempts`,
        503 `busy`. `db` must not have been used: what goes wrong is counted in a transaction of its own.
        """
        account = fold(username[:1024])
        device = _cookie(scope)
        with self._passwords.seat(password) as seat:
            known = await self._people.credentials(username)
            trusted = device if known is not None and device is not None and self._is_of(device, known) else None
            buckets = sign_in_buckets(account, address_of(scope), trusted)
            await self._waits.enter(buckets)
            hashed = known.password_hash if known is not None and known.active else None
            right = await seat.verify(hashed) and known is not None and hashed is not None
            fresh = await seat.hash() if right and hashed and self._passwords.needs_rehash(hashed) else None
        user = await self._people.lock(db, known) if right and known is not None else None
        if user is None:
            self._refuse(known)
            raise Problem(401, "invalid_credentials", "The user name or the password is wrong.")
        methods = ["password"]
        if user.mfa:
            methods.append(await self._second(db, user, otp))
        if fresh is not None:
            await self._people.set_password(db, user, fresh)
        await self._waits.forgive(db, buckets)
        return Proven(user, tuple(methods), trusted or self._new_device(user.id))

    async def prove_again(
        self, db: AsyncSession, scope: Mapping[str, Any], actor: Actor, password: str | None, otp: str | None
    ) -> tuple[str, ...]:
        """See that it is still the person: by the password, and by the second factor if there is one.

        People without a password, who sign in elsewhere, prove it with the second factor alone. Raises as `prove`.
        """
        record_ = (await self._people.get([actor.id])).get(actor.id)
        known = await self._people.credentials(record_.username) if record_ is not None else None
        if known is None:
            raise Problem(401, "not_signed_in", "Sign in first.")
        if known.password_hash is not None:
            username = record_.username if record_ is not None else ""
            return (await self.prove(db, scope, username, password or "", otp)).methods
        buckets = [Bucket(f"again:{actor.id}", 5)]
        await self._waits.enter(buckets)
        user = await self._people.by_id(db, actor.id)
        if user is None or not user.mfa:
            detail = "You have neither a password nor a second factor here: sign in again the way you did."
            raise Problem(403, "sign_in_again", detail)
        method = await self._second(db, user, otp)
        await self._waits.forgive(db, buckets)
        return (method,)

    async def _second(self, db: AsyncSession, user: User, otp: str | None) -> str:
        try:
            method = await self._factors.check(db, user, otp)
        except Problem as problem:
            if problem.code == "invalid_otp":
                self._note(user.id, "wrong code")
            raise
        if method == "recovery":
            await record(db, Entry(action="core.mfa.used", actor=as_actor(user), object=f"user:{user.id}"))
        return method

    def _refuse(self, known: Credentials | None) -> None:
        """Have the failure of somebody who is known written down in a moment; of others there is only a number."""
        if known is None:
            self._auditing.count(_REFUSED, "unknown_user")  # what was typed may be a password: it is not kept
        else:
            self._note(known.user_id, "wrong password" if known.active else "disabled")

    def _note(self, user_id: str, why: str) -> None:
        refused = Entry(
            action=_REFUSED, actor=ANONYMOUS, object=f"user:{user_id}", outcome="refused", detail={"why": why}
        )
        self._auditing.refused(refused)

    @staticmethod
    def account(username: str) -> str:
        """Give what a name counts as, however it is written; not the name itself, which may be anything."""
        return hashlib.sha256(fold(username[:1024]).encode("utf-8", "surrogatepass")).hexdigest()[:40]

    def _new_device(self, user_id: str) -> str:
        nonce = secrets.token_urlsafe(16)
        return f"{nonce}.{self._mark(nonce, user_id)}"

    def _is_of(self, device: str, known: Credentials) -> bool:
        nonce, _, mark = device.partition(".")
        return hmac.compare_digest(self._mark(nonce, known.user_id).encode(), mark.encode("utf-8", "surrogatepass"))

    def _mark(self, nonce: str, user_id: str) -> str:
        said = hmac.new(self._vault.derive("device"), f"{nonce}.{user_id}".encode(), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(said).decode().rstrip("=")


def _cookie(scope: Mapping[str, Any]) -> str | None:
    wanted = f"{DEVICE}=".encode()
    for name, value in scope["headers"]:
        if name == b"cookie" and wanted in value:
            for part in value.split(b";"):
                if part.strip().startswith(wanted):
                    text = part.strip()[len(wanted) :].decode("latin-1")
                    return text if len(text) < 200 and text.isascii() else None  # noqa: PLR2004 - ours is shorter
    return None
