from __future__ import annotations

from typing import Any

import msgspec
import pytest

from plugin_host.plugins.plan import Candidate, Found, Plan
from plugin_host.plugins.resolver import resolve
from plugin_host.sdk.errors import Reason

from .building import found

BROKEN = Reason(code="startup_failed", text="no printer", culprits=("a",), way_out="buy one")


@pytest.fixture
def chain() -> Plan:
    """c requires b requires a; d stands alone; e would like a."""
    return resolve(
        [
            found("aa"),
            found("bb", {"aa": ""}),
            found("cc", {"bb": ""}),
            found("dd"),
            found("ee", optional={"aa": ""}),
        ]
    )


def states(plan: Plan) -> dict[str, str]:
    return {entry.id: entry.state for entry in plan.entries}


def test_parking_blocks_those_that_require_it_and_nobody_else(chain: Plan) -> None:
    parked = chain.park("aa", "quarantined", BROKEN)
    assert states(parked) == {"aa": "quarantined", "bb": "blocked", "cc": "blocked", "dd": "active", "ee": "active"}


def test_the_blocked_name_the_root(chain: Plan) -> None:
    entry = chain.park("aa", "quarantined", BROKEN).entry("cc")
    assert entry is not None
    assert entry.reason == Reason(
        code="dependency_inactive",
        text="cc cannot run without aa, which it requires, directly or through others: that is not active.",
        culprits=("aa",),
        way_out="Bring aa back (the plan says what is wrong there), or disable cc.",
    )


def test_the_parked_keep_their_reason_when_another_is_parked(chain: Plan) -> None:
    entry = chain.park("aa", "quarantined", BROKEN).park("dd", "refused", BROKEN).entry("aa")
    assert entry is not None
    assert (entry.state, entry.reason) == ("quarantined", BROKEN)


def test_the_runnable_are_numbered_anew_and_the_parked_have_no_place(chain: Plan) -> None:
    parked = chain.park("aa", "quarantined", BROKEN)
    assert [(entry.id, entry.order) for entry in parked.entries] == [
        ("dd", 1),
        ("ee", 2),
        ("aa", None),
        ("bb", None),
        ("cc", None),
    ]


def test_parking_leaves_the_old_plan_as_it_was(chain: Plan) -> None:
    before = chain.entries
    chain.park("aa", "quarantined", BROKEN)
    assert chain.entries == before


def test_a_plugin_without_a_package_gets_an_entry_of_its_own(chain: Plan) -> None:
    entry = chain.park("gone", "orphaned", BROKEN).entry("gone")
    assert entry is not None
    assert (entry.state, entry.source, entry.reason) == ("orphaned", "missing", BROKEN)


def test_what_was_activated_is_marked_built(chain: Plan) -> None:
    marks = {entry.id: entry.verified for entry in chain.change("bb", verified="built").entries}
    assert marks == {"aa": "static", "bb": "built", "cc": "static", "dd": "static", "ee": "static"}


def test_an_unknown_plugin_has_no_entry(chain: Plan) -> None:
    assert chain.entry("zz") is None


def test_entries_are_json(chain: Plan) -> None:
    document: Any = msgspec.json.decode(msgspec.json.encode(chain.entries))
    assert document[1]["requires"] == {"core": ">=1", "aa": ""}


def test_the_package_is_the_top_level_name_of_the_entry() -> None:
    assert Candidate(id="aa", source="wheel", place="x", entry="host_aa.deep.hooks:Plugin").package == "host_aa"


@pytest.mark.parametrize(("installed", "expected"), [("2.0", "2.0"), (None, "1.0")])
def test_the_version_is_the_distributions_where_there_is_one(installed: str | None, expected: str) -> None:
    one = found("aa", version=installed)
    assert one.manifest is not None
    said = msgspec.structs.replace(one, manifest=msgspec.structs.replace(one.manifest, version="1.0"))
    assert said.version == expected


def test_what_could_not_be_read_has_the_distributions_version() -> None:
    assert Found(candidate=Candidate(id="aa", source="wheel", place="x")).version is None
