from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, strategies as st
from packaging.specifiers import SpecifierSet

from plugin_host.plugins.plan import Candidate, Found, Plan
from plugin_host.plugins.resolver import resolve
from plugin_host.sdk.errors import REASON_CODES, Reason
from plugin_host.sdk.manifest import MenuItem, Permission, PluginManifest
from plugin_host.sdk.screens import ModuleScreen, Slot, Ui

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


def test_a_root_that_is_found_out_later_is_named_too() -> None:
    plan = resolve([found("aa", {"bb": "", "cc": ""}), faulty("bb"), found("cc", conflicts=("dd",)), found("dd")])
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
def test_ids_that_people_read_alike_are_one_claim_of_the_plain_one(other: str) -> None:
    plan = resolve([found("contacts"), found(other, place="elsewhere")])
    assert verdict(plan, "contacts") == ("active", None)
    assert verdict(plan, f"{other}@host-{other}") == ("refused", "duplicate_id")


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


class World(NamedTuple):
    """What was found, and what operators said."""

    found: list[Found]
    options: dict[str, Any]

    @property
    def plan(self) -> Plan:
        return resolve(self.found, **self.options)

    def manifests(self) -> dict[str, PluginManifest]:
        """Give the manifests that are not in doubt: read, and claimed once."""
        ids = Counter(one.id for one in self.found)
        return {one.id: one.manifest for one in self.found if one.manifest is not None and ids[one.id] == 1}


