"""People: their accounts, and how plugins look them up.

User names are compared folded: `Ann` and `ANN`, in wide letters too, are one person. Functions take the
caller's session first; look-ups without one open a short transaction of their own, because nobody may hold
one while a password is hashed.
"""

from __future__ import annotations

import datetime as dt
import unicodedata
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import func, or_, select
from sqlalchemy.exc import IntegrityError

from plugin_host.auth.tables import User
from plugin_host.database import bump
from plugin_host.sdk.context import UserRecord, Users
from plugin_host.sdk.errors import FieldError, Problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.database import Database

ACTIVE: Final = "active"
DISABLED: Final = "disabled"
MAX_USERNAME: Final = 64
MAX_TYPED: Final = 1024
MAX_DISPLAY: Final = 200
MAX_EMAIL: Final = 254
MAX_FOUND: Final = 100
_AT_ONCE: Final = 500  # parameters of one statement


class Profile(NamedTuple):
    """What a person is called, checked."""

    username: str
    display: str
    email: str | None


class Credentials(NamedTuple):
    """What signing in needs to know of an account."""

    user_id: str
    password_hash: str | None
    active: bool


class People(Users):
    """The accounts of this host; as `Users` it is what plugins get by `USERS`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- for signing in and looking after people -----------------------------------------------------

    async def create(
        self, session: AsyncSession, profile: Profile, password_hash: str | None, *, kind: str = "person"
    ) -> User:
        """Add a person or, as `kind`, a `service`. Raises `Problem` 409 `username_taken`."""
        user = User(
            username=profile.username,
            username_key=fold(profile.username),
            display=profile.display,
            email=profile.email,
            status=ACTIVE,
            password_hash=password_hash,
            created_at=dt.datetime.now(dt.UTC),
            kind=kind,
            mfa=False,
        )
        session.add(user)
        try:
            await session.flush()
        except IntegrityError as error:
            detail = f"there is already a user {profile.username!r}; case and width of letters make no difference"
            raise Problem(409, "username_taken", detail, errors=[FieldError("/username", detail)]) from error
        return user

    async def by_id(self, session: AsyncSession, user_id: str) -> User | None:
        """Load somebody by id."""
        return await session.get(User, user_id)

    async def by_name(self, session: AsyncSession, username: str) -> User | None:
        """Load somebody by user name, as anybody might write it."""
        if len(username) > MAX_TYPED:  # nobody's name, and not worth the folding
            return None
        return (await session.scalars(select(User).where(User.username_key == fold(username)))).one_or_none()

    async def by_contact(self, session: AsyncSession, text: str) -> User | None:
        """Find an active person by user name, or by a mail address that only one of them has."""
        user = await self.by_name(session, text)
        if user is not None:
            return user if user.status == ACTIVE else None
        if "@" not in text or len(text) > MAX_EMAIL:
            return None
        same = select(User).where(func.lower(User.email) == text.strip().lower(), User.status == ACTIVE).limit(2)
        found = (await session.scalars(same)).all()
        return found[0] if len(found) == 1 else None

    def statement(self) -> Select[User]:
        """Select everybody, for a list."""
        return select(User)

    async def credentials(self, username: str) -> Credentials | None:
        """Look up what signing in needs, in a transaction that has ended when this returns."""
        unit = self._database.unit(write=False)
        try:
            user = await self.by_name(unit.session, username)
        finally:
            await unit.close()
        return None if user is None else Credentials(user.id, user.password_hash, user.status == ACTIVE)

    async def lock(self, session: AsyncSession, known: Credentials) -> User | None:
        """Load an account for signing in, if nothing has changed since `known` was looked up.

        The password was verified outside of any transaction: meanwhile the account may have been disabled.
        """
        user = await session.get(User, known.user_id, with_for_update=True)
        same = user is not None and user.status == ACTIVE and user.password_hash == known.password_hash
        return user if same else None

    async def rename(self, session: AsyncSession, user: User, display: str, email: str | None) -> None:
        """Change what somebody is called; raises the `auth` revision, for actors carry the display name."""
        user.display = display
        user.email = email
        await bump(session, "auth")

    async def set_status(self, session: AsyncSession, user: User, status: str) -> None:
        """Make somebody `active` or `disabled`; holds at the next request. Their sessions are the caller's."""
        user.status = status
        await bump(session, "auth")

    async def set_password(self, session: AsyncSession, user: User, password_hash: str) -> None:
        """Keep a new password. The sessions that the old one began are the caller's to end."""
        user.password_hash = password_hash
        await session.flush()

    async def delete(self, session: AsyncSession, user: User) -> None:
        """Delete somebody and all their sessions."""
        await session.delete(user)
        await session.flush()
        await bump(session, "auth")

    # -- for plugins ---------------------------------------------------------------------------------

    async def get(self, ids: Sequence[str]) -> Mapping[str, UserRecord]:
        """Give the users of these ids that exist, also disabled ones: what they own is still theirs."""
        found: dict[str, UserRecord] = {}
        for start in range(0, len(ids), _AT_ONCE):
            few = ids[start : start + _AT_ONCE]
            for record in await self._records(_RECORDS.where(User.id.in_(few))):
                found[record.id] = record
        return found

    async def search(self, text: str, limit: int = 20) -> Sequence[UserRecord]:
        """Find active users whose user name or display name contains the text: at most `limit`, and 100."""
        matches = or_(
            User.username_key.contains(fold(text), autoescape=True), User.display.icontains(text, autoescape=True)
        )
        statement = _RECORDS.where(User.status == ACTIVE, matches).order_by(User.username_key)
        return await self._records(statement.limit(max(0, min(limit, MAX_FOUND))))

    async def _records(self, statement: Select[str, str, str]) -> list[UserRecord]:
        unit = self._database.unit(write=False)
        try:
            return [UserRecord(*row) for row in await unit.session.execute(statement)]
        finally:
            await unit.close()


