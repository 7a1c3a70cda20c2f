"""What the page needs: the person, what they may do, and the menu and screens that follow from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugin_host.menu import visible
from plugin_host.sdk.context import Actor
from plugin_host.sdk.routing import get
from plugin_host.shell.screens import visible_slots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from plugin_host.core.screens import Screens
    from plugin_host.core.standing import HostView, Standing
    from plugin_host.shell.screens import PlacedScreen, PlacedSlot


def shell_routes(host: HostView, screens: Screens, providers: Callable[[], Mapping[str, str]]) -> list[Any]:
    """Make the handlers that the shell asks; `providers` gives the titles of other ways to sign in, by name."""

    @get("/shell", permission="public")
    async def shell(actor: Actor) -> dict[str, Any]:
        """Answer everything the page needs in one round trip."""
        standing = host.standing
        return {
            "user": person(actor),
            "permissions": standing.held(actor),
            "menu": menu_of(standing, actor),
            "screens": await screens.visible(lambda name: standing.may(actor, name)),
            "slots": visible_slots(standing.slots, lambda name: standing.may(actor, name)),
            "theme": host.settings.theme,
            "contract": 1,
            "plugins": _plugins(standing, actor),
            "setup_required": host.setup_required,
            **_ways_in(host, actor, providers()),
        }

    @get("/menu", permission="public")
    async def menu(actor: Actor) -> dict[str, Any]:
        """Answer the menu of the person who asks."""
        return menu_of(host.standing, actor)

    return [shell, menu]


def person(actor: Actor) -> dict[str, str] | None:
    """Give what the page may know of the person, or null of nobody."""
    if not actor.signed_in:
        return None
    return {"id": actor.id, "username": actor.username, "display": actor.display}


def menu_of(standing: Standing, actor: Actor) -> dict[str, Any]:
    """Give the menu of one person, in the shape of the API."""
    return {"items": visible(standing.menu, lambda name: standing.may(actor, name))}


def _ways_in(host: HostView, actor: Actor, titles: Mapping[str, str]) -> dict[str, Any]:
    """Say how people sign in: here, with whom besides, or elsewhere if the embedding application does that."""
    if host.users is not None:
        return {"sign_in_url": host.users.sign_in_url, "sign_out_url": host.users.sign_out_url}
    if actor.signed_in:
        return {}
    return {"providers": [{"name": name, "title": title} for name, title in titles.items()]}


def _plugins(standing: Standing, actor: Actor) -> dict[str, dict[str, Any]]:
    """Name the plugins whose screens this person may see, with their texts: nobody learns of others."""
    shown: tuple[PlacedScreen | PlacedSlot, ...] = (*standing.screens, *standing.slots)
    seen = {part.plugin for part in shown if standing.may(actor, part.permission)}
    return {
        entry.id: {
            "name": entry.name,
            "version": entry.version or "",
            "locales": standing.assets[entry.id].locales if entry.id in standing.assets else {},
        }
        for entry in standing.generation.plan.active
        if entry.id in seen
    }
