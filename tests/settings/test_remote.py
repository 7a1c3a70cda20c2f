"""`[remote.<id>]`: plugins that run elsewhere are parsed strictly, though this release does not speak with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin_host.settings import Remote, Settings, SettingsError, show_settings

URL = "https://apps.example.org/mail"


def load(folder: Path, toml: str | None = None, **variables: str) -> Settings:
    if toml is not None:
        (folder / "plugin-host.toml").write_text(toml, encoding="utf-8")
    return Settings.load(None, variables, folder)


def refuse(folder: Path, toml: str | None = None, **variables: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder, toml, **variables)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_remote_plugin_has_its_address(tmp_path: Path) -> None:
    assert load(tmp_path, f'[remote.mail]\nurl = "{URL}"\n').remote == {"mail": Remote(url=URL)}


def test_a_variable_names_a_remote_plugin(tmp_path: Path) -> None:
    assert load(tmp_path, PLUGIN_HOST_REMOTE__MAIL__URL=URL).remote == {"mail": Remote(url=URL)}


def test_a_variable_completes_the_file(tmp_path: Path) -> None:
    assert load(tmp_path, "[remote.mail]\n", PLUGIN_HOST_REMOTE__MAIL__URL=URL).remote == {"mail": Remote(url=URL)}


def test_an_empty_table_does_not_take_back_what_was_said(tmp_path: Path) -> None:
    said = load(tmp_path, f'[remote.mail]\nurl = "{URL}"\n', PLUGIN_HOST_REMOTE__MAIL="{}")
    assert said.remote == {"mail": Remote(url=URL)}


@pytest.mark.parametrize("toml", ["[remote.mail]\n", "[remote]\nmail = {}\n"])
def test_the_address_is_required(tmp_path: Path, toml: str) -> None:
    assert refuse(tmp_path, toml) == "plugin-host.toml: remote.mail.url is missing; it takes text"


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    line = refuse(tmp_path, f'[remote.mail]\nurl = "{URL}"\nuri = "x"\n')
    assert line == "plugin-host.toml: unknown setting remote.mail.uri; did you mean remote.mail.url?"


def test_an_unknown_variable_is_refused_with_the_nearest(tmp_path: Path) -> None:
    line = refuse(tmp_path, PLUGIN_HOST_REMOTE__MAIL__URI=URL)
    assert line.endswith("did you mean PLUGIN_HOST_REMOTE__MAIL__URL?")


@pytest.mark.parametrize("toml", ['[remote]\nmail = "x"\n', 'remote = "x"\n', "[remote.mail]\nurl = 7\n"])
def test_what_is_no_table_is_refused(tmp_path: Path, toml: str) -> None:
    assert refuse(tmp_path, toml).startswith("plugin-host.toml: remote")


@pytest.mark.security
@pytest.mark.parametrize(
    "url",
    [
        "http://apps.example.org",
        "https://ann:secret@apps.example.org",
        "file:///etc/passwd",
        "https://",
        "https://x/?token=secret",
        "http://127.0.0.1.example.org/",
        "",
    ],
)
def test_an_address_that_is_not_safe_is_refused(tmp_path: Path, url: str) -> None:
    assert "remote.mail.url: " in refuse(tmp_path, f'[remote.mail]\nurl = "{url}"\n')


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000", "http://[::1]:9000/x", "http://localhost/x", "https://x:1/"])
def test_this_machine_may_be_spoken_to_in_clear(tmp_path: Path, url: str) -> None:
    assert load(tmp_path, f'[remote.mail]\nurl = "{url}"\n').remote["mail"].url == url


def test_the_settings_show_it_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "plugin-host.toml").write_text(f'[remote.mail]\nurl = "{URL}"\n')
    (row,) = [row for row in show_settings(None, {}, tmp_path) if row["key"].startswith("remote")]
    assert row == {"key": "remote.mail.url", "value": URL, "source": "plugin-host.toml"}


def test_in_code_it_is_held_to_the_same_rules() -> None:
    assert Settings(remote={"mail": Remote(url=URL)}).remote["mail"].url == URL
    with pytest.raises(SettingsError):
        Remote(url="ftp://x")
