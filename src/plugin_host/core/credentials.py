"""What people, applications and machines sign in with, put together from the settings; without the web stack."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from plugin_host.access.members import memberships_of
from plugin_host.auth.access_tokens import AccessTokens
from plugin_host.auth.api_tokens import ApiTokens
from plugin_host.auth.factors import Factors
from plugin_host.auth.keys import KeyRing
from plugin_host.auth.links import Links
from plugin_host.auth.passwords import Passwords
from plugin_host.auth.people import People
from plugin_host.auth.principals import Principals
from plugin_host.auth.refreshing import Refreshing
from plugin_host.auth.sessions import Sessions
from plugin_host.auth.setup import ADMIN
from plugin_host.auth.vault import Vault
from plugin_host.auth.waits import Waits
from plugin_host.core.auditing import Auditing
from plugin_host.core.looking_after import LookingAfter
from plugin_host.core.proving import Proving
from plugin_host.core.signing_in import SignIn

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugin_host.database import Database
    from plugin_host.sdk.context import Actor
    from plugin_host.settings import Settings

NAME: Final = "plugin-host"
"""The issuer of access tokens where no public address is set."""


class Credentials:
    """People, and the sessions, tokens and keys of one host."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        *,
        passwords: Passwords | None = None,
        auditing: Auditing | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        auth = settings.auth
        https = (settings.public_url or "").startswith("https:")
        idle, app_idle = dt.timedelta(seconds=auth.session_idle), dt.timedelta(seconds=auth.app_idle)
        self._database = database
        self._mfa = auth.mfa
        cost = auth.argon2
        self.passwords = passwords or Passwords(cost.time_cost, cost.memory_kib, cost.parallelism)
        self.people = People(database)
        self.auditing = auditing or Auditing(database)
        self.vault = Vault(settings.secret_key, Path(settings.data_dir))
        self.ring = KeyRing(
            database,
            self.vault,
            algorithm=auth.algorithm,
            token_life=auth.access_token,
            rotation=auth.key_rotation,
            clock=clock,
        )
        issuer = settings.public_url or NAME
        self.access_tokens = AccessTokens(self.ring, issuer=issuer, life=auth.access_token, clock=clock)
        self.api_tokens = ApiTokens(max_life=dt.timedelta(seconds=auth.token_life), clock=clock)
        self.refreshing = Refreshing(self.vault, idle=app_idle, grace=auth.refresh_grace, clock=clock)
        self.sessions = Sessions(
            idle=idle,
            absolute=dt.timedelta(seconds=auth.session_absolute),
            app_absolute=dt.timedelta(seconds=auth.app_absolute),
            https=https,
            clock=clock,
        )
        self.links = Links(database, clock)
        self.factors = Factors(self.vault, issuer=settings.theme.name, clock=clock)
        self.waits = Waits(database, clock)
        self.desk = LookingAfter(settings, self.people, self.sessions, self.links, self.factors)
        self.sign_in = SignIn(database, self.sessions, self.access_tokens, self.refreshing, self.api_tokens)
        self.proving = Proving(
            self.vault,
            passwords=self.passwords,
            people=self.people,
            factors=self.factors,
            waits=self.waits,
            auditing=self.auditing,
        )
        self.principals = Principals(
            database,
            memberships_of=memberships_of,
            access_tokens=self.access_tokens,
            idle=idle,
            app_idle=app_idle,
            https=https,
            clock=clock,
        )

    def factor_required(self, actor: Actor) -> bool:
        """Tell whether somebody must have a second factor, by `auth.mfa`. Machines have none."""
        if self._mfa == "optional" or actor.credential not in ("session", "access", "personal"):
            return False
        return self._mfa == "all" or ADMIN in actor.roles

    async def tend(self) -> None:
        """Do what is to be done now and then: publish the next key in time, forget what has ended."""
        await self.ring.tend()
        unit = self._database.unit()
        try:
            await self.links.forget(unit.session)
            await self.waits.forget(unit.session)
            await unit.commit()
        finally:
            await unit.close()
