"""What the doctor says of single things, and that nothing makes him faint."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import psycopg
import pytest

from plugin_host import Settings
from plugin_host.core.doctor import Finding, document, examine
from plugin_host.core.doctor.database import check_database
from plugin_host.core.doctor.environment import check_casbin, check_distributions, check_host, check_python, unmet_needs
from plugin_host.core.doctor.examination import _safely
from plugin_host.core.doctor.installation import check_addresses, check_disk, check_files, check_settings
from plugin_host.core.doctor.plugins import check_plugin_settings, check_plugins, check_starts, check_tables
from plugin_host.database import Database
from plugin_host.plugins.plan import Plan, PlanEntry
from plugin_host.sdk.errors import Reason
from plugin_host.settings import Loader, Migrations, Server
from plugin_host.supervision.bisection import Death, Member, Search, State

pytestmark = pytest.mark.anyio

not_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def levels(findings: Iterator[Finding] | list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


def only(findings: Iterator[Finding] | list[Finding], level: str) -> Finding:
    """Give the one finding of a level."""
    (found,) = [finding for finding in findings if finding.level == level]
    return found


# -- Python and libraries --------------------------------------------------------------------------------------


def test_this_python_and_these_libraries_are_well() -> None:
    assert levels(check_python()) == ["ok"]
    assert levels(check_host(["postgres"])) == ["ok"]


def test_a_library_below_the_floor_is_an_error_with_the_command() -> None:
    found = only(list(unmet_needs("plugin-host", ["pluggy>=1.7"], {"pluggy": "1.6"}.get, "error")), "error")
    assert found.text == "plugin-host requires pluggy>=1.7, and 1.6 is installed."
    assert found.way_out == "Run: pip install 'pluggy>=1.7'"


def test_a_library_that_is_missing_says_so() -> None:
    assert "it is not installed" in only(list(unmet_needs("x", ["pluggy>=1.7"], {}.get, "error")), "error").text


def test_what_only_other_platforms_and_extras_need_is_not_missed() -> None:
    needs = ["uvloop>=1; sys_platform == 'nowhere'", "psycopg>=3; extra == 'postgres'"]
    assert list(unmet_needs("plugin-host", needs, {}.get, "error")) == []
    assert len(list(unmet_needs("plugin-host", needs, {}.get, "error", ["postgres"]))) == 1


def test_casbin_beside_pycasbin_is_an_error() -> None:
    assert list(check_casbin({"pycasbin": "2.8"}.get)) == []
    found = only(list(check_casbin({"pycasbin": "2.8", "casbin": "1.0"}.get)), "error")
    assert "pip uninstall -y casbin pycasbin" in found.way_out


def test_needs_of_a_plugin_that_are_not_met_are_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _name: ["no-such-library>=1"])
    assert "host-contacts requires no-such-library>=1" in only(check_distributions(["host-contacts"]), "warning").text


# -- settings --------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_no_settings_at_all_are_well(folder: Path) -> None:
    assert levels(check_settings(None, {"PLUGIN_HOST_DEMO_PASSWORD": "x"})) == ["ok"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[server]\nprot = 80\n", "did you mean server.port"),
        ("[server\n", "not valid TOML"),
        ("[server]\nport = 'x'\n", "whole number"),
    ],
)
def test_a_settings_file_that_is_wrong_is_one_error(folder: Path, text: str, told: str) -> None:
    (folder / "plugin-host.toml").write_text(text)
    found = only(check_settings(None, {}), "error")
    assert told.lower() in f"{found.text} {found.way_out}".lower()


def test_a_settings_file_that_is_not_there_is_an_error(folder: Path) -> None:
    assert "nowhere.toml" in only(check_settings("nowhere.toml", {}), "error").text
    assert "nowhere.toml" in only(check_settings(None, {"PLUGIN_HOST_CONFIG": "nowhere.toml"}), "error").text


def test_every_variable_that_is_wrong_is_told(folder: Path) -> None:
    rubbish = {"PLUGIN_HOST_SERVER__PROT": "1", "PLUGIN_HOST_SERVER__PORT": "much", "PLUGIN_HOST_": "", "HOME": "/"}
    found = list(check_settings(None, rubbish))
    assert levels(found) == ["error", "error", "error"]
    assert "PLUGIN_HOST_SERVER__PORT?" in " ".join(each.way_out for each in found)


def test_settings_that_are_right_alone_and_wrong_together_are_an_error(folder: Path) -> None:
    (folder / "secret").write_text("sqlite:///a.db")
    both = {"PLUGIN_HOST_DATABASE": "sqlite:///a.db", "PLUGIN_HOST_DATABASE_FILE": "secret"}
    assert "both given" in only(check_settings(None, both), "error").text


# -- addresses -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), []),
        (Settings(server=Server(host="0.0.0.0")), ["warning", "warning"]),  # noqa: S104 - what is looked for
        (Settings(server=Server(host="::", hosts=("a.org",)), public_url="https://a.org"), ["note"]),
        (Settings(public_url="https://a.org", server=Server(trusted_proxies=("127.0.0.1",))), []),
        (Settings(public_url="http://a.org/x", server=Server(hosts=("b.org",))), ["error"]),
        (Settings(public_url="http://x.a.org", server=Server(hosts=("*.a.org",))), []),
        (Settings(server=Server(workers=4)), ["warning"]),
        (Settings(server=Server(workers=4), database="postgresql://a@b/c"), []),
    ],
)
def test_ways_of_listening_that_are_surely_not_meant(settings: Settings, expected: list[str]) -> None:
    found = list(check_addresses(settings))
    assert levels(found) == expected
    assert all(finding.way_out for finding in found)


# -- files -----------------------------------------------------------------------------------------------------


def told_of_files(settings: Settings, config: Path | None = None) -> list[Finding]:
    return [finding for finding in check_files(settings, config) if "runs as root" not in finding.text]


def test_a_data_folder_for_its_owner_only_is_well(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    assert levels(told_of_files(Settings(data_dir=str(tmp_path / "data")))) == ["ok"]


def test_a_data_folder_that_others_may_enter_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o755)
    found = only(told_of_files(Settings(data_dir=str(tmp_path / "data"))), "warning")
    assert "0755" in found.text
    assert found.way_out == f"Run: chmod 700 {tmp_path / 'data'}"


def test_a_data_folder_that_is_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert "not a folder" in only(told_of_files(Settings(data_dir=str(tmp_path / "data"))), "error").text


@pytest.mark.parametrize("text", ['database = "postgresql://a:b@c/d"', "[plugins.x]\napi_token = 'x'"])
def test_a_secret_that_others_may_read_is_a_warning(tmp_path: Path, text: str) -> None:
    config = tmp_path / "plugin-host.toml"
    config.write_text(text)
    config.chmod(0o644)
    assert "secret" in only(told_of_files(Settings(data_dir=str(tmp_path / "no")), config), "warning").text
    config.chmod(0o600)
    assert told_of_files(Settings(data_dir=str(tmp_path / "no")), config) == []


def test_where_a_secret_lies_is_no_secret(tmp_path: Path) -> None:
    config = tmp_path / "plugin-host.toml"
    config.write_text("[plugins.x]\nclient_secret_file = '/run/secrets/x'\n")
    config.chmod(0o644)
    assert told_of_files(Settings(data_dir=str(tmp_path / "no")), config) == []


def test_a_folder_of_plugins_that_others_may_write_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "plugins" / "hello").mkdir(parents=True)
    (tmp_path / "plugins" / "hello").chmod(0o777)
    settings = Settings(data_dir=str(tmp_path / "no"), loader=Loader(folders=(str(tmp_path / "plugins"),)))
    assert "runs code in the host" in only(told_of_files(settings), "warning").text


def test_room_on_the_disk_is_looked_at_where_the_data_will_be(tmp_path: Path) -> None:
    (found,) = check_disk(Settings(data_dir=str(tmp_path / "not" / "yet")))
    assert f"free at {tmp_path}" in found.text


# -- database --------------------------------------------------------------------------------------------------


def sqlite_file(tmp_path: Path, mode: str = "wal") -> Path:
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    connection = sqlite3.connect(folder / "host.db")
    connection.execute(f"PRAGMA journal_mode={mode}")
    connection.execute("CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT)")
    connection.executemany("INSERT INTO thing (name) VALUES (?)", [("x" * 500,) for _ in range(500)])
    connection.commit()
    connection.close()
    return folder / "host.db"


def test_a_sqlite_file_that_is_well(tmp_path: Path) -> None:
    assert levels(check_database(Database(f"sqlite:///{sqlite_file(tmp_path)}"))) == ["ok", "ok"]


def test_a_sqlite_file_that_is_not_there_yet_is_a_note(tmp_path: Path) -> None:
    assert levels(check_database(Database(f"sqlite:///{tmp_path}/host.db"))) == ["note"]
    assert list(tmp_path.iterdir()) == []


def test_another_journal_mode_is_a_note(tmp_path: Path) -> None:
    path = sqlite_file(tmp_path, "delete")
    assert "journal mode delete" in only(check_database(Database(f"sqlite:///{path}")), "note").text


def test_a_damaged_sqlite_file_is_an_error(tmp_path: Path) -> None:
    path = sqlite_file(tmp_path)
    content = bytearray(path.read_bytes())
    content[4096 + 100 : 4096 + 900] = b"\xff" * 800
    path.write_bytes(content)
    assert "error" in levels(check_database(Database(f"sqlite:///{path}")))


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "host.db").write_text("no database at all, but long enough to be looked at " * 50)
    found = only(check_database(Database(f"sqlite:///{tmp_path}/host.db")), "error")
    assert "file is not a database" in found.text


def test_a_sqlite_file_that_others_may_read_is_a_warning(tmp_path: Path) -> None:
    path = sqlite_file(tmp_path)
    path.chmod(0o644)
    path.parent.chmod(0o755)
    assert only(check_database(Database(f"sqlite:///{path}")), "warning").way_out == f"Run: chmod 600 {path}"


@not_root
def test_a_sqlite_file_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    path = sqlite_file(tmp_path)
    path.chmod(0o400)
    assert "cannot be written" in only(check_database(Database(f"sqlite:///{path}")), "error").text


def test_a_postgresql_that_is_well(postgres_url: str) -> None:
    found = list(check_database(Database(postgres_url)))
    assert levels(found) == ["ok"]
    assert "PostgreSQL" in found[0].text


def test_a_schema_that_is_not_there_yet_is_a_note(postgres_url: str) -> None:
    assert levels(check_database(Database(postgres_url, schema="apps"))) == ["ok", "note"]


@pytest.mark.parametrize("schema", [None, "apps"])
def test_somebody_who_may_not_make_tables_is_told_what_to_run(postgres_url: str, schema: str | None) -> None:
    name = f"reader_{os.urandom(4).hex()}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN")  # type: ignore[arg-type]
        try:
            host = postgres_url.partition("@")[2]
            found = only(check_database(Database(f"postgresql://{name}@{host}", schema=schema)), "error")
        finally:
            connection.execute(f"DROP ROLE {name}")  # type: ignore[arg-type]
    assert "Run there: GRANT CREATE" in found.way_out or "Run there: CREATE SCHEMA apps" in found.way_out


def test_a_database_that_is_read_only_is_an_error(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")  # type: ignore[arg-type]
    assert "read-only" in only(check_database(Database(postgres_url)), "error").text


def test_a_server_that_does_not_answer_is_an_error_without_its_password() -> None:
    found = only(check_database(Database("postgresql://ann:secret@127.0.0.1:1/x")), "error")
    assert "127.0.0.1:1/x" in found.text
    assert "secret" not in found.text


# -- plugins ---------------------------------------------------------------------------------------------------

REASON = Reason(code="dependency_missing", text="maps requires gps, which is not installed.", way_out="Install gps.")


def plan(*entries: PlanEntry, warnings: tuple[str, ...] = ()) -> Plan:
    return Plan(entries, {}, warnings)


def entry(plugin: str = "maps", **values: Any) -> PlanEntry:
    return PlanEntry(**{"id": plugin, "name": "Maps", "version": "1.0", "source": "wheel", "place": "x", **values})


@pytest.mark.parametrize(
    ("state", "level"),
    [
        *((state, "error") for state in ("refused", "blocked", "pending", "quarantined")),
        ("consent", "warning"),
        ("orphaned", "warning"),
        ("disabled", "note"),
    ],
)
def test_a_parked_plugin_is_told_with_its_reason_and_way_out(state: str, level: str) -> None:
    found = only(check_plugins(plan(entry(state=state, reason=REASON))), level)
    assert found.text == f"maps is {state} (dependency_missing): maps requires gps, which is not installed."
    assert found.way_out == "Install gps."


def test_what_waits_for_consent_or_a_restart_is_told() -> None:
    found = list(check_plugins(plan(entry(state="active", restart_needed=True, awaiting=("maps.read",)))))
    assert "plugin-host plugins consent maps" in only(found, "warning").way_out
    assert "Restart the host" in only(found, "note").way_out


def test_warnings_of_the_plan_are_warnings() -> None:
    found = only(check_plugins(plan(entry(state="active"), warnings=("the folder is empty",))), "warning")
    assert found.text == "the folder is empty"


def test_waiting_revisions_are_a_note_where_the_start_runs_them_and_an_error_where_it_does_not() -> None:
    waiting = plan(entry(state="active", pending=("maps_0001",)))
    assert only(check_tables(waiting, Settings()), "note").way_out == "The next start brings them up to date."
    looking = Settings(migrations=Migrations(on_start="check"))
    assert only(check_tables(waiting, looking), "error").way_out == "Run: plugin-host migrate"
    assert levels(check_tables(plan(entry(state="active")), looking)) == ["ok"]


def test_settings_of_a_plugin_that_is_not_there_are_a_note() -> None:
    found = list(check_plugin_settings(plan(entry(state="active")), Settings(plugins={"gps": {"a": 1}})))
    assert "[plugins.gps]" in only(found, "note").text


def test_starts_that_died_are_told_until_one_comes_up() -> None:
    death = Death(begun=("maps",), plugin="maps", step="import", when=0)
    searching = Search(order=(Member("maps", "1"),), died=1)
    assert levels(check_starts(State())) == ["ok"]
    once = only(check_starts(State(last=death, deaths=(death,))), "warning")
    assert once.text == "A start died while maps was being activated (import), 1970-01-01 00:00:00 UTC."
    assert "finding out" in only(check_starts(State(last=death, search=searching)), "warning").way_out
    assert "a later one came up" in only(check_starts(State(last=death)), "note").text


# -- the whole -------------------------------------------------------------------------------------------------


def test_a_check_that_fails_itself_is_a_finding() -> None:
    def broken() -> Iterator[Finding]:
        yield Finding(check="disk", level="ok", text="so far")
        raise OSError("no such device")

    found = _safely("disk", broken)
    assert levels(found) == ["ok", "error"]
    assert "no such device" in found[1].text


def test_the_document_is_ok_without_errors() -> None:
    assert document([Finding(check="disk", level="warning", text="")])["ok"]
    assert not document([Finding(check="disk", level="error", text="")])["ok"]


async def test_an_empty_folder_is_well_and_stays_empty(folder: Path) -> None:
    found = await examine(None, {})
    assert "error" not in levels(found)
    assert list(folder.iterdir()) == []


async def test_settings_that_are_wrong_leave_the_rest_unlooked_at(folder: Path) -> None:
    (folder / "plugin-host.toml").write_text("nonsense = 1\n")
    found = await examine(None, {})
    assert {finding.check for finding in found} == {"python", "versions", "settings"}


@pytest.mark.parametrize("url", ["mysql://a/b", "no address", "sqlite://"])
async def test_a_database_that_cannot_be_is_a_finding(folder: Path, url: str) -> None:
    found = await examine(None, {"PLUGIN_HOST_DATABASE": url})
    assert "error" in [finding.level for finding in found if finding.check == "database"]
