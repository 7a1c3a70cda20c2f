"""The table of who has which role. Rules themselves come from the plugins and live in memory."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from plugin_host.sdk.models import PluginBase


class Base(PluginBase, plugin="core"):
    """The base of the tables of access."""


class RoleMember(Base):
    """Somebody who was given a role. `subject` is `user:<id>`; `granted_by` is the id of whoever gave it.

    Neither is a foreign key: an embedding application keeps its people elsewhere.
    """

    __tablename__ = "core_role_member"

    subject: Mapped[str] = mapped_column(String(80), primary_key=True)
    role: Mapped[str] = mapped_column(String(120), primary_key=True, index=True)
    granted_at: Mapped[dt.datetime]
    granted_by: Mapped[str | None] = mapped_column(String(64))
