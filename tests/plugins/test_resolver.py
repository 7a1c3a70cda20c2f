from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from plugin_host.plugins.plan import Candidate, Found, Plan
from plugin_host.plugins.resolver import resolve
from plugin_host.sdk.errors import REASON_CODES, Reason
from plugin_host.sdk.manifest import MenuItem, ModuleScreen, Permission, PluginManifest, Slot, Ui

from .building import found


def verdict(plan: Plan, plugin: str) -> tuple[str, str | None]:
    entry = plan.entry(plugin)
    assert entry is not None
    return entry.state, entry.reason.code if entry.reason is not None else None


def reason(plan: Plan, plugin: str) -> Reason:
    entry = plan.entry(plugin)
    assert entry is not None
    assert entry.reason is not None
    return entry.reason


def core() -> Found:
    candidate = Candidate(id="core", source="core", place="plugin-host", version="0.1.0")
    return Found(candidate=candidate, manifest=PluginManifest(id="core", name="Core", requires={"core": ">=1.0,<2"}))


def faulty(plugin: str, **keys: Any) -> Found:
    broken = Reason(code="manifest_invalid", text="broken", culprits=(plugin,), way_out="mend it")
    return Found(candidate=Candidate(id=plugin, source="folder", place=f"/p/{plugin}", **keys), fault=broken)


# -- versions and needs ------------------------------------------------------------------------------------------


def test_plugins_that_fit_run_after_core() -> None:
    plan = resolve([found("bb", {"cc": ">=1,<2"}), found("cc"), core()])
    assert [entry.id for entry in plan.active] == ["core", "cc", "bb"]


def test_a_plugin_for_another_core_is_refused() -> None:
    one = found("aa")
    assert one.manifest is not None
    other = msgspec.structs.replace(one, manifest=msgspec.structs.replace(one.manifest, requires={"core": ">=2"}))
    assert verdict(resolve([other]), "aa") == ("refused", "core_incompatible")


def test_what_is_not_installed_is_named() -> None:
    assert reason(resolve([found("aa", {"bb": ">=1", "cc": ""})]), "aa") == Reason(
        code="dependency_missing",
        text="aa requires bb >=1, which is not installed; and cc, which is not installed.",
        culprits=("bb", "cc"),
        way_out="Install bb and cc in a version that fits, or disable aa.",
    )


def test_a_version_out_of_range_is_named_with_its_place() -> None:
    why = reason(resolve([found("aa", {"bb": ">=2"}), found("bb")]), "aa")
    assert (why.code, why.text) == (
        "dependency_incompatible",
        "aa requires bb >=2, but 1.0 is installed (host-bb 1.0).",
    )


def test_missing_and_unfit_are_told_together() -> None:
    why = reason(resolve([found("aa", {"bb": ">=2", "cc": ""}), found("bb")]), "aa")
    assert (why.code, why.culprits) == ("dependency_missing", ("cc", "bb"))


def test_an_installed_pre_release_is_a_version_like_any_other() -> None:
    plan = resolve([found("aa", {"bb": ">=2.0a1"}), found("bb", version="2.0b1")])
    assert verdict(plan, "aa") == ("active", None)


def test_a_plugin_that_says_no_version_fits_only_those_who_do_not_ask() -> None:
    plan = resolve([found("aa", {"cc": ">=1"}), found("bb", {"cc": ""}), found("cc", version=None)])
    assert [verdict(plan, plugin) for plugin in ("aa", "bb")] == [
        ("refused", "dependency_incompatible"),
        ("active", None),
    ]


def test_a_version_that_is_none_fits_nobody() -> None:
    plan = resolve([found("aa", {"bb": ">=1"}), found("bb", version="best"), found("cc", {"bb": ""})])
    assert [verdict(plan, plugin)[0] for plugin in ("aa", "cc")] == ["refused", "active"]


def test_who_requires_a_parked_one_is_blocked_by_the_root() -> None:
    plan = resolve([found("aa", {"bb": ""}), found("bb", {"cc": ""}), faulty("cc")])
    assert verdict(plan, "aa") == ("blocked", "dependency_inactive")
    assert reason(plan, "aa").culprits == ("cc",)


def test_all_roots_are_named() -> None:
    plan = resolve([found("aa", {"bb": "", "cc": ""}), faulty("bb"), faulty("cc")])
    assert reason(plan, "aa").culprits == ("bb", "cc")


