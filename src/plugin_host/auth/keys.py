"""The keys that sign access tokens: in the database, so that every process signs and verifies with the same ones.

1. A new key is published before it signs, and the old ones verify for as long as their last token may live.
2. The ring is read again when the `auth` revision has moved: whatever changes the keys raises it.
3. Private keys are sealed with the host's secret key. A process with another secret key verifies with the public
   halves, and signs with a key of its own.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import logging
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm
from sqlalchemy import delete, or_, select, update

from plugin_host.auth.tables import SigningKey
from plugin_host.auth.vault import SealError
from plugin_host.database import bump

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.auth.vault import Vault
    from plugin_host.database import Database

    PrivateKey: TypeAlias = Ed25519PrivateKey | ec.EllipticCurvePrivateKey
    PublicKey: TypeAlias = Ed25519PublicKey | ec.EllipticCurvePublicKey

TYPE: Final = "at+jwt"
PUBLISHED_BEFORE: Final = 24 * 3600.0
"""Seconds that a key is published before it signs, if it comes by schedule."""
VERIFIES_LONGER: Final = 3600.0
"""Seconds that a key verifies after its last token has ended."""
_PURPOSE: Final = "signing-key"

log = logging.getLogger("plugin_host.auth")


@dataclass(frozen=True)
class Key:
    """One key. `header` is the first part of every token that it signs; `private` is None if it cannot be opened."""

    kid: str
    alg: str
    jwk: dict[str, Any]
    header: str
    public: PublicKey
    private: PrivateKey | None
    created: float
    starts: float
    ends: float | None


class KeyRing:
    """The keys of one database. `algorithm` is `EdDSA` or `ES256`; spans are in seconds.

    `token_life` is how long a token is good for at most, `rotation` how long a key signs before a new one takes over.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        *,
        algorithm: str = "EdDSA",
        token_life: float = 600,
        rotation: float = 90 * 24 * 3600,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._vault = vault
        self._algorithm = algorithm
        self._token_life = token_life
        self._rotation = rotation
        self._clock = clock
        self._keys: dict[str, Key] = {}
        self._revision: int | None = None
        self._loading = asyncio.Lock()

    def verifying(self, header: str) -> Key | None:
        """Give the key whose tokens begin with this header, while it verifies."""
        key = self._keys.get(header)
        return key if key is not None and (key.ends is None or self._clock() < key.ends) else None

    async def follow(self, revision: int | None = None) -> bool:
        """Read the keys again if the `auth` revision is another by now; tells whether they were."""
        if revision is None:
            revision = (await self._database.revision()).auth
        if revision == self._revision:
            return False
        async with self._loading:
            if revision == self._revision:
                return False
            unit = self._database.unit(write=False)
            try:
                await self._load(unit.session, revision)
            finally:
                await unit.close()
        return True

    async def signing(self) -> Key:
        """Give the key that signs now; the first one is made here."""
        await self.follow()
        return self._current() or await self.rotate(only_if_none=True)

    async def rotate(self, *, only_if_none: bool = False, revoke: bool = False) -> Key:
        """Make a new key that signs at once; the others verify until their last token has ended.

        `revoke`: the others are deleted, and tokens signed with them are refused at the next request. `only_if_none`:
        not if another process has made one meanwhile.
        """
        now = self._clock()
        unit = self._database.unit()
        try:
            # The row's lock makes processes that do this at once wait in line.
            await bump(unit.session, "auth")
            await self._load(unit.session, None)
            current = self._current()
            if only_if_none and current is not None:
                return current
            if revoke:
                await unit.session.execute(delete(SigningKey))
            else:
                await self._retire(unit.session, now)
            unit.session.add(self._make(now))
            await unit.session.flush()
            await self._load(unit.session, None)
            await unit.commit()
        finally:
            await unit.close()
            self._revision = None
        await self.follow()
        made = self._current()
        if made is None:
            msg = "the signing key that was just made is gone"
            raise RuntimeError(msg)
        return made

    async def tend(self) -> None:
        """Publish the next key in time, and delete those that verify nothing any more."""
        now = self._clock()
        await self.follow()
        newest = max((key.starts for key in self._keys.values() if key.private is not None), default=None)
        gone = [key.kid for key in self._keys.values() if key.ends is not None and key.ends <= now]
        due = newest is not None and now >= newest + self._rotation - PUBLISHED_BEFORE
        if not gone and not due:
            return
        unit = self._database.unit()
        try:
            await bump(unit.session, "auth")
            await unit.session.execute(delete(SigningKey).where(SigningKey.kid.in_(gone)))
            await self._load(unit.session, None)
            newest = max((key.starts for key in self._keys.values() if key.private is not None), default=now)
            if due and now >= newest + self._rotation - PUBLISHED_BEFORE:  # no other process was faster
                starts = now + PUBLISHED_BEFORE
                await self._retire(unit.session, starts)
                unit.session.add(self._make(starts))
            await unit.commit()
        finally:
            await unit.close()
            self._revision = None

    async def published(self) -> list[dict[str, Any]]:
        """Give the public halves as JWKs, also of keys that do not sign yet."""
        await self.follow()
        now = self._clock()
        live = (key for key in self._keys.values() if key.ends is None or now < key.ends)
        return [key.jwk for key in sorted(live, key=lambda key: key.starts, reverse=True)]

    def _current(self) -> Key | None:
        now = self._clock()
        fit = (
            key
            for key in self._keys.values()
            if key.private is not None and key.alg == self._algorithm and key.starts <= now and key.ends is None
        )
        newest = max(fit, key=lambda key: key.starts, default=None)
        if newest is None:  # the next one is published and does not sign yet
            fit = (
                key
                for key in self._keys.values()
                if key.private is not None
                and key.alg == self._algorithm
                and key.starts <= now
                and key.ends is not None
                and now < key.ends - self._token_life - VERIFIES_LONGER
            )
            newest = max(fit, key=lambda key: key.starts, default=None)
        return newest

    async def _retire(self, session: AsyncSession, moment: float) -> None:
        """Let our others end when the last token that they sign until `moment` has ended."""
        ends = dt.datetime.fromtimestamp(moment + self._token_life + VERIFIES_LONGER, dt.UTC)
        # Not those of a process with another secret key: two that retire each other's would make keys for ever.
        ours = [key.kid for key in self._keys.values() if key.private is not None]
        later = or_(SigningKey.ends_at.is_(None), SigningKey.ends_at > ends)
        await session.execute(update(SigningKey).where(SigningKey.kid.in_(ours), later).values(ends_at=ends))

    async def _load(self, session: AsyncSession, revision: int | None) -> None:
        rows = (await session.scalars(select(SigningKey).execution_options(populate_existing=True))).all()
        keys = [self._read(row) for row in rows]
        self._keys = {key.header: key for key in keys}
        self._revision = revision

    def _read(self, row: SigningKey) -> Key:
        jwk = json.loads(row.public)
        private: Any = None
        try:
            sealed = self._vault.open(_PURPOSE, row.private)
            private = serialization.load_pem_private_key(sealed, None)
        except SealError:
            log.warning("signing key %s: sealed with another secret key; it verifies and signs nothing here", row.kid)
        public: Any = OKPAlgorithm.from_jwk(jwk) if row.alg == "EdDSA" else ECAlgorithm.from_jwk(jwk)
        return Key(
            kid=row.kid,
            alg=row.alg,
            jwk=jwk,
            header=header_of(row.kid, row.alg),
            public=public,
            private=private,
            created=row.created_at.timestamp(),
            starts=row.starts_at.timestamp(),
            ends=None if row.ends_at is None else row.ends_at.timestamp(),
        )

    def _make(self, starts: float) -> SigningKey:
        kid = secrets.token_hex(8)
        private: PrivateKey
        if self._algorithm == "EdDSA":
            private = Ed25519PrivateKey.generate()
            jwk = OKPAlgorithm.to_jwk(private.public_key(), as_dict=True)
        else:
            private = ec.generate_private_key(ec.SECP256R1())
            jwk = ECAlgorithm.to_jwk(private.public_key(), as_dict=True)
        jwk = {name: jwk[name] for name in ("kty", "crv", "x", "y") if name in jwk}
        pem = private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return SigningKey(
            kid=kid,
            alg=self._algorithm,
            public=json.dumps({**jwk, "kid": kid, "alg": self._algorithm, "use": "sig"}),
            private=self._vault.seal(_PURPOSE, pem),
            created_at=dt.datetime.fromtimestamp(self._clock(), dt.UTC),
            starts_at=dt.datetime.fromtimestamp(starts, dt.UTC),
            ends_at=None,
        )


def header_of(kid: str, alg: str) -> str:
    """Give the first part of every token that a key signs: no other header is read, whatever it says."""
    header = json.dumps({"alg": alg, "kid": kid, "typ": TYPE}, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(header.encode()).decode().rstrip("=")
