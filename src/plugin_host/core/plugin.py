"""The built-in plugin `core`: builds the host's services and registers them through the same hooks.

Third-party plugins see abstract classes of the sdk; core is handed the concrete services here. The hooks are
the same door, the keys differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from plugin_host.access.members import count_holders, roles_of, set_roles
from plugin_host.auth.passwords import Passwords
from plugin_host.auth.people import People
from plugin_host.auth.principals import Principals
from plugin_host.auth.sessions import Sessions
from plugin_host.auth.setup import Setup
from plugin_host.core.api.auth import auth_routes
from plugin_host.core.api.plugins import plugin_routes
from plugin_host.core.api.shell import shell_routes
from plugin_host.core.api.users import user_routes
from plugin_host.sdk.contributions import Service
from plugin_host.sdk.hookspecs import hookimpl
from plugin_host.sdk.services import USERS
from plugin_host.shell.page import Page

if TYPE_CHECKING:
    from plugin_host.core.standing import HostView
    from plugin_host.database import Database
    from plugin_host.sdk.context import Users
    from plugin_host.settings import Settings

FOLDER: Final = Path(__file__).parent