def test_if_core_cannot_run_nothing_can() -> None:
    broken = msgspec.structs.replace(core(), fault=faulty("core").fault)
    assert verdict(resolve([broken, found("aa")]), "aa") == ("blocked", "dependency_inactive")


# -- circles -----------------------------------------------------------------------------------------------------


def test_a_circle_parks_all_its_members_and_names_them() -> None:
    plan = resolve([found("aa", {"bb": ""}), found("bb", {"cc": ""}), found("cc", {"aa": ""})])
    assert [reason(plan, plugin).culprits for plugin in ("aa", "bb", "cc")] == [("aa", "bb", "cc")] * 3


def test_who_requires_a_member_of_a_circle_is_only_blocked() -> None:
    plan = resolve([found("aa", {"bb": ""}), found("bb", {"aa": ""}), found("cc", {"aa": ""})])
    assert [verdict(plan, plugin)[1] for plugin in ("aa", "cc")] == ["dependency_cycle", "dependency_inactive"]


# -- optional ones -----------------------------------------------------------------------------------------------


def why(plan: Plan, plugin: str) -> tuple[str, ...]:
    entry = plan.entry(plugin)
    assert entry is not None
    assert entry.state == "active"
    return entry.why


def test_an_optional_plugin_comes_first_when_it_is_there() -> None:
    plan = resolve([found("aa", optional={"bb": ">=1"}), found("bb")])
    assert [entry.id for entry in plan.active] == ["bb", "aa"]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], "without bb: optional, and not installed"),
        ([faulty("bb")], "without bb: optional, and refused"),
        ([found("bb", version="0.9")], "without bb: optional, wants bb >=1, but 0.9 is installed (host-bb 0.9)"),
    ],
    ids=["not installed", "parked", "too old"],
)
def test_a_plugin_runs_without_its_optional_one_and_says_so(others: list[Found], expected: str) -> None:
    plan = resolve([found("aa", optional={"bb": ">=1"}), *others])
    assert expected in why(plan, "aa")


# -- what operators say ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"disabled": ["aa"], "wishes": {"aa": "disabled"}, "safe": True}, "disabled_by_settings"),
        ({"wishes": {"aa": "disabled"}, "safe": True}, "disabled_by_operator"),
        ({"safe": True}, "safe_mode"),
        ({"safe": ["aa"]}, "safe_mode"),
    ],
)
def test_a_plugin_that_is_switched_off_is_disabled(options: dict[str, Any], code: str) -> None:
    assert verdict(resolve([found("aa"), core()], **options), "aa") == ("disabled", code)


def test_safe_mode_for_one_leaves_the_others() -> None:
    assert verdict(resolve([found("aa"), found("bb")], safe=["bb"]), "aa") == ("active", None)


def test_core_cannot_be_switched_off() -> None:
    plan = resolve([core()], disabled=["core"], wishes={"core": "disabled"}, safe=True)
    assert verdict(plan, "core") == ("active", None)


def test_who_requires_a_disabled_one_is_blocked() -> None:
    assert verdict(resolve([found("aa"), found("bb", {"aa": ""})], disabled=["aa"]), "bb")[0] == "blocked"


def test_a_fault_of_a_disabled_plugin_is_not_shown_as_one() -> None:
    assert verdict(resolve([faulty("aa")], disabled=["aa"]), "aa") == ("disabled", "disabled_by_settings")


def test_leaving_out_what_is_not_there_is_a_warning() -> None:
    plan = resolve([found("contacts")], safe=["contact"])
    assert plan.warnings == ("--safe names 'contact', and there is no such plugin. Did you mean 'contacts'?",)


def test_disabling_what_is_not_there_is_a_warning() -> None:
    plan = resolve([found("contacts")], disabled=["contact"], warnings=["earlier"])
    assert plan.warnings == (
        "earlier",
        "loader.disabled names 'contact', and there is no such plugin. Did you mean 'contacts'?",
    )


# -- clashes -----------------------------------------------------------------------------------------------------


def test_who_says_that_it_cannot_run_beside_another_does_not() -> None:
    plan = resolve([found("aa", conflicts=("bb",)), found("bb")])
    assert [verdict(plan, plugin) for plugin in ("aa", "bb")] == [("refused", "conflict"), ("active", None)]


def test_a_conflict_with_one_that_does_not_run_is_none() -> None:
    plan = resolve([found("aa", conflicts=("bb",)), found("bb", {"gone": ""})])
    assert verdict(plan, "aa") == ("active", None)