_RECORDS: Final = select(User.id, User.username, User.display)


def fold(username: str) -> str:
    """Give what user names are compared by: Unicode's identifier caseless form (UAX 31)."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", username).casefold())
    return unicodedata.normalize("NFKC", folded.casefold())


def check_profile(username: str, display: str | None = None, email: str | None = None) -> Profile:
    """Check what a new person is to be called; without a display name it is the user name.

    Raises `Problem` 422 `invalid` that names every wrong field.
    """
    name = unicodedata.normalize("NFKC", username)
    shown = name if display is None else display.strip()
    mail = email.strip() if email else None
    wrong = {"username": _username_fault(name), "display": _display_fault(shown), "email": _email_fault(mail)}
    if display is None:
        del wrong["display"]  # it is the user name's fault, said once
    _refuse(wrong)
    return Profile(name, shown, mail)


def check_names(display: str, email: str | None) -> tuple[str, str | None]:
    """Check new names of somebody who has an account. Raises `Problem` 422 `invalid`."""
    shown = display.strip()
    mail = email.strip() if email else None
    _refuse({"display": _display_fault(shown), "email": _email_fault(mail)})
    return shown, mail


def _refuse(wrong: Mapping[str, str | None]) -> None:
    errors = [FieldError(f"/{field}", fault) for field, fault in wrong.items() if fault is not None]
    if errors:
        detail = "; ".join(f"{error.pointer[1:]}: {error.detail}" for error in errors)
        raise Problem(422, "invalid", detail, errors=errors)


def _username_fault(name: str) -> str | None:
    if not 1 <= len(name) <= MAX_USERNAME:
        return f"1 to {MAX_USERNAME} characters"
    if name != name.strip():
        return "no spaces at its ends"
    if _unseen(name):
        return "no control or invisible characters"
    return None


def _display_fault(shown: str) -> str | None:
    if not 1 <= len(shown) <= MAX_DISPLAY:
        return f"1 to {MAX_DISPLAY} characters"
    return "no control characters" if _unseen(shown, "Cc", "Cs") else None


def _email_fault(mail: str | None) -> str | None:
    if mail is None:
        return None
    name, _, host = mail.rpartition("@")
    fine = name and host and len(mail) <= MAX_EMAIL and not any(c.isspace() for c in mail) and not _unseen(mail)
    return None if fine else f"a mail address like ann@example.org, at most {MAX_EMAIL} characters"


def _unseen(text: str, *kinds: str) -> bool:
    """Tell whether there is a character that cannot be seen: with it two names would look like one."""
    kinds = kinds or ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
    return any(unicodedata.category(character) in kinds for character in text)
