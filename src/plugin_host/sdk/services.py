"""The services of core, by key."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Final

from plugin_host.sdk.context import Users
from plugin_host.sdk.contributions import ServiceKey

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.sdk.context import Access


class Mail(ABC):
    """Letters, queued in the caller's transaction."""

    @abstractmethod
    async def send(self, db: AsyncSession, to: str, subject: str, text: str) -> None:
        """Send when the transaction has been committed; what is rolled back is not sent.

        `to` is an address, `user:<id>` (the person's own), or `role:<name>` (each of those who have the role). Raises
        `ValueError` for what is none of them, for a subject of several lines, and for more than 500,000 characters.
        """


class Files(ABC):
    """Files kept by content, put inside the caller's transaction."""

    @abstractmethod
    async def put(self, db: AsyncSession, name: str, content: bytes) -> str:
        """Keep the content and give its key: 26 characters. Undone with the transaction."""

    @abstractmethod
    async def get(self, db: AsyncSession, key: str) -> bytes:
        """Give the content back, or raise `LookupError`."""

    @abstractmethod
    async def remove(self, db: AsyncSession, key: str) -> None:
        """Forget a file, or raise `LookupError`. Its content goes once nobody has the same."""

    @abstractmethod
    async def download(
        self,
        db: AsyncSession,
        key: str,
        *,
        access: Access,
        permission: str,
        obj: object | None = None,
        name: str | None = None,
    ) -> Any:
        """Give the answer with which a route sends a file, after asking whether the actor may (`access.require`).

        It is always saved and never shown: no browser guesses its type or runs what is in it. `name` is what it is
        saved as, without it the name that it was put under. Raises `LookupError` for a key that is not there.
        """


USERS: Final = ServiceKey[Users]("core.users", 1)
MAIL: Final = ServiceKey[Mail]("core.mail", 1)
FILES: Final = ServiceKey[Files]("core.files", 1)
