from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from plugin_host.plugins.discovery import discover, folder_candidate
from plugin_host.plugins.findings import Finding, Findings, nearest
from plugin_host.plugins.manifests import read
from plugin_host.plugins.plan import Candidate
from plugin_host.sdk.errors import Reason
from plugin_host.sdk.manifest import RESERVED_IDS

from .building import CORE, HOOKS, make_folder_plugin, make_package, manifest_keys


def fault(tmp_path: Path, plugin: str = "hello", **keys: Any) -> Reason | None:
    return read(folder_candidate(make_folder_plugin(tmp_path, plugin, **{"package": "host_hello", **keys}))).fault


def refused(tmp_path: Path, plugin: str = "hello", **keys: Any) -> Reason:
    reason = fault(tmp_path, plugin, **keys)
    assert reason is not None
    return reason


def installed(tmp_path: Path, version: str | None = "1.0", **keys: Any) -> Reason | None:
    """Read a package as an installed distribution named host-hello."""
    package = make_package(tmp_path / "host_hello", {"hooks.py": HOOKS}, **manifest_keys("hello", **keys))
    return read(
        Candidate(
            id="hello",
            source="wheel",
            place="x",
            folder=package,
            entry="host_hello.hooks",
            distribution="host-hello",
            version=version,
        )
    ).fault


# -- identity ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plugin", sorted(RESERVED_IDS))
def test_words_of_the_host_are_nobodys_id(tmp_path: Path, plugin: str) -> None:
    assert refused(tmp_path, plugin).text.endswith(f"at $.id: {plugin!r} is a word of the host itself.")


def test_the_entry_point_is_named_like_the_id(tmp_path: Path) -> None:
    reason = installed(tmp_path, id="other")
    assert reason is not None
    assert "the id is 'other', but its entry point is named 'hello'" in reason.text


def test_a_folder_must_be_importable(tmp_path: Path) -> None:
    reason = refused(tmp_path, package="host-hello")
    assert "the folder 'host-hello' cannot be imported" in reason.text
    assert reason.way_out == "Rename the folder, for example to host_hello."


def test_a_keyword_is_no_folder(tmp_path: Path) -> None:
    assert "cannot be imported" in refused(tmp_path, package="class").text


@pytest.mark.parametrize("entry", ["hooks", "other.hooks", "host_hello hooks", "host_hello:"])
def test_the_entry_of_a_folder_is_in_the_folder(tmp_path: Path, entry: str) -> None:
    reason = refused(tmp_path, entry=entry)
    assert f"at $.entry: {entry!r} names no module of the folder 'host_hello'" in reason.text
    assert reason.way_out == 'Write "host_hello.hooks" or "host_hello.hooks:attribute".'


@pytest.mark.parametrize("entry", ["host_hello", "host_hello.hooks", "host_hello:Plugin", "host_hello.hooks:a.b"])
def test_the_entry_of_a_folder_may_name_any_module_of_it(tmp_path: Path, entry: str) -> None:
    assert fault(tmp_path, entry=entry) is None


def test_a_folder_is_a_package(tmp_path: Path) -> None:
    package = make_folder_plugin(tmp_path, "hello")
    (package / "__init__.py").unlink()
    reason = read(folder_candidate(package)).fault
    assert reason is not None
    assert "has no __init__.py" in reason.text


def test_a_wheel_says_its_entry_once(tmp_path: Path) -> None:
    reason = installed(tmp_path, entry="host_hello.other")
    assert reason is not None
    assert "at $.entry: 'host_hello.other' is not what the entry point" in reason.text


def test_a_wheel_may_repeat_its_entry(tmp_path: Path) -> None:
    assert installed(tmp_path, entry="host_hello.hooks") is None


# -- versions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1.0", "1", "1.0.0", None])
def test_the_version_of_a_wheel_may_be_left_out_or_equal(tmp_path: Path, version: str | None) -> None:
    assert installed(tmp_path, version=version) is None


