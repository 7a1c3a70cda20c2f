"""The operator at the command line, as an actor: the system's own rights, under the name of their account."""

from __future__ import annotations

import getpass

import msgspec

from plugin_host.sdk.context import SYSTEM, Actor


def operator() -> Actor:
    """Give the actor that commands act as; its user name is the account of the machine that runs the command."""
    return msgspec.structs.replace(SYSTEM, username=account() or SYSTEM.username)


def account() -> str:
    """Name the account that this process runs under; empty for a container's user without a name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return ""