def needs(manifest: PluginManifest) -> set[str]:
    return set(manifest.requires) - {"core"}


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Some plugins of small versions that need, like and shun each other; broken, claimed twice, switched off."""
    world = [core()] if draw(st.booleans()) else []
    for plugin in draw(st.lists(st.sampled_from(IDS), unique=True)):
        others = [other for other in IDS if other != plugin]
        if draw(st.integers(0, 9)) == 0:
            world.append(faulty(plugin))
            continue
        ranges = st.dictionaries(st.sampled_from(others), st.sampled_from(["", ">=1", ">=2"]), max_size=2)
        sound = found(
            plugin,
            draw(ranges),
            version=draw(st.sampled_from(["1.0", "2.0", None])),
            optional=draw(ranges),
            conflicts=tuple(draw(st.lists(st.sampled_from(others), max_size=2, unique=True))),
        )
        world += [sound] * draw(st.sampled_from([1, 1, 1, 1, 1, 1, 1, 2]))
    world = [
        msgspec.structs.replace(one, candidate=msgspec.structs.replace(one.candidate, place=f"place {n}"))
        for n, one in enumerate(world)
    ]
    some = st.lists(st.sampled_from(IDS), max_size=2)
    options = {
        "disabled": draw(some),
        "wishes": draw(st.dictionaries(st.sampled_from(IDS), st.sampled_from(["enabled", "disabled"]), max_size=3)),
        "safe": draw(st.one_of(st.booleans(), some)),
    }
    return World(draw(st.permutations(world)), options)


@given(worlds())
def test_every_plugin_runs_after_what_it_requires(world: World) -> None:
    seen: set[str] = set()
    for entry in world.plan.active:
        assert set(entry.requires) - {"core"} <= seen
        seen.add(entry.id)


@given(worlds())
def test_every_plugin_runs_after_what_is_optional_and_there_or_says_why_not(world: World) -> None:
    plan = world.plan
    place = {entry.id: n for n, entry in enumerate(plan.active)}
    for entry in plan.active:
        for other, wanted in entry.optional.items():
            if other in place and place[other] > place[entry.id]:
                told = (f"not after {other}: optional, but {other} itself", f"without {other}: optional, wants {other}")
                assert any(why.startswith(told) for why in entry.why), (entry.why, wanted)


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_finding_does_not_matter(world: World, random: Any) -> None:
    shuffled = list(world.found)
    random.shuffle(shuffled)
    other = World(shuffled, world.options).plan
    assert (other.entries, other.warnings) == (world.plan.entries, world.plan.warnings)


@given(worlds())
def test_every_plugin_is_in_the_plan_and_every_parked_one_has_a_reason(world: World) -> None:
    plan = world.plan
    assert [entry.id for entry in plan.entries if entry.id] == list(dict.fromkeys(entry.id for entry in plan.entries))
    assert {entry.id for entry in plan.entries} == {one.id for one in world.found}
    assert [entry.order for entry in plan.active] == list(range(1, len(plan.active) + 1))
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


@given(worlds())
def test_who_is_blocked_is_told_every_root_and_no_root_runs(world: World) -> None:
    plan = world.plan
    states = {entry.id: entry.state for entry in plan.entries}
    for entry in plan.entries:
        if entry.state != "blocked":
            continue
        assert entry.reason is not None
        expected: set[str] = set()
        for need in set(entry.requires) - {"core"}:
            if states[need] == "blocked":
                expected |= set(reason(plan, need).culprits)
            elif states[need] != "active":
                expected.add(need)
        assert set(entry.reason.culprits) == expected
        assert all(states[culprit] not in ("active", "blocked") for culprit in entry.reason.culprits)
        assert all(culprit in entry.reason.text for culprit in entry.reason.culprits)


@given(worlds())
def test_nobody_is_switched_off_unless_an_operator_said_so(world: World) -> None:
    safe = world.options["safe"]
    named = {*world.options["disabled"], *([] if isinstance(safe, bool) else safe)}
    named |= {plugin for plugin, word in world.options["wishes"].items() if word == "disabled"}
    for entry in world.plan.entries:
        off = entry.id != "core" and (safe is True or entry.id in named)
        assert (entry.state == "disabled") == off


@given(worlds())
def test_a_missing_or_unfit_requirement_is_named_and_nothing_else_is(world: World) -> None:
    plan = world.plan
    manifests = world.manifests()
    there = {one.id: one.version for one in world.found}
    for plugin, manifest in manifests.items():
        state, code = verdict(plan, plugin)
        if state == "disabled" or plugin == "core":
            continue
        missing = {need for need in needs(manifest) if need not in there}
        unfit = {
            need
            for need in needs(manifest) - missing
            if need in manifests
            and (wanted := manifest.requires[need])
            and (there[need] is None or not SpecifierSet(wanted).contains(there[need] or ""))
        }
        assert (code in ("dependency_missing", "dependency_incompatible")) == bool(missing or unfit)
        if missing or unfit:
            assert set(reason(plan, plugin).culprits) == missing | unfit
            assert code == ("dependency_missing" if missing else "dependency_incompatible")


@given(worlds())
def test_a_circle_names_its_members_and_only_members_are_at_fault(world: World) -> None:
    plan = world.plan
    for entry in plan.entries:
        if entry.reason is None or entry.reason.code != "dependency_cycle":
            continue
        members = set(entry.reason.culprits)
        assert entry.id in members
        assert {reason(plan, member).culprits for member in members} == {entry.reason.culprits}
        for member in members:  # each requires one of them, and is required by one
            assert members & needs(world.manifests()[member])
            assert any(member in needs(world.manifests()[other]) for other in members)


@given(worlds())
def test_a_conflict_names_all_that_it_cannot_stand_and_who_runs_stands_everybody(world: World) -> None:
    plan = world.plan
    active = {entry.id for entry in plan.active}
    for plugin, manifest in world.manifests().items():
        if plugin in active:
            assert not set(manifest.conflicts) & active
        elif verdict(plan, plugin)[1] == "conflict":
            culprits = reason(plan, plugin).culprits
            assert culprits[0] == plugin
            assert set(culprits[1:]) <= set(manifest.conflicts)
            assert set(manifest.conflicts) & active <= set(culprits)


@given(worlds())
def test_an_id_that_is_claimed_twice_runs_nowhere_and_all_places_are_named(world: World) -> None:
    plan = world.plan
    for plugin, count in Counter(one.id for one in world.found).items():
        if count > 1:
            entry = plan.entry(plugin)
            assert entry is not None
            assert entry.state in ("refused", "disabled")
            places = [one.candidate.place for one in world.found if one.id == plugin]
            assert all(place in entry.place for place in places)
            if entry.state == "refused":
                assert entry.reason is not None
                assert set(entry.reason.culprits) == set(places)


@given(worlds())
def test_whoever_has_nothing_against_it_runs(world: World) -> None:
    """The set of those that run is as large as it can be: each parked one has a cause that is still there."""
    plan = world.plan
    active = {entry.id for entry in plan.active}
    for plugin, manifest in world.manifests().items():
        state, code = verdict(plan, plugin)
        if state in ("active", "disabled") or code in ("dependency_missing", "dependency_incompatible"):
            continue
        if code in ("dependency_cycle", "dependency_inactive"):
            assert not needs(manifest) <= active
        else:
            assert code == "conflict"


@given(worlds(), st.data())
def test_parking_blocks_exactly_the_transitive_dependents(world: World, data: st.DataObject) -> None:
    plan = world.plan
    runs = [entry.id for entry in plan.active if entry.id != "core"]
    if not runs:
        return
    root = data.draw(st.sampled_from(runs))
    expected = {root}
    for entry in plan.active:  # in order: what an entry requires was looked at before
        if expected & set(entry.requires):
            expected.add(entry.id)
    why_not = Reason(code="startup_failed", text="x", culprits=(root,), way_out="y")
    parked = plan.park(root, "quarantined", why_not)
    assert {entry.id for entry in plan.active} - {entry.id for entry in parked.active} == expected
    for held in expected - {root}:
        assert reason(parked, held).culprits == (root,)


@given(st.lists(st.sampled_from(IDS), min_size=2, max_size=7, unique=True), st.data())
def test_two_that_are_parked_one_after_the_other_are_both_named(line: list[str], data: st.DataObject) -> None:
    """What fails at import fails one by one, and whoever waits for both must hear of both."""
    last = found("last", dict.fromkeys(line, ""))
    plan = resolve([last, *(found(plugin) for plugin in line)])
    down = data.draw(st.lists(st.sampled_from(line), min_size=1, unique=True))
    for plugin in down:
        plan = plan.park(plugin, "quarantined", Reason(code="import_failed", text="x", culprits=(plugin,), way_out="y"))
    assert set(reason(plan, "last").culprits) == set(down)
