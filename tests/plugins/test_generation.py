from __future__ import annotations

import pytest

from plugin_host.plugins.generation import Generation
from plugin_host.plugins.plan import State
from plugin_host.plugins.resolver import resolve
from plugin_host.sdk.errors import Reason

from .building import found

BROKEN = Reason(code="startup_failed", text="no printer")


def parked(state: State) -> Generation:
    plan = resolve([found("hello")]).park("hello", state, BROKEN)
    return Generation(number=1, plan=plan, apps={}, declared={}, routes={}, timings={})


@pytest.mark.parametrize("state", ["refused", "blocked", "consent", "pending", "quarantined"])
def test_a_plugin_that_is_parked_by_a_fault_is_unavailable(state: State) -> None:
    assert parked(state).answer("hello") == (503, "startup_failed")


@pytest.mark.parametrize("state", ["disabled", "orphaned"])
def test_a_plugin_that_is_not_wanted_is_not_there(state: State) -> None:
    assert parked(state).answer("hello") == (404, "not_found")


def test_an_unknown_plugin_is_not_there() -> None:
    assert parked("refused").answer("other") == (404, "not_found")
