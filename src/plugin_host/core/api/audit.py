"""The audit log, for those who may read it. Nobody may write it but by doing something."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any, Final

from litestar.params import QueryParameter
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.core.trail import EntryOut, RefusalOut, Wanted, list_entries, list_refusals
from plugin_host.sdk.listing import Listing, Page
from plugin_host.sdk.routing import get

VIEW: Final = "core.audit.view"


def audit_routes() -> list[Any]:
    """Make the handlers."""

    @get("/audit", permission=VIEW)
    async def list_audit(  # noqa: PLR0913 - the parameters of the address
        listing: Listing,
        db: AsyncSession,
        who: Annotated[str | None, QueryParameter(name="actor", description="An id or a user name.")] = None,
        plugin: Annotated[str | None, QueryParameter(description="Whose action, or on whose behalf.")] = None,
        action: Annotated[str | None, QueryParameter(description="A name, or its beginning with `.*`.")] = None,
        since: Annotated[dt.datetime | None, QueryParameter(description="From this moment on.")] = None,
        until: Annotated[dt.datetime | None, QueryParameter(description="Before this moment.")] = None,
    ) -> Page[EntryOut]:
        """List who did what, the newest first."""
        return await list_entries(db, listing, Wanted(who, plugin, action, since, until))

    @get("/audit/refusals", permission=VIEW)
    async def list_audit_refusals(db: AsyncSession, since: dt.datetime | None = None) -> Page[RefusalOut]:
        """List how often nobody in particular was refused something, by the hour; the newest first."""
        return await list_refusals(db, since)

    return [list_audit, list_audit_refusals]
