"""plugin-host: let an application grow by plugins. `PluginHost` runs them, `Settings` says how.

Plugins import from `plugin_host.sdk`; everything else is the host's own.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plugin_host.host import PluginHost as PluginHost
    from plugin_host.settings import Settings as Settings

    __version__: str

__all__ = ["PluginHost", "Settings", "__version__"]

_MODULE = {"PluginHost": "plugin_host.host", "Settings": "plugin_host.settings"}


def __getattr__(name: str) -> Any:
    """Load what is asked for: `plugin-host --version` must not pay for the web stack."""
    if name == "__version__":
        try:
            value: Any = version("plugin-host")
        except PackageNotFoundError:  # run from a source folder that is not installed
            value = "0+unknown"
    elif name in _MODULE:
        value = getattr(import_module(_MODULE[name]), name)
    else:
        msg = f"plugin_host has no {name!r}"
        raise AttributeError(msg)
    globals()[name] = value
    return value
