"""Signing in without passwords: a request says who sends it, with which roles. For tests, and for nothing else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from plugin_host.sdk import Identity, UserRecord, Users

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

HEADER: Final = "x-test-user"


class TestUsers(Users):
    """Believes what the header says, which `client_for` writes; knows whoever was signed in once.

    `PluginHost(settings, users=TestUsers())`.
    """

    __test__ = False  # pytest would take it for a test, by its name

    def __init__(self) -> None:
        self._known: dict[str, UserRecord] = {}

    def add(self, user: str, display: str | None = None) -> None:
        """Make somebody known; `display` is the name that people read, their id with a capital if it is left out."""
        self._known[user] = UserRecord(user, (display or user).lower(), display or user.title())

    def header(self, user: str, roles: Iterable[str]) -> dict[str, str]:
        """Write the header of somebody, who is known from then on."""
        if user not in self._known:
            self.add(user)
        return {HEADER: json.dumps({"user": user, "roles": list(roles)})}

    async def authenticate(self, connection: Any) -> Identity | None:
        """Give whoever the header names."""
        said = connection.headers.get(HEADER)
        if said is None:
            return None
        told = json.loads(said)
        known = self._known[told["user"]]
        return Identity(id=known.id, username=known.username, display=known.display, roles=tuple(told["roles"]))

    async def get(self, ids: Sequence[str]) -> Mapping[str, UserRecord]:
        """Give those that were signed in once."""
        return {user: self._known[user] for user in ids if user in self._known}

    async def search(self, text: str, limit: int = 20) -> Sequence[UserRecord]:
        """Find by a part of the name."""
        return [user for user in self._known.values() if text.lower() in user.username][:limit]
