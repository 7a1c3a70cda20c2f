"""The journal of starts, with processes that really die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from plugin_host.supervision.bisection import State
from plugin_host.supervision.starts import Starts

PLUGINS = ("contacts", "invoicing", "maps", "notes", "tasks")

# One start in a process of its own: each plugin is imported and started, and the ones named on the command line
# do what it says when their step comes (`maps:import:exit`), or when all is through (`maps:end:kill`).
START = """
    import json, os, signal, sys, time
    from pathlib import Path
    from plugin_host.supervision.starts import Starts

    folder, plugins, *said = sys.argv[1:]
    plugins = dict(each.split("=") for each in plugins.split(","))
    deeds = {(plugin, when): deed for plugin, when, deed in (each.split(":") for each in said)}

    def act(plugin, when):
        deed = deeds.get((plugin, when))
        if deed == "exit":
            os._exit(0)
        if deed == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if deed == "abort":
            os.abort()
        if deed == "raise":
            raise RuntimeError("no port")
        if deed == "wait":
            print("waiting", flush=True)
            sys.stdin.readline()
        if deed == "fork":
            if os.fork() == 0:
                os.closerange(0, 3)  # whoever waits for the parent's output does not wait for the child
                time.sleep(5)
                os._exit(0)

    journal = Starts(Path(folder) / "starting.json")
    held = journal.begin(plugins)
    try:
        with journal.step("", "migrate"):
            act("", "migrate")
        for step in ("import", "start"):
            for plugin in plugins:
                if plugin not in held:
                    with journal.step(plugin, step):
                        act(plugin, step)
        for plugin in plugins:
            if plugin not in held:
                act(plugin, "end")
        journal.up()
    finally:
        journal.close()
    print(json.dumps({plugin: reason.text for plugin, reason in held.items()}))
