"""Telling the settings: where each comes from, what each means, and no secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugin_host.settings import Settings, describe_settings, show_settings


def test_sources_say_where_each_value_comes_from(tmp_path: Path) -> None:
    (tmp_path / "plugin-host.toml").write_text("[server]\nport = 9000\n[plugins.contacts]\npage = 5\n")
    sources = Settings.load_with_sources(environ={"PLUGIN_HOST_SERVER__HOST": "::1"}, cwd=tmp_path)[1]
    wanted = {
        "server.port": "plugin-host.toml",
        "server.host": "PLUGIN_HOST_SERVER__HOST",
        "server.workers": "default",
        "plugins.contacts.page": "plugin-host.toml",
    }
    assert wanted.items() <= sources.items()


def shown(folder: Path, **variables: str) -> dict[str, Any]:
    return {row["key"]: row["value"] for row in show_settings(environ=variables, cwd=folder)}


def test_every_setting_is_shown(tmp_path: Path) -> None:
    assert list(shown(tmp_path)) == [
        row.key for row in describe_settings() if row.key not in {"auth.oidc", "databases", "plugins", "remote"}
    ]


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("postgresql://me:a@b@db/apps", "postgresql://me:***@db/apps"),
        ("postgresql://db/apps?password=ab&x=1", "postgresql://db/apps?password=***&x=1"),
        ("postgresql://me@db/apps", "postgresql://me@db/apps"),
    ],
)
def test_password_of_the_database_is_masked(tmp_path: Path, said: str, told: str) -> None:
    assert shown(tmp_path, PLUGIN_HOST_DATABASE=said)["database"] == told


def test_secrets_of_plugins_are_masked(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("abc")
    said = {
        "PLUGIN_HOST_PLUGINS__MAILER__PASSWORD": "abc",
        "PLUGIN_HOST_PLUGINS__MAILER__FROM_FILE": "s",
        "PLUGIN_HOST_PLUGINS__MAILER__SIZE": "3",
    }
    told = shown(tmp_path, **said)
    mailer = {key: value for key, value in told.items() if key.startswith("plugins.")}
    assert mailer == {"plugins.mailer.password": "***", "plugins.mailer.from": "***", "plugins.mailer.size": 3}


def test_every_setting_has_a_manual() -> None:
    assert [row.key for row in describe_settings() if not row.description.endswith(".")] == []
