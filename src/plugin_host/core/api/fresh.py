"""What is dangerous asks for more than a credential: a person who has lately proved who they are."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from plugin_host.sdk.context import Actor
    from plugin_host.settings import Settings

_TOKENS: Final = ("personal", "service", "plugin")


def require_person(actor: Actor) -> None:
    """Go on only for somebody who has signed in.

    Raises `Problem` 403 `interactive_session_required` for tokens, and for whom a plugin vouches.
    """
    if actor.credential in _TOKENS:
        detail = "This needs a person who has signed in: neither a token nor what a plugin vouches for is enough."
        raise Problem(403, "interactive_session_required", detail)


def require_fresh(actor: Actor, settings: Settings, clock: Callable[[], float] = time.time) -> None:
    """Go on only if the person has proved who they are within `auth.reauthentication` seconds.

    Raises `Problem` 403 `reauthentication_required`, upon which a client asks for the password, calls
    `POST /api/core/auth/reauthenticate`, and repeats the call; 403 `interactive_session_required` for tokens. Where
    the host cannot know (people of an embedding application, the operator's own hand) there is nothing to ask.
    """
    require_person(actor)
    proved = actor.authenticated_at
    if proved is not None and clock() - proved > settings.auth.reauthentication:
        detail = "This is dangerous and you signed in a while ago: prove who you are again, then repeat it."
        raise Problem(403, "reauthentication_required", detail)
