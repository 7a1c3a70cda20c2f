"""Everything that can be wrong with a plugin, all at once in one host; a healthy plugin serves next to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .clashes import CLASHES
from .conftest import Serve
from .declared import DECLARED
from .hooks import HOOKS
from .imports import IMPORTS
from .life import MIGRATIONS, START
from .making import Bad
from .manifests import FILES
from .routes import ROUTES
from .serving import Asker, Host, healthy

pytestmark = pytest.mark.slow

CROWD = (*FILES, *DECLARED, *CLASHES, *IMPORTS, *HOOKS, *ROUTES, *MIGRATIONS, *START)
PARKED = [bad for bad in CROWD if bad.state != "active"]


def name(bad: Bad) -> str:
    return bad.what


@pytest.fixture(scope="module")
def crowd(serve: Serve) -> Host:
    return serve(CROWD, import_timeout=2.5, startup_timeout=1)


@pytest.fixture(scope="module")
def asker(crowd: Host) -> Iterator[Asker]:
    """Ask the healthy plugin all the while."""
    asker = Asker(crowd)
    with asker.asking():
        yield asker


@pytest.fixture(scope="module")
def shown(crowd: Host, asker: Asker) -> dict[str, dict[str, object]]:
    return crowd.plugins()


@pytest.mark.parametrize("bad", CROWD, ids=name)
def test_it_has_the_state_and_the_reason_that_its_fault_deserves(
    bad: Bad, crowd: Host, shown: dict[str, dict[str, object]]
) -> None:
    entry = shown[bad.plugin]
    assert crowd.verdict(entry) == crowd.expected(bad, entry)


@pytest.mark.parametrize("bad", PARKED, ids=name)
def test_what_it_would_serve_is_not_there_and_the_healthy_one_is(bad: Bad, crowd: Host) -> None:
    answer = crowd.get(f"/api/{bad.plugin}/")
    assert (answer.status_code, answer.json()["type"]) == (503, f"urn:plugin-host:problem:{bad.code}")
    assert crowd.get("/api/good").json() == {"hello": "world"}


@pytest.mark.parametrize(
    "bad", [bad for bad in PARKED if bad.plugin in ("raises", "migraises", "noprinter", "undeclared")], ids=name
)
def test_trying_again_changes_nothing_until_it_is_mended(bad: Bad, crowd: Host) -> None:
    answer = crowd.post(f"/api/core/plugins/{bad.plugin}/retry")
    assert (answer.status_code, answer.json()["state"], answer.json()["reason"]["code"]) == (200, bad.state, bad.code)


@pytest.mark.parametrize(
    "bad", [bad for bad in PARKED if bad.plugin in ("raises", "hangs", "brokenjson", "starthangs")], ids=name
)
def test_an_operator_can_switch_it_off(bad: Bad, crowd: Host) -> None:
    answer = crowd.post(f"/api/core/plugins/{bad.plugin}/disable")
    assert (answer.status_code, answer.json()["state"]) == (200, "disabled")
    assert crowd.get(f"/api/{bad.plugin}/").status_code == 404


def test_the_host_is_degraded_and_ready(crowd: Host) -> None:
    answer = crowd.get("/health/ready")
    assert (answer.status_code, answer.json()) == (200, {"status": "degraded"})


def test_no_traceback_and_no_megabyte_is_shown_to_the_operator(crowd: Host) -> None:
    assert "Traceback (most recent call last)" not in crowd.printed.partition("running at")[0]
    assert max(map(len, crowd.printed.splitlines())) < 4000


def test_commands_work_beside_it(crowd: Host) -> None:
    listed = crowd.command("plugins", "list", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert '"import_failed"' in listed.stdout


def test_the_healthy_one_answered_everything_all_the_while(crowd: Host, asker: Asker) -> None:
    assert healthy(crowd) == []
    assert asker.failures == []
    assert asker.asked > 50


def test_the_host_ends_when_it_is_told_to(crowd: Host, asker: Asker) -> None:
    assert crowd.end() == 0
    assert "good was stopped" in crowd.printed