"""


def command(folder: Path, *said: str, plugins: str = "") -> list[str]:
    given = plugins or ",".join(f"{plugin}=1.0" for plugin in PLUGINS)
    return [sys.executable, "-c", textwrap.dedent(START), str(folder), given, *said]


def start(folder: Path, *said: str, plugins: str = "") -> dict[str, str] | None:
    """Start once; give who was left off and why, or None if the process died."""
    done = subprocess.run(
        command(folder, *said, plugins=plugins), capture_output=True, text=True, check=False, timeout=60
    )
    return json.loads(done.stdout) if done.stdout else None


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process that waits in the import of maps."""
    with subprocess.Popen(
        command(tmp_path, "maps:import:wait"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        yield process
        process.kill()


@pytest.mark.parametrize("deed", ["exit", "kill", "abort"])
@pytest.mark.parametrize("when", ["import", "start"])
def test_a_plugin_that_ends_the_process_twice_is_left_off(tmp_path: Path, deed: str, when: str) -> None:
    assert start(tmp_path, f"maps:{when}:{deed}") is None
    assert start(tmp_path, f"maps:{when}:{deed}") is None
    expected = {"maps": f"The process died twice while maps was being activated ({when})."}
    assert start(tmp_path, f"maps:{when}:{deed}") == expected
    assert start(tmp_path, f"maps:{when}:{deed}") == expected


@pytest.mark.slow
@pytest.mark.parametrize("when", ["end", "migrate"])
def test_the_search_finds_who_strikes_outside_its_steps(tmp_path: Path, when: str) -> None:
    # A migration is run for all plugins together: whose it was is not known there.
    said = {"end": "maps:end:kill", "migrate": ":migrate:kill"}[when]
    outcomes = []
    for _ in range(10):
        held = Starts(tmp_path / "starting.json").judge(dict.fromkeys(PLUGINS, "1.0"))
        outcomes.append(start(tmp_path, *([] if "maps" in held else [said])))
        if outcomes[-1] is not None and list(outcomes[-1]) == ["maps"]:
            break
    assert outcomes[:2] == [None, None]
    assert list(outcomes[-1] or {}) == ["maps"]
    assert "came up without it" in (outcomes[-1] or {})["maps"]


def test_a_start_that_fails_in_order_is_no_death(tmp_path: Path) -> None:
    for _ in range(3):
        assert start(tmp_path, "maps:import:raise") is None
    assert start(tmp_path) == {}


def test_another_process_that_is_starting_is_not_dead(tmp_path: Path, begun: subprocess.Popen[str]) -> None:
    for _ in range(3):
        assert start(tmp_path) == {}
    begun.communicate("\n", timeout=30)
    assert begun.returncode == 0
    assert list(tmp_path.glob("*.steps")) == []


def test_a_child_that_outlives_a_killed_host_does_not_hide_its_death(tmp_path: Path) -> None:
    for _ in range(2):
        assert start(tmp_path, "contacts:import:fork", "maps:import:kill") is None
    assert list(start(tmp_path) or {}) == ["maps"]


def test_workers_that_die_of_one_thing_at_once_are_one_death(tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            command(tmp_path, "maps:import:wait"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(4)
    ]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    for worker in workers:
        worker.kill()
        worker.communicate()
    assert start(tmp_path) == {}


def test_workers_that_start_at_once_and_die_lead_to_one_culprit(tmp_path: Path) -> None:
    for _ in range(3):
        workers = [subprocess.Popen(command(tmp_path, "maps:import:kill"), stdout=subprocess.PIPE) for _ in range(4)]
        for worker in workers:
            worker.communicate()
    assert list(start(tmp_path, "maps:import:kill") or {}) == ["maps"]


def test_a_pid_that_is_used_again_hides_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        assert start(tmp_path, "maps:import:kill") is None
        (left,) = tmp_path.glob("*.steps")
        left.rename(tmp_path / f"starting-{os.getpid()}-00000000-1.steps")  # our own process id, and we live
    assert list(start(tmp_path) or {}) == ["maps"]


def test_another_version_is_tried_again(tmp_path: Path) -> None:
    for _ in range(2):
        start(tmp_path, "maps:import:kill")
    assert list(start(tmp_path) or {}) == ["maps"]
    assert start(tmp_path, plugins="contacts=1.0,maps=1.1") == {}


def test_a_start_that_comes_up_makes_the_death_before_it_an_accident(tmp_path: Path) -> None:
    for said in (["maps:import:kill"], [], ["maps:import:kill"]):
        start(tmp_path, *said)
    assert start(tmp_path) == {}


# -- in this process -------------------------------------------------------------------------------------------


def test_a_healthy_start_leaves_nothing_but_the_lock(tmp_path: Path) -> None:
    journal = Starts(tmp_path / "starting.json")
    assert journal.begin({"maps": "1.0"}) == {}
    with journal.step("maps", "import"):
        assert len(list(tmp_path.glob("starting-*.steps"))) == 1
    journal.up()
    assert [path.name for path in tmp_path.iterdir()] == ["starting.lock"]


def test_all_files_are_for_their_owner_only(tmp_path: Path) -> None:
    start(tmp_path, "maps:import:kill")
    journal = Starts(tmp_path / "starting.json")
    journal.begin({"maps": "1.0"})
    assert {path.suffix: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        ".json": 0o600,
        ".lock": 0o600,
        ".steps": 0o600,
    }
    journal.close()


def test_looking_writes_nothing(tmp_path: Path) -> None:
    journal = Starts(tmp_path / "starting.json")
    assert journal.judge({"maps": "1.0"}) == {}
    assert list(tmp_path.iterdir()) == []
    for _ in range(2):
        start(tmp_path, "maps:import:kill")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert list(journal.judge(dict.fromkeys(PLUGINS, "1.0"))) == ["maps"]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_a_start_has_decided_holds_until_the_mark_changes(tmp_path: Path) -> None:
    for _ in range(2):
        start(tmp_path, "maps:end:kill")
    plugins = dict.fromkeys(PLUGINS, "1.0")
    journal = Starts(tmp_path / "starting.json")
    held = journal.begin(plugins)
    journal.up()  # the search goes on with the next start, not in this one
    assert journal.judge(plugins) == held
    retried = {**plugins, "tasks": "1.0 retried"}
    assert set(held) - set(journal.judge(retried)) == {"tasks"}


def test_a_broken_journal_is_left_out_of_account(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "starting.json").write_text('{"round": "no number"')
    (tmp_path / "starting-7-0-1.steps").write_bytes(b"\xff no journal\n")
    (tmp_path / "starting-8-0-1.steps").write_bytes(b"")
    journal = Starts(tmp_path / "starting.json")
    assert journal.begin({"maps": "1.0"}) == {}
    assert "cannot be read" in caplog.text
    journal.up()
    assert list(tmp_path.glob("*.steps")) == []


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_without_a_folder_that_can_be_written_there_is_no_journal(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").write_text("no folder")
    journal = Starts(tmp_path / folder / "starting.json")
    assert journal.begin({"maps": "1.0"}) == {}
    with journal.step("maps", "import"):
        pass
    journal.up()
    journal.close()
    assert journal.state() == State()


def test_a_full_disk_ends_the_journal_and_not_the_start(tmp_path: Path) -> None:
    journal = Starts(tmp_path / "starting.json")
    journal.begin({"maps": "1.0"})
    os.close(journal._file)
    journal._file = os.open("/dev/full", os.O_WRONLY)
    with journal.step("maps", "import"):
        pass
    journal.up()
    assert list(tmp_path.glob("*.steps")) == []


def test_a_start_that_comes_up_waits_for_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    journal = Starts(tmp_path / "starting.json")
    journal.begin({"maps": "1.0"})
    with journal.step("maps", "import"):
        pass
    journal.up()
    assert synced == []


def test_the_signal_that_no_process_survives_is_seen_by_the_next_start(
    tmp_path: Path, begun: subprocess.Popen[str]
) -> None:
    begun.send_signal(signal.SIGKILL)
    begun.wait()
    last = Starts(tmp_path / "starting.json").state().last
    assert last is not None
    assert (last.plugin, last.step) == ("maps", "import")
    assert abs(time.time() - last.when) < 60