def installed_as(tmp_path: Path, distribution: str | None, said: str) -> Reason | None:
    package = make_package(tmp_path / "host_hello", **manifest_keys("hello", version=said))
    candidate = Candidate(
        id="hello", source="wheel", place="x", folder=package, entry="host_hello", version=distribution
    )
    return read(msgspec.structs.replace(candidate, distribution="host-hello")).fault


def test_another_version_than_the_distributions_is_a_mismatch(tmp_path: Path) -> None:
    reason = installed_as(tmp_path, "1.0", "1.1")
    assert reason is not None
    assert reason.code == "version_mismatch"
    assert "the version is 1.1, but host-hello is installed as 1.0" in reason.text


@pytest.mark.parametrize("distribution", [None, "best"])
def test_a_distribution_without_a_proper_version_is_not_compared(tmp_path: Path, distribution: str | None) -> None:
    assert installed_as(tmp_path, distribution, "1.1") is None


def test_a_version_is_of_pep_440(tmp_path: Path) -> None:
    assert "at $.version: 'newest' is no PEP 440 version" in refused(tmp_path, version="newest").text


def test_a_folder_plugin_says_its_version(tmp_path: Path) -> None:
    reason = refused(tmp_path, version=None)
    assert reason.way_out == 'Add it, for example "version": "1.0".'


# -- needs -------------------------------------------------------------------------------------------------------


def test_core_must_be_required(tmp_path: Path) -> None:
    reason = refused(tmp_path, requires={})
    assert "at $.requires: the key 'core' is missing" in reason.text
    assert '"core": ">=1.0,<2"' in reason.way_out


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"requires": {"core": ">=x"}}, 'host_hello/plugin.json: at $.requires.core: ">=x" is no PEP 440 range'),
        ({"optional": {"other": "1.0"}}, 'at $.optional.other: "1.0" is no PEP 440 range'),
        ({"optional": {"host-other": ""}}, "at $.optional.host-other: 'host-other' is no plugin's id"),
        ({"requires": {"core": "", "hello": ""}}, "at $.requires.hello: a plugin cannot need itself"),
        (
            {"requires": {"core": "", "other": ""}, "optional": {"other": ""}},
            "at $.optional.other: 'other' stands in `requires` too",
        ),
        ({"conflicts": ["hello"]}, "at $.conflicts[0]: it cannot be in conflict with 'hello', which it is"),
        (
            {"conflicts": ["other", "core"]},
            "at $.conflicts[1]: it cannot be in conflict with 'core', which it requires",
        ),
        ({"asks": ["hello.view"]}, "at $.asks[0]: 'hello.view' is the plugin's own permission"),
        ({"asks": ["other.view"]}, "at $.asks[0]: 'other.view' is a permission of 'other', which the plugin does not"),
        ({"events": {"publishes": ["other.created"]}}, "at $.events.publishes[0]: 'other.created' does not begin with"),
    ],
)
def test_needs_are_checked(tmp_path: Path, keys: dict[str, Any], expected: str) -> None:
    assert expected in refused(tmp_path, **keys).text


def test_the_way_out_of_a_bad_range_shows_a_good_one(tmp_path: Path) -> None:
    assert refused(tmp_path, requires={"core": ">=x"}).way_out == 'Write e.g. ">=1.0,<2".'


def test_sound_needs_are_fine(tmp_path: Path) -> None:
    needs: dict[str, Any] = {
        "requires": {"core": ">=1.0,<2", "contacts": "~=1.2"},
        "optional": {"reporting": ""},
        "conflicts": ["old"],
        "asks": ["contacts.view", "reporting.view"],
        "events": {"publishes": ["hello.said"], "subscribes": ["contacts.person.created"]},
    }
    assert fault(tmp_path, **needs) is None


# -- permissions -------------------------------------------------------------------------------------------------


