"""The services of core, by key."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from plugin_host.sdk.context import Users
from plugin_host.sdk.contributions import ServiceKey

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession


class Mail(ABC):
    """Letters, queued in the caller's transaction."""

    @abstractmethod
    async def send(self, db: AsyncSession, to: str, subject: str, text: str) -> None:
        """Send when the transaction has been committed."""


class Files(ABC):
    """Files kept by content, put inside the caller's transaction."""

    @abstractmethod
    async def put(self, db: AsyncSession, name: str, content: bytes) -> str:
        """Keep the content and give its key."""

    @abstractmethod
    async def get(self, db: AsyncSession, key: str) -> bytes:
        """Give the content back, or raise `LookupError`."""


USERS: Final = ServiceKey[Users]("core.users", 1)
MAIL: Final = ServiceKey[Mail]("core.mail", 1)
FILES: Final = ServiceKey[Files]("core.files", 1)
