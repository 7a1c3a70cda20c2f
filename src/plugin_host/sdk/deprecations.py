"""The one list of what goes away: each name of the face with the version of the contract that removes it.

A name warns for at least one minor version before it is removed; `plugin-host check` tells authors where they use it.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Deprecation(NamedTuple):
    """A name that goes away.

    `name` is spelled as it is imported (`plugin_host.sdk.get_user`, or an attribute of such a name:
    `plugin_host.sdk.Listing.page_of`); `since` and `removed` are versions of the contract, `instead` what to use.
    """

    name: str
    since: str
    removed: str
    instead: str


DEPRECATED: Final[tuple[Deprecation, ...]] = ()
