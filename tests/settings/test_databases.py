"""`[pool]` and `[databases.<id>]`: connections, and where plugins with a database of their own have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin_host.settings import OwnDatabase, Pool, Settings, SettingsError, show_settings


def write(folder: Path, toml: str) -> None:
    (folder / "plugin-host.toml").write_text(toml)


def test_a_plugin_has_an_address_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, '[databases.crm]\nurl = "postgresql://ann@host/crm"\nschema = "sales"\n')
    settings = Settings.load(environ={}, cwd=tmp_path)
    assert settings.databases == {"crm": OwnDatabase(url="postgresql://ann@host/crm", schema="sales")}


def test_an_address_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("postgresql://ann:secret@host/crm\n")
    write(tmp_path, '[databases.crm]\nurl_file = "secret"\n')
    settings = Settings.load(environ={}, cwd=tmp_path)
    assert settings.databases["crm"].url == "postgresql://ann:secret@host/crm"


def test_a_password_is_not_shown(tmp_path: Path) -> None:
    write(tmp_path, '[databases.crm]\nurl = "postgresql://ann:secret@host/crm"\n')
    shown = {row["key"]: row["value"] for row in show_settings(environ={}, cwd=tmp_path)}
    assert shown["databases.crm.url"] == "postgresql://ann:***@host/crm"


@pytest.mark.parametrize("toml", ["[databases.crm]\n", "[databases.crm]\nurl = ''\n", "[pool]\nsize = 0\n"])
def test_what_cannot_be_is_refused(tmp_path: Path, toml: str) -> None:
    write(tmp_path, toml)
    with pytest.raises(SettingsError, match=r"databases\.crm\.url|pool\.size"):
        Settings.load(environ={}, cwd=tmp_path)


def test_a_pool_is_small_unless_said_otherwise() -> None:
    assert Settings().pool == Pool(size=5, overflow=10, timeout=30.0)
