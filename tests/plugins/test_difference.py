"""What changes between two plans, as a value and in words."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from plugin_host.plugins.difference import Change, Difference, Names, difference, tell
from plugin_host.plugins.plan import Found, Plan
from plugin_host.plugins.resolver import resolve
from plugin_host.sdk.errors import Reason
from plugin_host.sdk.manifest import EventsDeclared, MenuItem, Permission, PermissionsFile, PublicRoute, Role, RoleGrant
from plugin_host.sdk.screens import IframeScreen, Slot, Ui

from .building import found

VIEW = Permission(name="aa.view", title="See")
EDIT = Permission(name="aa.edit", title="Change")


def plan(*them: Found, pending: tuple[str, ...] = (), awaiting: tuple[str, ...] = ()) -> Plan:
    made = resolve([*them, found("core", source="core", version="0.1")])
    return made.change("aa", pending=pending, awaiting=awaiting) if pending or awaiting else made


def aa(version: str = "1.0", *, public: Any = (), roles: Any = (), **keys: Any) -> Found:
    one = found("aa", version=version, **keys)
    files = PermissionsFile(permissions=one.permissions.permissions, roles=roles, public=public)
    return msgspec.structs.replace(one, permissions=files)


def only(change: Difference) -> Change:
    (one,) = change.plugins
    return one


def test_the_same_plan_is_no_difference() -> None:
    assert difference(plan(aa()), plan(aa())) == Difference()


def test_another_place_is_no_difference() -> None:
    assert difference(plan(aa(place="here")), plan(aa(place="there"))) == Difference()


def test_a_new_plugin_starts() -> None:
    told = difference(plan(), plan(aa(permissions=(VIEW,))))
    assert (told.starts, told.stops) == (("aa",), ())
    assert only(told).before is None
    assert only(told).permissions == Names(new=("aa.view",))


def test_a_plugin_that_is_gone_stops() -> None:
    told = difference(plan(aa(permissions=(VIEW,))), plan())
    assert (told.starts, told.stops, only(told).after) == ((), ("aa",), None)
    assert only(told).permissions == Names(gone=("aa.view",))


def test_an_upgrade_tells_everything_that_comes_and_goes() -> None:
    screen = IframeScreen(id="all", title="All", permission="aa.view", entry="ui/x.html")
    before = plan(aa(permissions=(VIEW,), menu=(MenuItem(id="aa.old"),)), pending=("aa_0001",))
    after = plan(
        aa(
            "2.0",
            permissions=(EDIT,),
            menu=(MenuItem(id="aa.all"),),
            public=(PublicRoute(method="GET", path="/hello", reason="x"),),
            roles=(Role(name="aa.editor", title="x"),),
            optional={"bb": ""},
            asks=("bb.view",),
            events=EventsDeclared(publishes=("aa.made",), subscribes=("bb.made",)),
            ui=Ui(screens=(screen,), slots=(Slot(slot="core.home", kind="iframe", entry="x", permission="aa.view"),)),
        ),
        pending=("aa_0001", "aa_0002"),
        awaiting=("aa.edit",),
    )
    change = only(difference(before, after))
    assert change == Change(
        id="aa",
        name="Aa",
        before=change.before,
        after=change.after,
        permissions=Names(new=("aa.edit",), gone=("aa.view",)),
        roles=Names(new=("aa.editor",)),
        asks=Names(new=("bb.view",)),
        public=Names(new=("GET /hello",)),
        publishes=Names(new=("aa.made",)),
        subscribes=Names(new=("bb.made",)),
        menu=Names(new=("aa.all",), gone=("aa.old",)),
        screens=Names(new=("all",)),
        slots=Names(new=("core.home",)),
        migrations=("aa_0002",),
        awaiting=("aa.edit",),
    )
    assert change.before is not None
    assert change.after is not None
    assert (change.before.version, change.after.version) == ("1.0", "2.0")


@pytest.mark.parametrize(
    "other",
    [msgspec.structs.replace(EDIT, implies=("aa.view",)), msgspec.structs.replace(EDIT, scope="object")],
    ids=["implies", "scope"],
)
def test_a_permission_that_means_something_else_is_changed(other: Permission) -> None:
    """Whoever holds it already gets more, or less, without anybody granting anything."""
    told = difference(plan(aa(permissions=(VIEW, EDIT))), plan(aa(permissions=(VIEW, other))))
    assert only(told).permissions == Names(changed=("aa.edit",))


def test_a_role_that_grants_something_else_is_changed() -> None:
    grants = tuple(RoleGrant(permission=name) for name in ("aa.view", "aa.edit"))
    before, after = (Role(name="aa.editor", title="x", grants=grants[:n]) for n in (1, 2))
    assert only(difference(plan(aa(roles=(before,))), plan(aa(roles=(after,))))).roles == Names(changed=("aa.editor",))


def test_another_title_is_no_difference() -> None:
    other = msgspec.structs.replace(VIEW, title="Look")
    assert not difference(plan(aa(permissions=(VIEW,))), plan(aa(permissions=(other,)))).plugins


def test_another_range_is_a_difference() -> None:
    one = aa(requires={"bb": ">=1"})
    two = aa(requires={"bb": ">=1,<3"})
    told = difference(plan(one, found("bb")), plan(two, found("bb")))
    assert only(told).requires == Names(new=("bb >=1,<3",), gone=("bb >=1",))


def test_who_requires_another_version_stops() -> None:
    child = found("child", {"aa": "<2"})
    grandchild = found("grandchild", {"child": ""})
    told = difference(plan(aa(), child, grandchild), plan(aa("2.0"), child, grandchild))
    assert told.stops == ("child", "grandchild")
    assert [(change.id, change.after and change.after.state) for change in told.plugins] == [
        ("aa", "active"),
        ("child", "refused"),
        ("grandchild", "blocked"),
    ]


def test_another_cause_is_a_difference() -> None:
    child = found("child", {"aa": "", "bb": ""})
    told = difference(plan(aa(), child), plan(found("bb"), child))
    assert [change.id for change in told.plugins] == ["bb", "child", "aa"]


def test_it_is_told_in_lines() -> None:
    child = found("child", {"aa": "<2"})
    told = difference(plan(aa(), child), plan(aa("2.0", permissions=(VIEW, EDIT)), child, pending=("aa_0001",)))
    lines = [line for change in told.plugins for line in tell(change)]
    assert lines == [
        "aa 1.0 → 2.0: active",
        "  new permissions: aa.edit, aa.view",
        "  migrations that would run: aa_0001",
        "child 1.0: active → refused",
        "  dependency_incompatible: child requires aa <2, but 2.0 is installed (host-aa 2.0).",
        "  way out: Install aa in a version that fits, or disable child.",
    ]


def test_coming_and_going_is_told() -> None:
    assert [*tell(only(difference(plan(), plan(aa()))))] == [
        "aa 1.0 (new): active",
        "  new plugins that it requires: core >=1",
    ]
    assert [*tell(only(difference(plan(aa()), plan())))] == ["aa 1.0: active → gone"]


def test_what_waits_for_consent_is_told() -> None:
    told = difference(plan(aa()), plan(aa(), awaiting=("aa.view",)))
    assert [*tell(only(told))] == ["aa 1.0: active", "  would wait for consent: aa.view"]


def test_a_difference_is_json() -> None:
    told = difference(plan(aa()), plan(aa("2.0")))
    assert msgspec.json.decode(msgspec.json.encode(told))["plugins"][0]["after"]["version"] == "2.0"


def test_of_files_that_were_not_read_nothing_is_told() -> None:
    fault = Reason(code="manifest_invalid", text="broken", culprits=("aa",), way_out="mend it")
    broken = msgspec.structs.replace(aa("2.0"), manifest=None, fault=fault)
    told = difference(plan(aa(permissions=(VIEW,))), plan(broken))
    assert [*tell(only(told))] == [
        "aa 1.0 → 2.0: active → refused",
        "  manifest_invalid: broken",
        "  way out: mend it",
    ]
