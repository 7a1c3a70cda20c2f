"""Settings: the file, the variables, secrets in files, and one clear line for each mistake."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given, strategies as st

from plugin_host.settings import (
    Argon2,
    Server,
    Settings,
    SettingsError,
)


def load(folder: Path, toml: str | None = None, config: str | None = None, **variables: str) -> Settings:
    """Load from a folder with this plugin-host.toml, and no variables but these."""
    if toml is not None:
        (folder / "plugin-host.toml").write_text(toml, encoding="utf-8")
    return Settings.load(config, variables, folder)


def refuse(folder: Path, toml: str | None = None, config: str | None = None, **variables: str) -> str:
    """Load what must be refused; give the one line that says why."""
    with pytest.raises(SettingsError) as caught:
        load(folder, toml, config, **variables)
    line = str(caught.value)
    assert "\n" not in line
    return line


# -- the value ---------------------------------------------------------------------------------------------


def test_defaults_need_neither_file_nor_environment(tmp_path: Path) -> None:
    assert load(tmp_path) == Settings()


def test_constructor_ignores_file_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plugin-host.toml").write_text("[server]\nport = 9000\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PLUGIN_HOST_SERVER__HOST", "0.0.0.0")  # noqa: S104 - a value, not a socket
    assert Settings().server == Server()


def test_default_database_lies_in_the_data_folder() -> None:
    assert Settings(data_dir="/srv/data/").database_url == "sqlite:////srv/data/host.db"


def test_database_that_is_said_is_used() -> None:
    assert Settings(database="postgresql://me@db/apps").database_url == "postgresql://me@db/apps"


def test_code_is_held_to_the_same_bounds_as_a_file() -> None:
    with pytest.raises(SettingsError, match=r"^Argon2\(time_cost=…\): Expected `int` >= 2$"):
        Argon2(time_cost=1)


def test_settings_survive_json(tmp_path: Path) -> None:
    settings = load(tmp_path, '[server]\nhosts = ["a.example"]\n[plugins.contacts]\npage = 5\n')
    assert msgspec.json.decode(msgspec.json.encode(settings), type=Settings) == settings


# -- the file ----------------------------------------------------------------------------------------------


def test_file_in_the_working_folder_is_read(tmp_path: Path) -> None:
    assert load(tmp_path, '[loader]\nfolders = ["./plugins"]\n').loader.folders == ("./plugins",)


def test_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    assert load(tmp_path, "\ufeff[server]\nport = 9000\n").server.port == 9000


def test_variable_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[server]\nport = 9001\n")
    assert load(tmp_path, "[server]\nport = 9000\n", PLUGIN_HOST_CONFIG="a.toml").server.port == 9001


def test_option_names_the_file_before_the_variable_does(tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text("[server]\nport = 9002\n")
    assert load(tmp_path, config="b.toml", PLUGIN_HOST_CONFIG="a.toml").server.port == 9002


@pytest.mark.parametrize(
    ("config", "variables", "by"),
    [("no.toml", {}, "--config"), (None, {"PLUGIN_HOST_CONFIG": "no.toml"}, "PLUGIN_HOST_CONFIG")],
)
def test_named_file_must_be_there(tmp_path: Path, config: str | None, variables: dict[str, str], by: str) -> None:
    line = refuse(tmp_path, config=config, **variables)
    assert line == f"no.toml: the settings file cannot be read (No such file or directory); correct the path in {by}"


def test_broken_file_names_the_line(tmp_path: Path) -> None:
    line = refuse(tmp_path, "[server]\nport = \n")
    assert line.startswith("plugin-host.toml: the settings file is not valid TOML: ")
    assert "line 2" in line


def test_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    line = refuse(tmp_path, "[server]\nprot = 1\n")
    assert line == "plugin-host.toml: unknown setting server.prot; did you mean server.port?"


def test_unknown_section_without_a_near_one_says_where_to_look(tmp_path: Path) -> None:
    line = refuse(tmp_path, "[zzz]\nqqq = 1\n")
    assert line == "plugin-host.toml: unknown setting zzz; remove it; `plugin-host config show` lists all settings"


@pytest.mark.parametrize(
    ("toml", "takes"),
    [
        ('server.port = "80"', "server.port: Expected `int`, got `str`; it takes a whole number from 0 to 65535"),
        ("server.port = 65536", "server.port: Expected `int` <= 65535; it takes a whole number from 0 to 65535"),
        ("server = 1", "server: Expected `object`, got `int`; it takes a table"),
        ("plugins.contacts = 1", "plugins.contacts: Expected `object`, got `int`; it takes a table"),
        ("loader.strict = 1", "loader.strict: Expected `bool`, got `int`; it takes true or false"),
        ('loader.default = "no"', 'loader.default: Invalid enum value \'no\'; it takes "ask" or "enable"'),
        ('migrations.on_start = "no"', 'migrations.on_start: Invalid enum value \'no\'; it takes "auto" or "check"'),
        ("limits.startup_timeout = 0", "limits.startup_timeout: Expected `float` > 0.0; it takes a number above 0"),
        ("loader.folders = [1]", "loader.folders: Expected `str`, got `int` - at `$[0]`; it takes a list of texts"),
    ],
)
def test_wrong_value_says_what_is_taken(tmp_path: Path, toml: str, takes: str) -> None:
    assert refuse(tmp_path, toml) == f"plugin-host.toml: {takes}"


@pytest.mark.parametrize("argon2", ["time_cost = 1", "memory_kib = 19455", "parallelism = 0"])
def test_password_hash_below_the_floor_is_refused(tmp_path: Path, argon2: str) -> None:
    assert "auth.argon2." in refuse(tmp_path, f"[auth.argon2]\n{argon2}\n")


@pytest.mark.parametrize("url", ["apps.example.org", "ftp://a", "https://user@a", "https://a/?q"])
def test_public_url_is_an_address(tmp_path: Path, url: str) -> None:
    assert "public_url" in refuse(tmp_path, f'public_url = "{url}"')


# -- the variables -----------------------------------------------------------------------------------------


def test_variable_beats_the_file(tmp_path: Path) -> None:
    assert load(tmp_path, "[server]\nport = 9000\n", PLUGIN_HOST_SERVER__PORT="9001").server.port == 9001


def test_list_is_json(tmp_path: Path) -> None:
    assert load(tmp_path, PLUGIN_HOST_LOADER__FOLDERS='["./plugins"]').loader.folders == ("./plugins",)


def test_text_is_taken_as_it_is(tmp_path: Path) -> None:
    assert load(tmp_path, PLUGIN_HOST_THEME__NAME="42").theme.name == "42"


def test_choice_needs_no_quotes(tmp_path: Path) -> None:
    assert load(tmp_path, PLUGIN_HOST_MIGRATIONS__ON_START="check").migrations.on_start == "check"


def test_section_as_json_is_merged_and_the_more_exact_variable_wins(tmp_path: Path) -> None:
    said = {"PLUGIN_HOST_SERVER": '{"port": 1, "workers": 2}', "PLUGIN_HOST_SERVER__PORT": "3"}
    assert load(tmp_path, '[server]\nhost = "::1"\n', **said).server == Server(host="::1", port=3, workers=2)


def test_value_that_is_not_json_says_what_is_taken(tmp_path: Path) -> None:
    line = refuse(tmp_path, PLUGIN_HOST_SERVER__PORT="many")
    assert (
        line == "PLUGIN_HOST_SERVER__PORT: server.port takes a whole number from 0 to 65535 written as JSON, not 'many'"
    )


def test_unknown_variable_names_the_nearest(tmp_path: Path) -> None:
    line = refuse(tmp_path, PLUGIN_HOST_SERVER__PROT="1")
    assert line == (
        "PLUGIN_HOST_SERVER__PROT: unknown setting PLUGIN_HOST_SERVER__PROT; did you mean PLUGIN_HOST_SERVER__PORT?"
    )


@pytest.mark.parametrize("name", ["PLUGIN_HOST_SERVER__PORT__X", "PLUGIN_HOST_", "PLUGIN_HOST_SERVER__"])
def test_name_that_is_no_key_is_refused(tmp_path: Path, name: str) -> None:
    assert "unknown setting" in refuse(tmp_path, **{name: "1"})


@pytest.mark.parametrize("name", ["PLUGIN_HOST_DEMO_PASSWORD", "PLUGIN_HOST_TEST_POSTGRES", "PLUGIN_HOSTING", "PATH"])
def test_other_variables_are_no_settings(tmp_path: Path, name: str) -> None:
    assert load(tmp_path, **{name: "1"}) == Settings()


# -- the settings of plugins -------------------------------------------------------------------------------


def test_plugin_settings_of_both_places_are_merged(tmp_path: Path) -> None:
    said = {"PLUGIN_HOST_PLUGINS__CONTACTS__PAGE_SIZE": "50", "PLUGIN_HOST_PLUGINS__CONTACTS__NAME": "Ada L."}
    settings = load(tmp_path, '[plugins.contacts]\npage_size = 10\nby = {mail = "x"}\n', **said)
    assert settings.plugins == {"contacts": {"page_size": 50, "by": {"mail": "x"}, "name": "Ada L."}}


def test_later_place_wins_when_the_shapes_differ(tmp_path: Path) -> None:
    settings = load(tmp_path, "[plugins.contacts]\nby = 1\n", PLUGIN_HOST_PLUGINS__CONTACTS__BY__MAIL="x")
    assert settings.plugins == {"contacts": {"by": {"mail": "x"}}}


# -- secrets in files --------------------------------------------------------------------------------------


def test_text_may_stand_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_bytes(b"postgresql://me:pass@db/apps\r\n")
    assert load(tmp_path, 'database_file = "dsn"').database == "postgresql://me:pass@db/apps"


def test_secret_of_a_plugin_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("abc\n")
    settings = load(tmp_path, PLUGIN_HOST_PLUGINS__MAILER__API_KEY_FILE="key")
    assert settings.plugins == {"mailer": {"api_key": "abc"}}


def test_both_forms_at_once_are_refused(tmp_path: Path) -> None:
    line = refuse(tmp_path, 'database = "sqlite:///a.db"\ndatabase_file = "dsn"\n')
    assert line == "plugin-host.toml: database and database_file are both given; remove one of them"


def test_only_text_may_stand_in_a_file(tmp_path: Path) -> None:
    assert "unknown setting server.port_file" in refuse(tmp_path, 'server.port_file = "port"')


def test_missing_secret_names_key_and_path(tmp_path: Path) -> None:
    line = refuse(tmp_path, PLUGIN_HOST_DATABASE_FILE="no")
    assert line == (
        "PLUGIN_HOST_DATABASE_FILE: database_file: no cannot be read (No such file or directory); "
        "correct the path or its rights"
    )


def test_secret_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_bytes(b"\xff\xfe")
    assert "it is not UTF-8 text" in refuse(tmp_path, 'database_file = "dsn"')


# -- what must hold always ---------------------------------------------------------------------------------


@given(port=st.integers(0, 65535), name=st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1))
def test_file_and_variables_say_the_same(port: int, name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("settings")
    quoted = msgspec.json.encode(name).decode()  # a JSON string is a TOML string
    by_file = load(folder, f"[server]\nport = {port}\n[theme]\nname = {quoted}\n")
    (folder / "plugin-host.toml").unlink()
    by_variables = load(folder, PLUGIN_HOST_SERVER__PORT=str(port), PLUGIN_HOST_THEME__NAME=name)
    assert by_file == by_variables


@given(st.dictionaries(st.from_regex(r"PLUGIN_HOST_[A-Z_]{0,20}", fullmatch=True), st.text(max_size=20), max_size=3))
def test_any_variable_is_a_setting_or_one_clear_line(variables: dict[str, str]) -> None:
    try:
        Settings.load(environ={**variables, "PLUGIN_HOST_CONFIG": "/dev/null"})
    except SettingsError as error:
        assert "\n" not in str(error)  # noqa: PT017 - both outcomes are right; this is about the second
