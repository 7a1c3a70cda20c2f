"""OPTIONS, which every path answers: with its methods, to whoever may use one of them.

Litestar adds a handler for it to each path too, and looks at that one's signature as at any other. That is half of what
a path with one handler costs to build.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from litestar import Response
from litestar._kwargs import KwargsModel
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from litestar import Litestar
    from litestar.handlers import BaseRouteHandler


class Options(HTTPRouteHandler):
    """Answers OPTIONS with the methods of its path. It takes no arguments, so there is no signature to look at."""

    def __init__(self, methods: Iterable[str]) -> None:
        super().__init__(http_method=[HttpMethod.OPTIONS], include_in_schema=False, sync_to_thread=False)
        words = {"OPTIONS", *methods, *(("HEAD",) if "GET" in methods else ())}  # the edge makes HEAD of GET
        allow = ", ".join(sorted(words))
        self._fn = lambda: Response(None, status_code=204, headers={"allow": allow})  # type: ignore[assignment,return-value] # not awaited

    def on_registration(self, app: Litestar) -> None:
        """Do what must be done before a request; Litestar does the rest at the first one."""
        self.resolve_opts()
        self.has_sync_callable = True

    def create_kwargs_model(self, path_parameters: Mapping[str, Any]) -> KwargsModel:
        """Say that nothing is read from a request."""
        return _nothing_read()


def is_automatic(handler: BaseRouteHandler) -> bool:
    """Tell whether Litestar made the handler to answer OPTIONS, as it does in the routers of plugins."""
    return getattr(handler.fn, "__qualname__", "").startswith(f"{HTTPRoute.__name__}.create_options_handler.")


def answer_options(known: dict[Any, Any]) -> None:
    """Let a path answer OPTIONS, if it answers HTTP and no handler of the plugin does that."""
    served = [handler for handler in known.values() if isinstance(handler, HTTPRouteHandler)]
    if served and HttpMethod.OPTIONS not in known:
        options = Options([method for handler in served for method in handler.http_methods])
        options.owner = served[0].owner
        known[HttpMethod.OPTIONS] = options


@functools.cache
def _nothing_read() -> KwargsModel:
    return KwargsModel(
        expected_cookie_params=set(),
        expected_data_dto=None,
        expected_dependencies=set(),
        expected_form_data=None,
        expected_header_params=set(),
        expected_msgpack_data=None,
        expected_path_params=set(),
        expected_query_params=set(),
        expected_reserved_kwargs=set(),
        is_data_optional=False,
        sequence_query_parameter_names=set(),
    )