def permission(name: str, scope: str = "type", **keys: Any) -> dict[str, Any]:
    return {"name": name, "title": "x", "scope": scope, **keys}


def with_permissions(tmp_path: Path, *permissions: dict[str, Any], **file: Any) -> Reason | None:
    return fault(tmp_path, permissions={"permissions": list(permissions), **file})


@pytest.mark.parametrize(
    "one",
    [
        permission("hello.view"),
        permission("hello.see_all-now2"),
        permission("hello.note.edit", "object"),
        permission(f"hello.{'x' * 94}"),
    ],
)
def test_names_of_permissions_begin_with_the_id(tmp_path: Path, one: dict[str, Any]) -> None:
    assert with_permissions(tmp_path, one) is None


@pytest.mark.parametrize(
    ("one", "way_out"),
    [
        (permission("other.view"), "Name it hello.<action> (at most 100 characters)."),
        (permission("hellox.view"), "Name it hello.<action> (at most 100 characters)."),
        (permission("hello.View"), "Name it hello.<action> (at most 100 characters)."),
        (permission("hello.view\n"), "Name it hello.<action> (at most 100 characters)."),
        (permission(f"hello.{'x' * 95}"), "Name it hello.<action> (at most 100 characters)."),
        (
            permission("hello.note.edit"),
            'Name it hello.<action> (at most 100 characters), or say "scope": "object".',
        ),
        (
            permission("hello.edit", "object"),
            'Name it hello.<object>.<action> (at most 100 characters), or say "scope": "type".',
        ),
    ],
)
def test_a_misnamed_permission_is_a_fault(tmp_path: Path, one: dict[str, Any], way_out: str) -> None:
    reason = with_permissions(tmp_path, one)
    assert reason is not None
    assert (reason.code, reason.way_out) == ("manifest_invalid", way_out)


def test_core_names_some_of_type_scope_in_three_words() -> None:
    found = read(discover(core=CORE).candidates[0])
    assert "core.users.manage" in {one.name for one in found.permissions.permissions}


@pytest.mark.parametrize(
    ("permissions", "expected"),
    [
        (
            [permission("hello.view"), permission("hello.view")],
            "at $.permissions[1].name: 'hello.view' stands there twice",
        ),
        (
            [permission("hello.edit", implies=["hello.vew"]), permission("hello.view")],
            "at $.permissions[0].implies[0]: 'hello.edit' implies 'hello.vew', which is no permission of hello",
        ),
        (
            [permission("hello.aa", implies=["hello.bb"]), permission("hello.bb", implies=["hello.aa"])],
            "at $.permissions: permissions imply each other in a circle: ",
        ),
    ],
)
def test_permissions_fit_together(tmp_path: Path, permissions: list[dict[str, Any]], expected: str) -> None:
    reason = with_permissions(tmp_path, *permissions)
    assert reason is not None
    assert expected in reason.text


VIEW = permission("hello.view")
EDIT = permission("hello.note.edit", "object")


def with_role(tmp_path: Path, name: str = "hello.editor", *grants: dict[str, Any]) -> Reason | None:
    return with_permissions(tmp_path, VIEW, EDIT, roles=[{"name": name, "title": "x", "grants": list(grants)}])


def test_a_role_grants_what_is_its_plugins_own(tmp_path: Path) -> None:
    mine = {"==": [{"row": "owner_id"}, {"actor": "id"}]}
    grants: list[dict[str, Any]] = [{"permission": "hello.view"}, {"permission": "hello.note.edit", "where": mine}]
    assert with_role(tmp_path, "hello.editor", *grants) is None


@pytest.mark.parametrize("name", ["editor", "other.editor", "hello.chief.editor", f"hello.{'x' * 95}"])
def test_a_role_is_named_after_the_plugin(tmp_path: Path, name: str) -> None:
    reason = with_role(tmp_path, name)
    assert reason is not None
    assert f"at $.roles[0].name: {name!r} is no name of a role of hello" in reason.text


