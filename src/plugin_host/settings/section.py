"""What every section of the settings shares: frozen, strict, and held to its bounds also in code."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from plugin_host.settings.reading import SettingsError

Text: TypeAlias = Annotated[str, Meta(min_length=1)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A section of the settings."""

    def __post_init__(self) -> None:
        """Hold values given in code to the same rules as those of a file: types alone do not run."""
        for field in msgspec.structs.fields(self):
            try:
                value = msgspec.convert(getattr(self, field.name), field.type)
            except msgspec.ValidationError as error:
                msg = f"{type(self).__name__}({field.name}=…): {error}"
                raise SettingsError(msg) from None
            msgspec.structs.force_setattr(self, field.name, value)