def test_who_requires_a_plugin_in_conflict_is_blocked() -> None:
    plan = resolve([found("aa", conflicts=("bb",)), found("bb"), found("cc", {"aa": ""})])
    assert reason(plan, "cc").culprits == ("aa",)


def test_folders_of_one_name_cannot_both_be_imported() -> None:
    one, other = found("aa", source="folder"), found("bb", source="folder")
    candidate = msgspec.structs.replace(other.candidate, entry="host_aa")
    plan = resolve([one, msgspec.structs.replace(other, candidate=candidate)])
    assert [reason(plan, plugin).culprits for plugin in ("aa", "bb")] == [("aa", "bb")] * 2
    assert verdict(plan, "aa") == ("refused", "name_clash")


def test_folders_of_different_names_get_along() -> None:
    plan = resolve([found("aa", source="folder"), found("bb", source="folder")])
    assert len(plan.active) == 2


def test_one_id_in_two_places_refuses_both_and_names_them() -> None:
    plan = resolve([found("aa", place="here"), found("aa", place="there")])
    assert reason(plan, "aa").culprits == ("here", "there")
    assert [(entry.id, entry.place) for entry in plan.entries] == [("aa", "here and there")]


@pytest.mark.parametrize("other", ["Contacts", "\uff43ontacts"], ids=["case", "full width"])
def test_ids_that_people_read_alike_are_one_claim(other: str) -> None:
    plan = resolve([found("contacts"), found(other)])
    assert [verdict(plan, plugin) for plugin in ("contacts", other)] == [("refused", "duplicate_id")] * 2


def test_a_folder_without_a_manifest_never_harms_the_plugin_of_that_name() -> None:
    plan = resolve([found("aa"), faulty("aa", claimed=False, entry="aa")])
    assert {entry.id: entry.state for entry in plan.entries} == {"aa": "active", "aa@aa": "refused"}


def test_several_pretenders_are_told_apart() -> None:
    plan = resolve([faulty("aa", claimed=False), faulty("aa", claimed=False), faulty("aa", claimed=False)])
    assert [entry.id for entry in plan.entries] == ["aa", "aa@folder", "aa@folder-2"]


def test_nobody_can_take_the_id_of_core() -> None:
    plan = resolve([core(), faulty("core", distribution="host-evil"), faulty("Core", entry="evil")])
    assert {entry.id: entry.state for entry in plan.entries} == {
        "core": "active",
        "core@host-evil": "refused",
        "Core@evil": "refused",
    }


# -- ways of running ---------------------------------------------------------------------------------------------


def test_a_remote_plugin_is_not_supported_yet() -> None:
    remote = Found(candidate=Candidate(id="aa", source="remote", place="remote https://x"))
    assert verdict(resolve([remote]), "aa") == ("refused", "remote_not_supported")


@pytest.mark.parametrize(
    ("modes", "state"), [(("process",), "refused"), ((), "refused"), (("process", "inprocess"), "active")]
)
def test_a_plugin_must_be_able_to_run_in_the_process(modes: tuple[str, ...], state: str) -> None:
    assert verdict(resolve([found("aa", isolation=modes)]), "aa")[0] == state


# -- permissions of others ---------------------------------------------------------------------------------------


def screens(permission: str) -> Ui:
    return Ui(screens=(ModuleScreen(id="all", title="All", permission=permission, entry="ui/a.js"),))


@pytest.mark.parametrize(
    "keys",
    [
        {"asks": ("bb.nothing",)},
        {"menu": (MenuItem(id="aa.all", permission="bb.nothing"),)},
        {"ui": screens("bb.nothing")},
        {"ui": Ui(slots=(Slot(slot="bb.side", kind="module", entry="ui/a.js", permission="bb.nothing"),))},
    ],
    ids=["asks", "menu", "screen", "slot"],
)
def test_a_permission_that_the_other_plugin_does_not_have_is_refused(keys: dict[str, Any]) -> None:
    plan = resolve([found("aa", {"bb": ""}, **keys), found("bb", permissions=(Permission(name="bb.view", title="x"),))])
    assert verdict(plan, "aa") == ("refused", "permission_unknown")
    assert reason(plan, "aa").culprits == ("aa", "bb")


