"""Which account here is whose elsewhere: by issuer and subject together, and never by a mail address.

A provider may hand a mail address, or a name, to somebody else next year; a subject it may not.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKey, String, UniqueConstraint, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from plugin_host.auth.tables import Base, User
from plugin_host.sdk.errors import Problem
from plugin_host.sdk.models import object_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.auth.oidc.provider import Assertion


class Identity(Base):
    """Somebody at a provider, and whose account here that is. `email` is what it was when they were linked."""

    __tablename__ = "core_identity"

    id: Mapped[str] = object_id()
    user_id: Mapped[str] = mapped_column(ForeignKey("core_user.id", ondelete="CASCADE"), index=True)
    provider: Mapped[str] = mapped_column(String(31))
    issuer: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(255))
    email: Mapped[str | None] = mapped_column(String(254))
    created_at: Mapped[dt.datetime]
    used_at: Mapped[dt.datetime | None]

    __table_args__: Any = (UniqueConstraint("issuer", "subject"),)


async def find_user(session: AsyncSession, assertion: Assertion) -> User | None:
    """Give the account that was linked to this somebody, and note that it was used."""
    known = (Identity.issuer == assertion.issuer, Identity.subject == assertion.subject)
    user = (await session.scalars(select(User).join(Identity, Identity.user_id == User.id).where(*known))).one_or_none()
    if user is not None:
        await session.execute(update(Identity).where(*known).values(used_at=dt.datetime.now(dt.UTC)))
    return user


async def link(session: AsyncSession, user_id: str, provider: str, assertion: Assertion) -> Identity:
    """Link somebody at a provider to an account. Raises `Problem` 409 if they are linked to one."""
    identity = Identity(
        user_id=user_id,
        provider=provider,
        issuer=assertion.issuer,
        subject=assertion.subject,
        email=(assertion.email or "")[:254] or None,
        created_at=dt.datetime.now(dt.UTC),
    )
    session.add(identity)
    try:
        await session.flush()
    except IntegrityError as error:
        detail = "This account at the provider is linked to an account here already."
        raise Problem(409, "identity_linked", detail) from error
    return identity


async def list_identities(session: AsyncSession, user_id: str) -> Sequence[Identity]:
    """Give the links of an account, the oldest first."""
    mine = select(Identity).where(Identity.user_id == user_id).order_by(Identity.id)
    return (await session.scalars(mine)).all()


async def unlink(session: AsyncSession, user_id: str, identity_id: str) -> Identity | None:
    """Remove a link of that account; gives what it was, None if it has no such link."""
    identity = await session.get(Identity, identity_id)
    if identity is None or identity.user_id != user_id:
        return None
    await session.execute(delete(Identity).where(Identity.id == identity_id))
    return identity
