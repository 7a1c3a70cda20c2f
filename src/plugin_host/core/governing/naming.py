"""People and groups by the names that operators know them by."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from plugin_host.access.tables import Group
from plugin_host.auth.tables import User
from plugin_host.sdk.errors import FieldError, Problem

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.auth.people import People


async def named_user(db: AsyncSession, people: People, said: str) -> User:
    """Give a user by user name, or by id. Raises `Problem` 404."""
    user = await people.by_name(db, said) or await people.by_id(db, said)
    if user is None:
        raise Problem(404, "not_found", f"There is no user {said[:200]!r}.")
    return user


async def named_group(db: AsyncSession, said: str) -> Group:
    """Give a group by name, or by id. Raises `Problem` 404."""
    folded = unicodedata.normalize("NFKC", said.strip()).casefold()
    group = (await db.scalars(select(Group).where(or_(Group.name_key == folded, Group.id == said)))).first()
    if group is None:
        raise Problem(404, "not_found", f"There is no group {said[:200]!r}.")
    return group


class Names:
    """The names of people and groups, by their ids."""

    def __init__(self, users: dict[str, str], groups: dict[str, str]) -> None:
        self.users = users
        self.groups = groups
        self._user_ids = {name: user_id for user_id, name in users.items()}
        self._group_ids = {name: group_id for group_id, name in groups.items()}

    @classmethod
    async def read(cls, db: AsyncSession) -> Names:
        """Read them all."""
        users = await db.execute(select(User.id, User.username))
        groups = await db.execute(select(Group.id, Group.name))
        return cls({each.id: each.username for each in users}, {each.id: each.name for each in groups})

    def portable(self, subject: str) -> str:
        """Give a subject by name; one that is gone stays as it is."""
        kind, _, key = subject.partition(":")
        known = {"user": self.users, "group": self.groups}.get(kind, {})
        return f"{kind}:{known.get(key, key)}"

    def own(self, subject: str) -> str:
        """Give a subject of the file by id; whether it is there at all is looked at later."""
        kind, _, name = subject.partition(":")
        known = {"user": self._user_ids, "group": self._group_ids}.get(kind, {})
        return f"{kind}:{known.get(name, name)}"

    def user_id(self, name: str, pointer: str) -> str:
        """Give the id of a user name; `pointer` is where in the file it stands. Raises `Problem` 422."""
        found = self._user_ids.get(name)
        if found is None:
            detail = f"there is no user {name[:64]!r}"
            raise Problem(422, "invalid", detail, errors=[FieldError(pointer, detail)])
        return found
