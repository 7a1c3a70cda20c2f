"""Letters: made, and handed to an SMTP server, or written to the log where there is none.

They are queued by whoever calls `send`, as jobs in the caller's transaction; that is the business of whoever makes the
`Post`. Here a letter is checked when it is queued, so that the caller learns what is wrong, and sent later.
"""

from __future__ import annotations

import logging
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final

import msgspec

from plugin_host.sdk.services import Mail

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.settings.mail import Mail as MailSettings

log = logging.getLogger("plugin_host.mail")

MAX_SUBJECT: Final = 200
MAX_TEXT: Final = 500_000
_ADDRESS: Final = re.compile(r"[^@\s,;:<>()\[\]\\\"\x00-\x1f\x7f]{1,64}@[^@\s,;:<>()\[\]\\\"\x00-\x1f\x7f]{1,190}\Z")
_SUBJECT: Final = re.compile(r"[\x00-\x1f\x7f]")


class Letter(msgspec.Struct, frozen=True):
    """A letter that is queued. `to` is an address, `user:<id>` or `role:<name>`."""

    to: str
    subject: str
    text: str


class Post(Mail):
    """Takes letters from plugins; `queue` keeps one in the caller's transaction."""

    def __init__(self, queue: Callable[[AsyncSession, Letter], Awaitable[Any]]) -> None:
        self._queue = queue

    async def send(self, db: AsyncSession, to: str, subject: str, text: str) -> None:
        """Queue a letter. Raises `ValueError` for a letter that cannot be sent."""
        await self._queue(db, check_letter(to, subject, text))


def check_letter(to: str, subject: str, text: str) -> Letter:
    """Hold a letter to what can be sent. Raises `ValueError`."""
    kind, _, name = to.partition(":")
    if not (kind in ("user", "role") and name and len(name) <= 120) and _ADDRESS.match(to) is None:  # noqa: PLR2004
        msg = f"a letter goes to an address, to 'user:<id>' or to 'role:<name>', not to {to!r:.100}"
        raise ValueError(msg)
    if not subject.strip() or len(subject) > MAX_SUBJECT or _SUBJECT.search(subject):
        msg = f"the subject is one line of 1 to {MAX_SUBJECT} characters, not {subject!r:.100}"
        raise ValueError(msg)
    if len(text) > MAX_TEXT:
        msg = f"a letter has at most {MAX_TEXT:,} characters, not {len(text):,}"
        raise ValueError(msg)
    return Letter(to, subject, text)


def is_address(to: str) -> bool:
    """Tell an address from a person or a role."""
    return _ADDRESS.match(to) is not None


def compose(letter: Letter, sender: str, number: str) -> EmailMessage:
    """Make the message; `number` is the same at every attempt, so that a repetition can be told."""
    message = EmailMessage()
    message["From"] = Address(addr_spec=sender) if is_address(sender) else sender
    message["To"] = Address(addr_spec=letter.to)
    message["Subject"] = letter.subject
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = f"<{number}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    return message


class Carrier:
    """Hands messages to the server of the settings."""

    def __init__(self, settings: MailSettings) -> None:
        self._settings = settings

    async def carry(self, letter: Letter, number: str) -> None:
        """Send a letter to an address. Raises what the server, or the way to it, says."""
        settings = self._settings
        if settings.host is None:
            log.info("no mail server is set; the letter to %s: %s\n%s", letter.to, letter.subject, letter.text)
            return
        try:
            import aiosmtplib  # noqa: PLC0415 - an extra
        except ImportError as error:
            msg = 'mail.host is set, but aiosmtplib is not installed: pip install "plugin-host[mail]"'
            raise RuntimeError(msg) from error
        await aiosmtplib.send(
            compose(letter, settings.sender, number),
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password,
            use_tls=settings.security == "tls",
            start_tls=settings.security == "starttls",
            timeout=settings.timeout,
        )
