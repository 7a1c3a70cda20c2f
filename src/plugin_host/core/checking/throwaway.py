"""The settings of a check: as they are, but on data of their own, and without asking anybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from plugin_host.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


def throwaway(config: str | None, folder: Path) -> Settings:
    """Load the settings as a start would, with database and files below a folder that is thrown away."""
    loaded = Settings.load(config)
    data = folder / "data"
    return msgspec.structs.replace(
        loaded,
        loader=msgspec.structs.replace(loaded.loader, strict=False, default="enable"),
        migrations=msgspec.structs.replace(loaded.migrations, on_start="auto"),
        schema=None,
        data_dir=str(data),
        database=f"sqlite:///{data / 'host.db'}",
    )