def test_a_role_stands_there_once(tmp_path: Path) -> None:
    role = {"name": "hello.editor", "title": "x"}
    reason = with_permissions(tmp_path, roles=[role, role])
    assert reason is not None
    assert "at $.roles[1].name: 'hello.editor' stands there twice" in reason.text


@pytest.mark.parametrize(
    ("grant", "code", "expected"),
    [
        (
            {"permission": "hello.vew"},
            "permission_unknown",
            "grants[0].permission: 'hello.vew' is no permission of hello",
        ),
        ({"permission": "view"}, "permission_unknown", "grants[0].permission: 'view' is no permission of hello"),
        ({"permission": "core.users.manage"}, "permission_foreign", "'core.users.manage' is a permission of 'core'"),
        (
            {"permission": "hello.view", "where": {"is_null": {"row": "x"}}},
            "manifest_invalid",
            "grants[0].where: 'hello.view' is of type scope",
        ),
        (
            {"permission": "hello.note.edit", "where": {"and": [{"==": [{"row": "a b"}, 1]}]}},
            "manifest_invalid",
            "at $.roles[0].grants[0].where.and[0].==[0]: expected {",
        ),
    ],
)
def test_a_grant_that_cannot_be_is_a_fault(tmp_path: Path, grant: dict[str, Any], code: str, expected: str) -> None:
    reason = with_role(tmp_path, "hello.editor", grant)
    assert reason is not None
    assert reason.code == code
    assert expected in reason.text


def with_public(tmp_path: Path, *routes: tuple[str, str]) -> Reason | None:
    return with_permissions(
        tmp_path, public=[{"method": method, "path": path, "reason": "x"} for method, path in routes]
    )


@pytest.mark.parametrize("path", ["/", "/*", "/hello", "/a/b-c.d_e~f", "/people/{person_id:str}", "/files/*"])
def test_public_paths_are_spelt_like_the_handlers(tmp_path: Path, path: str) -> None:
    assert with_public(tmp_path, ("GET", path)) is None


@pytest.mark.parametrize(
    "path", ["", "hello", "/a//b", "/a/", "/a*", "/*/a", "/../a", "/..x", "/a b", "/{id}", "/a?b", "/a\n"]
)
def test_other_public_paths_are_faults(tmp_path: Path, path: str) -> None:
    reason = with_public(tmp_path, ("GET", path))
    assert reason is not None
    assert f"at $.public[0].path: {path!r} is no path below the plugin's API" in reason.text


def test_a_public_route_stands_there_once(tmp_path: Path) -> None:
    assert with_public(tmp_path, ("GET", "/a"), ("POST", "/a")) is None
    reason = with_public(tmp_path, ("GET", "/a"), ("GET", "/a"))
    assert reason is not None
    assert "at $.public[1]: GET /a stands there twice" in reason.text


# -- findings ----------------------------------------------------------------------------------------------------


def test_all_findings_are_told_at_once(tmp_path: Path) -> None:
    reason = refused(tmp_path, version=None, requires={"core": "x"}, asks=["other.view"])
    assert reason.text.count("; ") == 2


def test_the_eleventh_finding_is_only_counted() -> None:
    findings = Findings("hello")
    for n in range(12):
        findings.add(Finding("hello/plugin.json", "", f"mistake {n}", "Mend it."))
    reason = findings.reason()
    assert reason is not None
    assert reason.text.endswith("hello/plugin.json: mistake 9; and 2 more.")
    assert reason.way_out == "Mend it."


def test_no_findings_are_no_reason() -> None:
    assert Findings("hello").reason() is None


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (["alpha", "beta"], "Did you mean 'alpha'?"),
        (["gamma", "beta"], "Known words: beta, gamma."),
        ([], "There are no words: remove it."),
    ],
)
def test_the_nearest_name_is_the_way_out(known: list[str], expected: str) -> None:
    assert nearest("alfa", known, "words") == expected
