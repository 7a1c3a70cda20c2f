"""What a plugin asks for, and what somebody approved of: approval is of a digest, so it can be given beforehand.

Asked for are permissions, `asks` (permissions of others that it uses on a person's behalf), public routes and
subscriptions to events. A plugin runs with what it asks for and was approved; the rest waits.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from plugin_host.sdk.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from plugin_host.plugins.plan import Found
    from plugin_host.sdk.manifest import PublicRoute


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A set of things asked for, by kind; each tuple is sorted. A public route is written `GET /hello`."""

    permissions: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()
    public: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, for people."""
        return (*self.permissions, *self.asks, *self.public, *self.subscribes)

    @property
    def digest(self) -> str:
        """SHA-256 of the set, in hexadecimal digits."""
        return hashlib.sha256(msgspec.json.encode(msgspec.to_builtins(self))).hexdigest()

    def __and__(self, other: Asked) -> Asked:
        return Asked(**{kind: _sorted(set(mine) & set(theirs)) for kind, mine, theirs in _pairs(self, other)})

    def __or__(self, other: Asked) -> Asked:
        return Asked(**{kind: _sorted({*mine, *theirs}) for kind, mine, theirs in _pairs(self, other)})

    def __sub__(self, other: Asked) -> Asked:
        return Asked(**{kind: _sorted(set(mine) - set(theirs)) for kind, mine, theirs in _pairs(self, other)})

    def __bool__(self) -> bool:
        return bool(self.names)


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the consent to one plugin.

    `approved` is None as long as the plugin never ran and nobody was asked. `ahead` are digests that were approved
    before the plugin ran with them; `awaiting` is what the last activation had to withhold.
    """

    approved: Asked | None = None
    ahead: tuple[str, ...] = ()
    awaiting: Asked = Asked()

    def granted(self, asked: Asked, beyond: Asked | None = None, *, by_default: bool) -> Asked | None:
        """Say which part of what it asks for the plugin may have; None: nobody was asked yet, so it may not run.

        `asked` is what its files say, `beyond` what its hooks add. `by_default`: a plugin that was never seen
        before gets what it asks for (`loader.default = "enable"`).
        """
        whole = asked if beyond is None else asked | beyond
        ahead = asked.digest in self.ahead
        if self.approved is None and by_default:
            return whole
        if self.approved is None and not ahead:
            return None
        approved = (self.approved or Asked()) & whole
        return approved | asked if ahead else approved

    def given(self, asked: Asked) -> Consent:
        """Give the consent after somebody approved of `asked`, and of what waits."""
        approved = None if self.approved is None else self.approved | self.awaiting
        return Consent(approved=approved, ahead=tuple(dict.fromkeys((*self.ahead, asked.digest))))

    def settled(self, asked: Asked, whole: Asked, granted: Asked) -> Consent:
        """Give the consent after an activation: `whole` is what files (`asked`) and hooks asked for together.

        Digests of versions that are still to come stay.
        """
        ahead = tuple(digest for digest in self.ahead if digest != asked.digest)
        return Consent(approved=granted, ahead=ahead, awaiting=whole - granted)


def asked_by(found: Found) -> Asked:
    """Say what a plugin asks for in its files."""
    manifest = found.manifest
    return Asked(
        permissions=_sorted(permission.name for permission in found.permissions.permissions),
        asks=_sorted(manifest.asks if manifest is not None else ()),
        public=_sorted(spell(route) for route in found.permissions.public),
        subscribes=_sorted(manifest.events.subscribes if manifest is not None else ()),
    )


def spell(route: PublicRoute) -> str:
    """Write a public route as people read it: `GET /hello`."""
    return f"{route.method} /{route.path.strip('/')}"


def required(plugin: str, asked: Asked) -> Reason:
    """Word why a plugin waits for its first consent."""
    wanted = f": {', '.join(asked.names)}" if asked else ""
    return Reason(
        code="consent_required",
        text=f"{plugin} was never run here, and asks for consent{wanted}.",
        culprits=(plugin,),
        way_out=f"Run plugin-host plugins consent {plugin}, or say yes on the Plugins page.",
    )


def _pairs(one: Asked, other: Asked) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    for kind in Asked.__struct_fields__:
        yield kind, getattr(one, kind), getattr(other, kind)


def _sorted(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))
