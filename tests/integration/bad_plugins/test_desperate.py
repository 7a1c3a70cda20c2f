"""Plugins that try to take the process along, at the start, while it runs, and at the end."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from .conftest import Serve
from .desperate import ENDS, SICK, STAYS, TAKES, VANDALS
from .making import Bad
from .serving import Asker, Host, healthy

pytestmark = pytest.mark.slow


def name(bad: Bad) -> str:
    return bad.what


# -- at the start ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def attacked(serve: Serve) -> Host:
    return serve((*TAKES, ENDS[0]), import_timeout=2.5, startup_timeout=1)


@pytest.mark.parametrize("bad", TAKES, ids=name)
def test_who_tries_to_end_the_host_is_parked(bad: Bad, attacked: Host) -> None:
    entry = attacked.plugins()[bad.plugin]
    assert attacked.verdict(entry) == attacked.expected(bad, entry)
    assert healthy(attacked) == []


def test_a_host_that_was_attacked_ends_when_it_is_told_to(attacked: Host) -> None:
    assert attacked.end() == 0
    assert "endraises: hook shutdown failed: ValueError: no rest" in attacked.printed
    assert "good was stopped" in attacked.printed


# -- while it runs -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def vandalised(serve: Serve) -> Host:
    return serve((*VANDALS, *SICK, *ENDS), startup_timeout=1)


@pytest.fixture(scope="module")
def asker(vandalised: Host) -> Iterator[Asker]:
    asker = Asker(vandalised)
    with asker.asking():
        yield asker


@pytest.mark.parametrize("bad", [*VANDALS, *SICK], ids=name)
def test_it_runs_and_so_does_everybody_else(bad: Bad, vandalised: Host, asker: Asker) -> None:
    assert vandalised.plugins()[bad.plugin]["state"] == "active"
    assert vandalised.get(f"/api/{bad.plugin}").json() == {"hello": "world"}
    assert healthy(vandalised) == []


def test_sick_plugins_make_the_host_degraded_within_the_limit(vandalised: Host) -> None:
    begun = time.monotonic()
    answer = vandalised.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "degraded"})
    assert time.monotonic() - begun < 15  # one of them never answers, and is waited for for two seconds


@pytest.mark.parametrize("bad", ENDS, ids=name)
def test_it_can_be_switched_off_and_on_again(bad: Bad, vandalised: Host) -> None:
    off = vandalised.post(f"/api/core/plugins/{bad.plugin}/disable")
    assert (off.status_code, off.json()["state"]) == (200, "disabled")
    assert vandalised.get(f"/api/{bad.plugin}").status_code == 404
    on = vandalised.post(f"/api/core/plugins/{bad.plugin}/enable")
    assert (on.status_code, on.json()["state"]) == (200, "active")
    assert vandalised.get(f"/api/{bad.plugin}").json() == {"hello": "world"}


def test_the_healthy_one_answered_everything_all_the_while(vandalised: Host, asker: Asker) -> None:
    assert asker.failures == []
    assert asker.asked > 20


def test_what_it_kept_is_where_it_belongs(vandalised: Host) -> None:
    assert (vandalised.root / "plugin-host-data" / "host.db").is_file()
    assert vandalised.command("plugins", "list").returncode == 0


def test_a_host_that_was_vandalised_ends_when_it_is_told_to(vandalised: Host, asker: Asker) -> None:
    assert vandalised.end() == 0


# -- at the end --------------------------------------------------------------------------------------------------


def test_the_host_ends_whatever_plugins_leave_behind(serve: Serve) -> None:
    host = serve(STAYS, startup_timeout=1)
    assert {host.plugins()[bad.plugin]["state"] for bad in STAYS} == {"active"}
    assert host.end() == 0
