"""How the routes of one plugin are gathered for its application: each path once, whole.

Litestar makes the route of a path anew for each handler that is added to it, and derives the map of all routes anew for
each path, which makes building quadratic.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from litestar import Router
from litestar.exceptions import ImproperlyConfiguredException
from litestar.utils import join_paths

from plugin_host.gateway.options import answer_options, is_automatic
from plugin_host.gateway.walk import place_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from litestar._asgi.routing_trie.types import RouteTrieNode
    from litestar.handlers import BaseRouteHandler
    from litestar.routes import BaseRoute
    from litestar.types import ControllerRouterHandler


class Prefix(Router):
    """The router of one plugin; made for one application, so there is nothing to copy.

    Litestar copies routers deeply, and with them whatever a plugin's handlers are bound to. Raises
    `ImproperlyConfiguredException` if two handlers answer the same method of the same path.
    """

    def __init__(self, path: str, handlers: Iterable[Any]) -> None:
        super().__init__(path, route_handlers=[])
        self._by_path: defaultdict[str, dict[Any, Any]] = defaultdict(dict)
        for handler in handlers:
            self.register(handler)
        for known in self._by_path.values():
            answer_options(known)

    def register(self, value: ControllerRouterHandler) -> list[BaseRoute]:
        """Take note of a handler, or of all handlers of a router; their routes are made by the application."""
        handlers = self.get_route_handler_map(self._validate_registration_value(value))
        for below, by_method in handlers.items():
            path = join_paths([self.path, below])
            for method, handler in by_method.items():
                if not is_automatic(handler):
                    self._note(path, method, handler)
        return []

    def __deepcopy__(self, memo: object) -> Prefix:
        return self

    @property
    def route_handler_method_map(self) -> dict[str, Any]:
        """What answers each path, by method."""
        return self._by_path

    def _note(self, path: str, method: str, handler: BaseRouteHandler) -> None:
        other = self._by_path[path].setdefault(method, handler)
        if other is not handler:  # Litestar would drop one of them without a word
            places = " and ".join(sorted((place_of(handler.fn), place_of(other.fn))))
            msg = f"two handlers answer {method} {path}: {places}"
            raise ImproperlyConfiguredException(msg)


def mend_parameters(node: RouteTrieNode) -> None:
    """Let ASGI handlers have path parameters: Litestar 2.25 answers 500 (`KeyError: 'GET'`) for each call of one."""
    if node.is_asgi:
        node.path_parameters = _AnyMethod(node.path_parameters)
    for child in node.children.values():
        mend_parameters(child)


class _AnyMethod(dict[Any, Any]):
    """The path parameters of an ASGI handler's node, which Litestar keeps under "asgi" but looks up by method."""

    def __missing__(self, key: object) -> Any:
        return self["asgi"]
