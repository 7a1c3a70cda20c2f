"""The commands as an operator calls them: exit codes, one-line errors, JSON."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

Run = "Callable[..., subprocess.CompletedProcess[str]]"
GOOD = """
from plugin_host.sdk import get, hookimpl

@get("/", permission="signed-in")
async def hello() -> dict[str, str]:
    return {"hello": "world"}

@hookimpl
def register_routes():
    return [hello]
"""


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Call plugin-host in an empty folder of its own."""

    def call(*words: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PLUGIN_HOST_")}
        return subprocess.run(
            [sys.executable, "-m", "plugin_host", *words],
            cwd=tmp_path,
            env={**environment, **variables},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return call


def test_the_version_needs_no_web_stack(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom plugin_host.cli.main import main\n"
        "try:\n    main(['--version'])\nexcept SystemExit as stop:\n    assert not stop.code\n"
        "loaded = {'litestar', 'sqlalchemy', 'alembic', 'casbin'} & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("plugin-host ")


@pytest.mark.parametrize(
    "words", [["plan"], ["plugins", "list"], ["migrate", "--plan"], ["migrate"], ["users", "list"]]
)
def test_commands_that_need_no_web_stack_do_not_import_it(words: list[str], tmp_path: Path) -> None:
    code = (
        f"import sys\nfrom plugin_host.cli.main import main\ntry:\n    main({words!r})\nexcept SystemExit as stop:\n"
        "    assert not stop.code\nassert 'litestar' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_plan_on_an_empty_folder_writes_nothing(run: Run, tmp_path: Path) -> None:
    done = run("plan", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["items"][0]["id"] == "core"
    assert list(tmp_path.iterdir()) == []


def test_a_strict_plan_fails_for_a_plugin_at_fault(run: Run, folder_plugin: Callable[..., Path]) -> None:
    folder_plugin("bad", GOOD, requires={"core": ">=9"})
    folders = {"PLUGIN_HOST_LOADER__FOLDERS": '["./plugins"]'}
    assert run("plan", **folders).returncode == 0
    strict = run("plan", "--strict", **folders)
    assert strict.returncode == 1
    assert "core_incompatible" in strict.stdout


def test_the_list_tells_what_only_an_import_shows(run: Run, folder_plugin: Callable[..., Path]) -> None:
    folder_plugin("bad", "raise RuntimeError('no such luck')")
    folders = {"PLUGIN_HOST_LOADER__FOLDERS": '["./plugins"]'}
    assert run("bad", "anything", **folders).returncode == 1  # this activates everything
    items = json.loads(run("plugins", "list", "--json", **folders).stdout)["items"]
    bad = next(item for item in items if item["id"] == "bad")
    assert (bad["state"], bad["reason"]["code"]) == ("quarantined", "import_failed")


def test_an_unknown_setting_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "plugin-host.toml").write_text("[server]\nprot = 80\n")
    done = run("plugins", "list")
    assert done.returncode == 1
    assert "prot" in done.stderr
    assert "port" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_taken_port_is_one_line(run: Run) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("serve", "--port", str(port))
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unusable_data_folder_is_one_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run("migrate", PLUGIN_HOST_DATA_DIR=str(tmp_path / "file" / "data"))
    assert done.returncode == 1
    assert "data_dir" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize("words", [["plan"], ["migrate"], ["users", "list"], ["serve", "--port", "0"]])
def test_a_database_that_does_not_answer_is_one_line(run: Run, words: list[str]) -> None:
    with socket.socket() as closed:  # bound and not listening: nobody answers there
        closed.bind(("127.0.0.1", 0))
        done = run(*words, PLUGIN_HOST_DATABASE=f"postgresql://ann:Vq7rTz0pLw3@127.0.0.1:{closed.getsockname()[1]}/x")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
    assert "check `database`" in done.stderr
    assert "Vq7rTz0pLw3" not in done.stderr


@pytest.mark.parametrize("words", [["plan"], ["migrate"], ["serve", "--port", "0"]])
def test_a_file_that_is_no_database_is_one_line(run: Run, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "host.db").write_text("no database at all, but long enough to be looked at")
    done = run(*words, PLUGIN_HOST_DATABASE="sqlite:///host.db")
    assert (done.returncode, len(done.stderr.strip().splitlines())) == (1, 1)
    assert "file is not a database" in done.stderr


def test_a_plan_warns_of_folders_that_are_not_there(run: Run) -> None:
    done = run("plan", PLUGIN_HOST_LOADER__FOLDERS='["nowhere"]')
    assert done.returncode == 0
    assert done.stderr.startswith("warning: loader.folders names ")


def test_users_before_the_first_start_end_the_set_up_state(run: Run, tmp_path: Path) -> None:
    made = run("users", "create", "ada", "--role", "core.admin", "--password-file", "-", stdin="a-long-password\n")
    assert made.returncode == 0, made.stderr
    listed = json.loads(run("users", "list", "--json").stdout)["items"]
    assert [(user["username"], user["roles"]) for user in listed] == [("ada", ["core.admin"])]
    assert (tmp_path / "plugin-host-data").stat().st_mode & 0o777 == 0o700


def test_a_user_with_an_unknown_role_is_not_made(run: Run) -> None:
    done = run(
        "users", "create", "ada", "--role", "contacts.emperor", "--password-file", "-", stdin="a-long-password\n"
    )
    assert done.returncode == 1
    assert "contacts.emperor" in done.stderr
    assert json.loads(run("users", "list", "--json").stdout)["items"] == []


def test_migrate_does_its_work_once(run: Run) -> None:
    first = json.loads(run("migrate", "--json").stdout)
    assert "core_0001" in first["applied"]
    assert json.loads(run("migrate", "--json").stdout)["applied"] == []


def test_a_planned_migration_writes_nothing(run: Run, tmp_path: Path) -> None:
    pending = json.loads(run("migrate", "--plan", "--json").stdout)["pending"]
    assert ("core", "core_0001") in [(each["plugin"], each["revision"]) for each in pending]
    assert list(tmp_path.iterdir()) == []


def test_check_runs_a_folder_plugin(run: Run, folder_plugin: Callable[..., Path]) -> None:
    folder = folder_plugin("good", GOOD) / "good"
    done = run("check", str(folder), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["items"][0]["state"] == "active"


def test_check_fails_for_a_route_without_a_permission(run: Run, folder_plugin: Callable[..., Path]) -> None:
    folder = folder_plugin("bad", GOOD.replace(', permission="signed-in"', "")) / "bad"
    done = run("check", str(folder))
    assert done.returncode == 1
    assert "permission_undeclared" in done.stdout


def test_the_settings_are_shown_with_where_they_come_from(run: Run) -> None:
    rows = json.loads(run("config", "show", "--json", PLUGIN_HOST_SERVER__PORT="8123").stdout)["items"]
    port = next(row for row in rows if row["key"] == "server.port")
    assert (port["value"], port["source"]) == (8123, "PLUGIN_HOST_SERVER__PORT")


@pytest.mark.parametrize("file", ["plugin", "permissions", "menu"])
def test_a_schema_is_printed(run: Run, file: str) -> None:
    assert json.loads(run("schema", file).stdout)["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize("words", [["--demo"], ["--reload"], ["--safe"], ["--safe=a"], ["--workers", "2"]])
def test_an_applications_host_is_not_served_with_what_it_says_itself(run: Run, words: list[str]) -> None:
    assert run("serve", "--app", "nowhere:host", *words).returncode == 2


def test_a_plugins_commands_have_the_short_word_for_help_too(run: Run, folder_plugin: Callable[..., Path]) -> None:
    code = (
        "import click\nfrom plugin_host.sdk import hookimpl\n"
        "@hookimpl\ndef register_commands():\n    return [click.Command('count')]\n"
    )
    done = run("sums", "-h", PLUGIN_HOST_LOADER__FOLDERS=json.dumps([str(folder_plugin("sums", code))]))
    assert (done.returncode, "count" in done.stdout) == (0, True)


def test_misuse_is_exit_code_two(run: Run) -> None:
    assert run("plan", "--no-such-option").returncode == 2
    assert run("nosuchthing").returncode == 2


def test_a_strict_start_is_refused_while_a_plugin_is_at_fault(run: Run, folder_plugin: Callable[..., Path]) -> None:
    folder_plugin("bad", "raise RuntimeError('no such luck')")
    folders = {"PLUGIN_HOST_LOADER__FOLDERS": '["./plugins"]', "PLUGIN_HOST_LOADER__STRICT": "true"}
    done = run("serve", "--port", "0", **folders)
    assert done.returncode == 1
    assert "no such luck" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [("PLUGIN_HOST_LOADER__DEFAULT", "perhaps"), ("PLUGIN_HOST_THEME__LOGO", "https://elsewhere.test/x.png")],
)
def test_a_setting_that_cannot_be_followed_is_one_line(run: Run, name: str, value: str) -> None:
    done = run("plan", **{name: value})
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
