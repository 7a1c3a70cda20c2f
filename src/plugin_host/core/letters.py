"""What people are written, and where the links in it lead."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from plugin_host.sdk.services import MAIL

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.auth.links import Purpose
    from plugin_host.sdk.context import Services
    from plugin_host.settings import Settings

_PAGES: Final[dict[Purpose, str]] = {"invitation": "/login/invitation", "reset": "/login/reset"}


def link_to(settings: Settings, purpose: Purpose, token: str) -> str:
    """Give the address of the page where a one-time token is used, below the public address, never the request's.

    The token stands behind `#`: what stands there is in no server's log.
    """
    base = settings.public_url or f"http://{settings.server.host}:{settings.server.port}"
    return f"{base.rstrip('/')}{_PAGES[purpose]}#{token}"


class Letter(NamedTuple):
    """What somebody is written."""

    to: str | None
    subject: str
    text: str


async def send_letter(settings: Settings, services: Services, db: AsyncSession, letter: Letter) -> bool:
    """Send a letter with the transaction; tells whether there is a mail server, and an address that it takes.

    Without a server letters are written to the log, where nothing secret may stand: these are not.
    """
    if letter.to is None or settings.mail.host is None:
        return False
    try:
        await services.get(MAIL).send(db, letter.to, letter.subject, letter.text)
    except (LookupError, ValueError):
        return False
    return True
