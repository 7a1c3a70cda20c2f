"""What people, applications and machines sign in with, put together from the settings; without the web stack."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from plugin_host.access.members import memberships_of
from plugin_host.auth.access_tokens import AccessTokens
from plugin_host.auth.api_tokens import ApiTokens
from plugin_host.auth.keys import KeyRing
from plugin_host.auth.principals import Principals
from plugin_host.auth.refreshing import Refreshing
from plugin_host.auth.sessions import Sessions
from plugin_host.auth.vault import Vault
from plugin_host.core.signing_in import SignIn

if TYPE_CHECKING:
    from plugin_host.database import Database
    from plugin_host.settings import Settings

NAME = "plugin-host"
"""The issuer of access tokens where no public address is set."""


class Credentials:
    """Sessions, tokens and keys of one host."""

    def __init__(self, settings: Settings, database: Database) -> None:
        auth = settings.auth
        https = (settings.public_url or "").startswith("https:")
        idle, app_idle = dt.timedelta(seconds=auth.session_idle), dt.timedelta(seconds=auth.app_idle)
        self.vault = Vault(settings.secret_key, Path(settings.data_dir))
        self.ring = KeyRing(
            database,
            self.vault,
            algorithm=auth.algorithm,
            token_life=auth.access_token,
            rotation=auth.key_rotation,
        )
        self.access_tokens = AccessTokens(self.ring, issuer=settings.public_url or NAME, life=auth.access_token)
        self.api_tokens = ApiTokens(max_life=dt.timedelta(seconds=auth.token_life))
        self.refreshing = Refreshing(self.vault, idle=app_idle, grace=auth.refresh_grace)
        self.sessions = Sessions(
            idle=idle,
            absolute=dt.timedelta(seconds=auth.session_absolute),
            app_absolute=dt.timedelta(seconds=auth.app_absolute),
            https=https,
        )
        self.principals = Principals(
            database,
            memberships_of=memberships_of,
            access_tokens=self.access_tokens,
            idle=idle,
            app_idle=app_idle,
            https=https,
        )
        self.sign_in = SignIn(database, self.sessions, self.access_tokens, self.refreshing, self.api_tokens)
