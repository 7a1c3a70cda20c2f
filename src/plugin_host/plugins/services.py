"""The services that plugins offer each other, each seen only by those who declared that they need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from plugin_host.sdk.context import Services
from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from collections.abc import Collection

    from plugin_host.sdk.contributions import Service, ServiceKey

T = TypeVar("T")


class Offers:
    """What is offered, by key name. One for each host; emptied of a plugin when it stops."""

    def __init__(self) -> None:
        self._offers: dict[str, tuple[str, Service[Any]]] = {}

    def add(self, plugin: str, service: Service[Any]) -> None:
        """Take an offer; raises `PluginFault` if the name is not the plugin's own, or was offered twice."""
        name = service.key.name
        if name.partition(".")[0] != plugin:
            raise PluginFault(
                Reason(
                    code="hook_invalid",
                    text=f"register_services of {plugin} offers {name!r}: its services' names begin with '{plugin}.'.",
                    culprits=(plugin,),
                    way_out=f"Rename the key to {plugin}.{name.rpartition('.')[2]}.",
                )
            )
        if name in self._offers:
            raise PluginFault(
                Reason(
                    code="name_clash",
                    text=f"register_services of {plugin} offers {name!r} twice.",
                    culprits=(plugin,),
                    way_out="Offer each key once.",
                )
            )
        self._offers[name] = (plugin, service)

    def withdraw(self, plugin: str) -> None:
        """Forget the offers of a plugin that stopped."""
        self._offers = {name: offer for name, offer in self._offers.items() if offer[0] != plugin}

    def seen_by(self, plugin: str, declared: Collection[str]) -> Services:
        """Give the door for one plugin: it sees core, itself, and the plugins it declared to need."""
        return _Door(self, plugin, frozenset({"core", plugin, *declared}))

    def everything(self) -> Services:
        """Give the door for the embedding application: it sees all."""
        return _Door(self, "the application", None)

    def find(self, name: str) -> tuple[str, Service[Any]] | None:
        """Give the owner and the offer of a key name."""
        return self._offers.get(name)


class _Door(Services):
    def __init__(self, offers: Offers, caller: str, seen: frozenset[str] | None) -> None:
        self._offers = offers
        self._caller = caller
        self._seen = seen

    def get(self, key: ServiceKey[T]) -> T:
        owner = key.name.partition(".")[0]
        if self._seen is not None and owner not in self._seen:
            msg = (
                f"{self._caller} asks for service {key.name!r} but does not require {owner!r}: "
                "add it to requires or optional in plugin.json"
            )
            raise LookupError(msg)
        offer = self._offers.find(key.name)
        if offer is None:
            msg = f"{self._caller} asks for service {key.name!r}: {owner!r} is not active, or does not offer it"
            raise LookupError(msg)
        service = offer[1]
        if service.key.version != key.version:
            msg = (
                f"{self._caller} asks for version {key.version} of service {key.name!r}; "
                f"{owner!r} offers version {service.key.version}: install matching versions of both"
            )
            raise LookupError(msg)
        found: T = service.obj
        return found
