"""Passwords: argon2id in threads of its own, with a short queue.

Hashing is made to be expensive. On the event loop it would stop everybody; in the default thread pool a
crowd of sign-ins would starve whatever else waits for a thread; without a bound the queue would grow until
nobody gets an answer. So: one thread for two processors, eight waiting for each, and 503 for the rest.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, ParamSpec, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from plugin_host.auth.common_passwords import common_part
from plugin_host.sdk.errors import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

P = ParamSpec("P")
T = TypeVar("T")

MIN_BYTES: Final = 12
MAX_BYTES: Final = 1024
QUEUE: Final = 8
PRODUCT: Final = ("plugin-host", "plugin_host", "pluginhost", "plugin host")
# What a password must have besides a name that everybody knows.
_OWN_CHARACTERS: Final = 8
_WORD: Final = 4


class Passwords:
    """Hashes and verifies passwords. The default cost is an approved set of ASVS 5: 19 MiB, two rounds.

    `threads` hash at a time and `queue` more may wait for each; who comes after them is answered
    `Problem` 503 `busy`. Nobody else uses these threads; `close` ends them.
    """

    def __init__(
        self,
        time_cost: int = 2,
        memory_kib: int = 19_456,
        parallelism: int = 1,
        *,
        threads: int | None = None,
        queue: int = QUEUE,
    ) -> None:
        self._hasher = PasswordHasher(time_cost, memory_kib, parallelism, hash_len=32, salt_len=16, type=Type.ID)
        self._dummy = _unknown_password(time_cost, memory_kib, parallelism)
        threads = threads or max(1, (os.cpu_count() or 1) // 2)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._places = threading.BoundedSemaphore(threads * (1 + queue))

    async def hash(self, password: str) -> str:
        """Hash a new password. Raises `Problem` 503 `busy`."""
        return await self._run(self._hasher.hash, _bytes(password))

    async def verify(self, known: str | None, password: str) -> bool:
        """Tell whether the password is the one that was hashed; without a hash it never is, for the same work.

        Raises `Problem` 422 for a password that is too long to be anybody's, and 503 `busy`.
        """
        with self.seat(password) as seat:
            return await seat.verify(known)

    @contextlib.contextmanager
    def seat(self, password: str) -> Iterator[Seat]:
        """Take a place in the queue, before anything else is done for somebody whom there may be no time for.

        Raises as `verify`.
        """
        if len(_bytes(password)) > MAX_BYTES:
            detail = f"at most {MAX_BYTES} bytes"
            raise Problem(422, "invalid", f"password: {detail}", errors=[FieldError("/password", detail)])
        self._take()
        try:
            yield Seat(self, _bytes(password))
        finally:
            self._places.release()

    def needs_rehash(self, known: str) -> bool:
        """Tell whether the hash was made with other costs than today's."""
        return self._hasher.check_needs_rehash(known)

    @staticmethod
    def check_strength(password: str, username: str) -> None:
        """Refuse a password that is too short, too long, or little more than a name that everybody knows.

        Nothing is trimmed or cut, and there are no rules about kinds of characters. Raises `Problem` 422
        `weak_password`, with the rule's name in front of the sentence.
        """
        fault = _weakness(password, username)
        if fault is not None:
            raise Problem(422, "weak_password", f"password: {fault}", errors=[FieldError("/password", fault)])

    def close(self) -> None:
        """End the threads; who still waits is cancelled."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand work to the threads, for whoever has a place."""
        return self._pool.submit(work, *args, **kwargs)

    def hash_now(self, password: bytes) -> str:
        """Hash on this thread."""
        return self._hasher.hash(password)

    def _take(self) -> None:
        if not self._places.acquire(blocking=False):
            detail = "Too many people are signing in at this moment. Try again in a second."
            raise Problem(503, "busy", detail, headers={"retry-after": "1"})

    def matches(self, known: str | None, password: bytes) -> bool:
        """Compare on this thread."""
        try:
            return self._hasher.verify(known or self._dummy, password)
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError):
            # A damaged hash must not be told from a wrong password by the time it takes.
            return self.matches(None, password)

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._take()
        future = self._pool.submit(work, *args, **kwargs)
        # Also called when a waiting request goes away: its place is free again, and its work is not done.
        future.add_done_callback(lambda _: self._places.release())
        return await asyncio.wrap_future(future)


class Seat:
    """A place in the queue, for one password: whoever has one need not wait for another."""

    __slots__ = ("_password", "_passwords")

    def __init__(self, passwords: Passwords, password: bytes) -> None:
        self._passwords = passwords
        self._password = password

    async def verify(self, known: str | None) -> bool:
        """Tell whether the password is the one that was hashed."""
        return await asyncio.wrap_future(self._passwords.submit(self._passwords.matches, known, self._password))

    async def hash(self) -> str:
        """Hash the password anew."""
        return await asyncio.wrap_future(self._passwords.submit(self._passwords.hash_now, self._password))


def _weakness(password: str, username: str) -> str | None:
    size = len(_bytes(password))
    if size < MIN_BYTES:
        return f"too_short: at least {MIN_BYTES} bytes, that is {MIN_BYTES} plain letters; take several words"
    if size > MAX_BYTES:
        return f"too_long: at most {MAX_BYTES} bytes"
    folded = password.casefold()
    for word in (username.casefold(), *PRODUCT):
        rest = folded.replace(word, "")
        if len(rest) < (_OWN_CHARACTERS if len(word) >= _WORD else 1):
            return f"known_word: more of your own than {word!r}"
    common = common_part(password)
    return None if common is None else f"common: everybody tries {common!r} first; take several words"


def _bytes(password: str) -> bytes:
    # A command line may hand over bytes that are no text; they hash as well as any.
    return password.encode("utf-8", "surrogatepass")


def _unknown_password(time_cost: int, memory_kib: int, parallelism: int) -> str:
    """Make a hash that no password has, without hashing one: start-up need not wait for it."""
    salt, digest = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
    return f"$argon2id$v=19$m={memory_kib},t={time_cost},p={parallelism}${salt}${digest}"
