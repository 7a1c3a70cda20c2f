"""Settings: a frozen value that is handed down, never a global.

`Settings()` is all defaults and reads nothing; `Settings.load()` reads plugin-host.toml, then the
`PLUGIN_HOST_…` variables.
"""

from __future__ import annotations

from plugin_host.settings.auth import Argon2, Auth
from plugin_host.settings.databases import OwnDatabase, Pool
from plugin_host.settings.events import Events
from plugin_host.settings.mail import Mail
from plugin_host.settings.rates import Rates
from plugin_host.settings.reading import SettingsError
from plugin_host.settings.schema import (
    Limits,
    Loader,
    Migrations,
    Remote,
    SettingRow,
    Settings,
    Theme,
    describe_settings,
    show_settings,
)
from plugin_host.settings.server import Server

__all__ = [
    "Argon2",
    "Auth",
    "Events",
    "Limits",
    "Loader",
    "Mail",
    "Migrations",
    "OwnDatabase",
    "Pool",
    "Rates",
    "Remote",
    "Server",
    "SettingRow",
    "Settings",
    "SettingsError",
    "Theme",
    "describe_settings",
    "show_settings",
]