@pytest.mark.parametrize("name", ["bb.view", "signed-in", "aa.view"])
def test_permissions_that_are_there_are_fine(name: str) -> None:
    view = Permission(name="bb.view", title="x")
    plan = resolve([found("aa", {"bb": ""}, ui=screens(name)), found("bb", permissions=(view,))])
    assert verdict(plan, "aa") == ("active", None)


def test_permissions_of_an_optional_plugin_that_is_not_there_are_fine() -> None:
    assert verdict(resolve([found("aa", optional={"bb": ""}, asks=("bb.view",))]), "aa") == ("active", None)


def test_permissions_of_one_that_could_not_be_read_are_not_judged() -> None:
    plan = resolve([found("aa", optional={"bb": ""}, asks=("bb.view",)), faulty("bb")])
    assert verdict(plan, "aa") == ("active", None)


# -- what the plan shows -----------------------------------------------------------------------------------------


def test_an_entry_shows_what_the_files_say() -> None:
    view = Permission(name="aa.view", title="x")
    item = MenuItem(id="aa.all", screen="all")
    plan = resolve(
        [
            found("aa", optional={"zz": ""}, ui=screens("aa.view"), permissions=(view,), menu=(item,)),
            found("bb", {"aa": ""}),
        ]
    )
    entry = plan.entry("aa")
    assert entry is not None
    assert (entry.name, entry.version, entry.optional, entry.dependents) == ("Aa", "1.0", {"zz": ""}, ("bb",))
    assert (entry.permissions, entry.menu, entry.screens) == (("aa.view",), ("aa.all",), ("all",))


def test_an_unreadable_plugin_is_shown_by_its_id() -> None:
    entry = resolve([faulty("aa")]).entry("aa")
    assert entry is not None
    assert (entry.name, entry.requires) == ("aa", {})


# -- what must hold always ---------------------------------------------------------------------------------------

IDS = [f"p{letter}" for letter in "abcdefg"]


@st.composite
def worlds(draw: st.DrawFn) -> list[Found]:
    """Some plugins of small versions that need, like and shun each other, and some that are broken."""
    plugins = []
    for plugin in draw(st.lists(st.sampled_from(IDS), unique=True, min_size=1)):
        others = [other for other in IDS if other != plugin]
        if draw(st.integers(0, 9)) == 0:
            plugins.append(faulty(plugin))
            continue
        ranges = st.dictionaries(st.sampled_from(others), st.sampled_from(["", ">=1", ">=2"]), max_size=2)
        plugins.append(
            found(
                plugin,
                draw(ranges),
                version=draw(st.sampled_from(["1.0", "2.0"])),
                optional=draw(ranges),
                conflicts=tuple(draw(st.lists(st.sampled_from(others), max_size=1))),
            )
        )
    return plugins


@settings(max_examples=150)
@given(worlds())
def test_every_plugin_runs_after_what_it_requires(world: list[Found]) -> None:
    plan = resolve(world)
    seen: set[str] = set()
    for entry in plan.active:
        assert {need for need in entry.requires if need != "core"} <= seen
        seen.add(entry.id)


@settings(max_examples=100)
@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_finding_does_not_matter(world: list[Found], random: Any) -> None:
    shuffled = list(world)
    random.shuffle(shuffled)
    assert resolve(shuffled).entries == resolve(world).entries


@settings(max_examples=100)
@given(worlds())
def test_every_plugin_is_in_the_plan_and_every_parked_one_has_a_reason(world: list[Found]) -> None:
    plan = resolve(world)
    assert {entry.id for entry in plan.entries} == {one.id for one in world}
    for entry in plan.entries:
        if entry.state == "active":
            assert entry.reason is None
            assert entry.why
        else:
            assert entry.reason is not None
            assert entry.reason.code in REASON_CODES
            assert entry.reason.text
            assert entry.reason.culprits
            assert entry.reason.way_out


@settings(max_examples=100)
@given(worlds(), st.data())
def test_parking_blocks_exactly_the_transitive_dependents(world: list[Found], data: st.DataObject) -> None:
    plan = resolve(world)
    if not plan.active:
        return
    root = data.draw(st.sampled_from([entry.id for entry in plan.active]))
    expected = {root}
    for entry in plan.active:  # in order: what an entry requires was looked at before
        if expected & set(entry.requires):
            expected.add(entry.id)
    why_not = Reason(code="startup_failed", text="x", culprits=(root,), way_out="y")
    parked = plan.park(root, "quarantined", why_not)
    assert {entry.id for entry in plan.active} - {entry.id for entry in parked.active} == expected
