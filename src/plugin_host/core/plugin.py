"""The built-in plugin `core`: builds the host's services and registers them through the same hooks.

Third-party plugins see abstract classes of the sdk; core is handed the concrete services here. The hooks are
the same door, the keys differ.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from plugin_host.access.members import count_holders
from plugin_host.auth.setup import Setup
from plugin_host.core.accounts import Accounts
from plugin_host.core.api.access import access_routes
from plugin_host.core.api.account import account_routes, link_routes
from plugin_host.core.api.audit import audit_routes
from plugin_host.core.api.auth import auth_routes, me_route
from plugin_host.core.api.changes import change_routes
from plugin_host.core.api.events import event_routes
from plugin_host.core.api.grants import grant_routes
from plugin_host.core.api.groups import group_routes
from plugin_host.core.api.mfa import mfa_routes
from plugin_host.core.api.migrations import migration_routes
from plugin_host.core.api.oauth import oauth_routes
from plugin_host.core.api.oidc import oidc_routes
from plugin_host.core.api.openapi import openapi_routes
from plugin_host.core.api.plugins import plugin_routes
from plugin_host.core.api.policy import Grounds
from plugin_host.core.api.roles import role_routes
from plugin_host.core.api.rules import rule_routes
from plugin_host.core.api.sessions import session_routes
from plugin_host.core.api.shell import shell_routes
from plugin_host.core.api.tokens import service_token_routes, token_routes
from plugin_host.core.api.users import user_routes
from plugin_host.core.auditing import Auditing
from plugin_host.core.openapi import Documents
from plugin_host.core.provider_sign_in import ProviderSignIn
from plugin_host.core.screens import Screens
from plugin_host.sdk.contributions import Job, Service
from plugin_host.sdk.hookspecs import hookimpl
from plugin_host.sdk.services import FILES, MAIL, USERS
from plugin_host.shell.assets import Assets
from plugin_host.shell.page import Page
from plugin_host.shell.stripping import strip

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from plugin_host.core.standing import HostView
    from plugin_host.database import Database
    from plugin_host.sdk.context import Actor, Users
    from plugin_host.settings import Settings

TEND_EVERY: Final = 3600.0
"""Seconds between two looks at keys and tokens."""
STATIC: Final = Path(__file__).parent.parent / "shell" / "static"

log = logging.getLogger("plugin_host")


class Core:
    """The host's own services. `users` are those of an embedding application: then core signs nobody in."""

    def __init__(self, settings: Settings, database: Database, users: Users | None) -> None:
        self.settings = settings
        self.database = database
        self.users = users
        self.setup_required = users is None
        self.auditing = Auditing(database, settings.audit.keep_days)
        self.accounts = Accounts(settings, database, self.auditing)
        self.passwords = self.accounts.passwords
        self.people = self.accounts.people
        self.credentials = self.accounts.credentials
        self.sessions = self.credentials.sessions
        self.principals = self.credentials.principals
        self.sign_in = self.credentials.sign_in
        self.providers = ProviderSignIn(
            settings,
            database,
            vault=self.credentials.vault,
            people=self.people,
            sign_in=self.sign_in,
            auditing=self.auditing,
        )
        self.page = Page(Assets.scan("core", STATIC, prepare=strip), msgspec.to_builtins(settings.theme))
        self._announce: Callable[[str], None] = _log_code
        self.setup = Setup(database, count_holders=count_holders, announce=self._tell)

    def _tell(self, code: str) -> None:
        self._announce(code)  # whichever way is the one by then

    async def setup_needed(self) -> bool:
        """Tell whether there is no administrator yet; `setup_required` is the answer to the last such question."""
        if self.setup_required:
            unit = self.database.unit(write=False)
            try:
                self.setup_required = await self.setup.needed(unit.session)
            finally:
                await unit.close()
        return self.setup_required

    async def setup_code(self, announce: Callable[[str], None] | None = None) -> str | None:
        """Make a new one-time code if there is no administrator; `announce` prints those that replace it."""
        if announce is not None:
            self._announce = announce
        return await self.setup.code() if await self.setup_needed() else None

    @contextlib.asynccontextmanager
    async def tending(self) -> AsyncIterator[None]:
        """Look after keys and what has ended, again and again, until the end of the block."""
        if self.users is not None:
            yield
            return
        task = asyncio.create_task(self._tend(), name="plugin-host looks after keys and tokens")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _tend(self) -> None:
        while True:
            await asyncio.sleep(TEND_EVERY)
            try:
                await self.credentials.tend()
            except Exception:
                log.exception("keys and tokens could not be looked after; trying again later")

    async def close(self) -> None:
        """End what was begun: the password threads, and writes under way."""
        await self.principals.close()
        await self.providers.close()
        self.accounts.close()


def _log_code(code: str) -> None:
    log.warning("Set-up code: %s", code)


class CorePlugin:
    """The hooks of core."""

    def __init__(self, core: Core, host: HostView) -> None:
        self._core = core
        self._host = host

    @hookimpl
    def register_services(self) -> list[Service[Any]]:
        """Offer the look-up of people (core's own, or the embedding application's), letters, and files."""
        background = self._host.background
        return [
            Service(USERS, self._core.users or self._core.people),
            Service(MAIL, background.post),
            Service(FILES, background.files),
        ]

    @hookimpl
    def register_jobs(self) -> list[Job]:
        """Send letters, and tidy up."""
        return self._host.background.jobs()

    @hookimpl
    def register_routes(self) -> list[Any]:
        """Offer what stands under /api/core; sign-in and users only where core signs people in."""
        host, core = self._host, self._core
        documents = Documents(host)
        grounds = Grounds(host, core.users or core.people)
        routes = [
            *shell_routes(host, Screens(host, documents), core.providers.titles),
            *plugin_routes(host),
            *migration_routes(host),
            *role_routes(host, grounds),
            *rule_routes(host, grounds),
            *grant_routes(host, grounds),
            *access_routes(host, grounds, core.users or core.people),
            *openapi_routes(documents),
            *change_routes(host, core.page.assets.hash),
            *audit_routes(),
            *event_routes(host.desk),
        ]

        def held(actor: Actor) -> list[str]:
            return host.standing.held(actor)  # of what stands then

        if core.users is not None:
            return [*routes, me_route(held)]
        return [
            *routes,
            *auth_routes(core.credentials, core.setup, held),
            *oauth_routes(core.sign_in),
            *oidc_routes(core.settings, core.providers),
            *account_routes(core.settings, core.credentials),
            *link_routes(core.settings, core.credentials),
            *mfa_routes(core.settings, core.credentials),
            *session_routes(core.sessions),
            *token_routes(
                settings=core.settings,
                tokens=core.credentials.api_tokens,
                held=held,
            ),
            *service_token_routes(
                settings=core.settings,
                tokens=core.credentials.api_tokens,
                people=core.people,
                ground=grounds.now,
            ),
            *group_routes(host, grounds),
            *user_routes(
                settings=core.settings,
                passwords=core.passwords,
                people=core.people,
                desk=core.credentials.desk,
                ground=grounds.now,
            ),
        ]
