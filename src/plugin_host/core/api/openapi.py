"""The OpenAPI document, for those who write clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from litestar import Request, Response
from litestar.params import QueryParameter

from plugin_host.gateway.foreign import BASE
from plugin_host.sdk.routing import get

if TYPE_CHECKING:
    from plugin_host.core.openapi import Documents


def openapi_routes(documents: Documents) -> list[Any]:
    """Make the handler of the document."""

    @get("/openapi.json", permission="core.api.view")
    async def show_openapi(
        request: Request[Any, Any, Any],
        plugin: Annotated[str, QueryParameter(description="Only this plugin.")] = "",
    ) -> Response[dict[str, Any]]:
        """Describe every route of the active plugins, as OpenAPI 3.1."""
        base: Any = request.scope.get(BASE, "")
        written = await documents.write(base, plugin)
        # It changes whenever plugins come and go, so whoever keeps it asks each time whether it still holds.
        headers = {"etag": written.etag, "cache-control": "private, no-cache"}
        held = _matches(request.headers.get("if-none-match", ""), written.etag)
        body: Any = None if held else written.body  # the JSON is written already
        return Response(body, status_code=304 if held else 200, media_type="application/json", headers=headers)

    return [show_openapi]


def _matches(wanted: str, etag: str) -> bool:
    """Compare as RFC 9110 says for If-None-Match: weakly, against each of a list."""
    return wanted.strip() == "*" or etag in {tag.strip().removeprefix("W/") for tag in wanted.split(",")}
