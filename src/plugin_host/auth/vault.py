"""The secret key of the host: what must be read again (signing keys, seeds of second factors) is sealed with it.

Whoever has only the database, or a copy of it, has nothing to sign in with.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "secret.key"
_NONCE: Final = 12


class SealError(Exception):
    """What was sealed cannot be opened: it was sealed with another secret key, or changed."""


class Vault:
    """Seals and opens texts, and derives keys. `given` is the setting `secret_key`; without it `folder` keeps one.

    Nothing is read or made before something is asked for. Several processes may make the file at once: one wins.
    """

    def __init__(self, given: str | None, folder: Path) -> None:
        self._given = given
        self._folder = folder
        self._key: bytes | None = None

    def seal(self, purpose: str, value: bytes) -> str:
        """Seal bytes, so that only the same purpose opens them."""
        nonce = os.urandom(_NONCE)
        sealed = AESGCM(self.derive("seal")).encrypt(nonce, value, purpose.encode())
        return base64.b64encode(nonce + sealed).decode()

    def open(self, purpose: str, sealed: str) -> bytes:
        """Open what was sealed for this purpose. Raises `SealError`."""
        try:
            raw = base64.b64decode(sealed, validate=True)
            return AESGCM(self.derive("seal")).decrypt(raw[:_NONCE], raw[_NONCE:], purpose.encode())
        except (InvalidTag, ValueError) as error:
            msg = f"{purpose}: sealed with another secret key; give every process the same `secret_key`"
            raise SealError(msg) from error

    def derive(self, purpose: str) -> bytes:
        """Give 32 bytes that only this host has, others for each purpose."""
        if self._key is None:
            self._key = self._read()
        return hmac.new(self._key, purpose.encode(), hashlib.sha256).digest()

    def _read(self) -> bytes:
        if self._given is not None:
            return hashlib.sha256(self._given.encode()).digest()
        path = self._folder / FILE
        if not path.exists():
            _make(path)
        return hashlib.sha256(path.read_bytes().strip()).digest()


def _make(path: Path) -> None:
    """Make the file whole, or not at all: it is linked to its name when it is written."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secrets.token_urlsafe(48).encode())
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first, and its key is the one
    except OSError:  # a file system without links
        if not path.exists():
            draft.rename(path)
    finally:
        draft.unlink(missing_ok=True)
