"""Access tokens of applications: short JWTs that name a session, and nothing that somebody may do.

The first part of a token must be, letter for letter, the header of one of our keys: a header that says anything
else is never read, so no algorithm, key or address in it is ever believed. The signature is verified before
anything of the second part is read.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jwt

from plugin_host.auth.sessions import digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugin_host.auth.keys import Key, KeyRing

AUDIENCE: Final = "plugin-host"
MAX_BYTES: Final = 8192
CACHED: Final = 10_000
_LEEWAY: Final = 60
_SHAPE: Final = re.compile(rb"[A-Za-z0-9_-]{1,200}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_CHECKED: Final[Any] = {"verify_exp": False, "verify_iat": False, "require": ["iss", "sub", "aud", "exp", "iat", "jti"]}
# How the header of a key of ours begins, whichever key: `{"alg":"E`.
_BEGINNING: Final = b"eyJhbGciOiJF"


class Verified(NamedTuple):
    """What a token says that was signed by us: whose session it is of, and when it ends."""

    user_id: str
    session_id: str
    expires: float


class AccessTokens:
    """Signs and verifies access tokens. `issuer` is the public address; `life` is in seconds."""

    def __init__(self, ring: KeyRing, *, issuer: str, life: int = 600, clock: Callable[[], float] = time.time) -> None:
        self.ring = ring
        self.issuer = issuer
        self.life = life
        self._clock = clock
        self._known: dict[str, tuple[Key, Verified]] = {}

    async def sign(self, user_id: str, session_id: str) -> str:
        """Make a token for a session."""
        key = await self.ring.signing()
        now = int(self._clock())
        claims = {
            "iss": self.issuer,
            "sub": user_id,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + self.life,
            "jti": secrets.token_urlsafe(12),
            "sid": session_id,
        }
        payload = json.dumps(claims, separators=(",", ":")).encode()
        signer: Any = key.private
        return jwt.api_jws.encode(
            payload, signer, key.alg, headers={"alg": key.alg, "kid": key.kid, "typ": "at+jwt"}, sort_headers=True
        )

    def verify(self, token: bytes, hashed: str | None = None) -> Verified | None:
        """Give what a token says, or None; `hashed` is its `digest`. Never raises, whatever the bytes are.

        The ring must have been asked to follow the revision. What was verified is remembered for as long as its key
        verifies, at most `CACHED` tokens.
        """
        if len(token) > MAX_BYTES or not _SHAPE.fullmatch(token):
            return None
        hashed = hashed or digest(token)
        key = self.ring.verifying(token.partition(b".")[0].decode())
        if key is None:
            self._known.pop(hashed, None)
            return None
        known = self._known.get(hashed)
        if known is None or known[0].kid != key.kid:
            claims = self._read(token.decode(), key)
            if claims is None:
                return None
            if len(self._known) >= CACHED:
                del self._known[next(iter(self._known))]
            known = self._known[hashed] = key, claims
        return known[1]

    @staticmethod
    def may_be_ours(token: bytes) -> bool:
        """Tell whether the bytes look like a token of a key that is not known here yet."""
        return len(token) <= MAX_BYTES and bool(_SHAPE.fullmatch(token)) and token.startswith(_BEGINNING)

    def _read(self, token: str, key: Key) -> Verified | None:
        try:
            public: Any = key.public
            decoded = jwt.decode_complete(
                token, public, algorithms=[key.alg], audience=AUDIENCE, issuer=self.issuer, options=_CHECKED
            )
            claims = _unambiguous(token)
        except (jwt.PyJWTError, ValueError, RecursionError, TypeError, OverflowError):
            return None
        if decoded["payload"] != claims:
            return None
        expires, issued, user_id, session_id = (claims.get(name) for name in ("exp", "iat", "sub", "sid"))
        if type(expires) is not int or type(issued) is not int or issued > self._clock() + _LEEWAY:
            return None
        if not isinstance(user_id, str) or not isinstance(session_id, str):
            return None
        return Verified(user_id, session_id, float(expires))


def _unambiguous(token: str) -> dict[str, Any]:
    """Read the claims, none of which may be said twice: readers differ in which one counts."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            msg = "a claim is said twice"
            raise ValueError(msg)
        return dict(pairs)

    claims = json.loads(jwt.utils.base64url_decode(token.split(".")[1]), object_pairs_hook=once)
    if not isinstance(claims, dict):
        msg = "no claims"
        raise TypeError(msg)
    return claims
