"""What a provider is to the host: begin, and complete. Two kinds stand behind it."""

from __future__ import annotations

import base64
import hashlib
import secrets
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


class SignInError(Exception):
    """The provider, or somebody in between, did not keep to the rules, or cannot be reached.

    `code` is a word of ours, `detail` is for the log only: it may hold what others have sent. `ours` tells that
    the browser is not to blame: the provider is off.
    """

    def __init__(self, code: str, detail: str = "", *, off: bool = False) -> None:
        super().__init__(f"{code}: {detail[:300]!r}" if detail else code)
        self.code = code
        self.off = off


class Transaction(msgspec.Struct, frozen=True):
    """One attempt to sign in: known to the browser that began it (sealed, in a cookie), and to nobody else."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str

    @classmethod
    def make(cls, redirect_uri: str) -> Transaction:
        """Make a new one, of random values."""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48), redirect_uri)

    @property
    def challenge(self) -> str:
        """What PKCE shows of the verifier beforehand: its SHA-256."""
        return unpadded(hashlib.sha256(self.verifier.encode()).digest())


class Assertion(msgspec.Struct, frozen=True):
    """What the provider says of somebody. Only `issuer` and `subject` together say who it is."""

    issuer: str
    subject: str
    username: str
    display: str
    email: str | None
    claims: dict[str, Any]


class Provider(ABC):
    """Somebody who may say who people are."""

    @abstractmethod
    async def begin(self, transaction: Transaction) -> str:
        """Give the address to send the browser to. Raises `SignInError`."""

    @abstractmethod
    async def complete(self, transaction: Transaction, answer: Mapping[str, str]) -> Assertion:
        """Take what the browser brought back, and give who it is. Raises `SignInError`."""

    @abstractmethod
    async def close(self) -> None:
        """Close connections."""


def unpadded(raw: bytes) -> str:
    """Write bytes as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def text_of(claims: Mapping[str, Any], *names: str) -> str | None:
    """Give the first of these claims that is text and not empty."""
    return next((value for name in names if isinstance(value := claims.get(name), str) and value.strip()), None)
