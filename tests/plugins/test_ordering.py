from __future__ import annotations

from plugin_host.plugins.ordering import Place, put_in_order, reachable


def order(requires: dict[str, list[str]], optional: dict[str, list[str]] | None = None) -> list[str]:
    return [place.plugin for place in put_in_order(requires, optional or {})]


def test_core_is_first_though_its_id_is_not() -> None:
    assert order({"aa": ["core"], "bb": ["core"], "core": []}) == ["core", "aa", "bb"]


def test_ties_go_by_id() -> None:
    assert order({"cc": [], "aa": [], "bb": []}) == ["aa", "bb", "cc"]


def test_what_is_required_comes_before() -> None:
    assert order({"aa": ["bb"], "bb": ["cc"], "cc": []}) == ["cc", "bb", "aa"]


def test_what_is_optional_comes_before() -> None:
    assert order({"aa": [], "bb": []}, {"aa": ["bb"]}) == ["bb", "aa"]


def test_what_is_optional_gives_way_to_what_is_required() -> None:
    assert put_in_order({"aa": [], "bb": ["aa"]}, {"aa": ["bb"]}) == [
        Place("aa", ("not after bb: optional, but bb itself needs aa first",)),
        Place("bb", ("after aa: requires it",)),
    ]


def test_two_that_would_like_each_other_first_go_by_id() -> None:
    assert put_in_order({"aa": [], "bb": []}, {"aa": ["bb"], "bb": ["aa"]}) == [
        Place("bb", ("not after aa: optional, but aa itself needs bb first",)),
        Place("aa", ("after bb: optional, and there",)),
    ]


def test_a_plugin_cannot_come_before_itself() -> None:
    assert order({"aa": []}, {"aa": ["aa"]}) == ["aa"]


def test_places_that_depend_on_nothing_are_explained_too() -> None:
    assert put_in_order({"core": [], "aa": []}, {}) == [
        Place("core", ("first: everything needs it",)),
        Place("aa", ("by its id: needs no other plugin",)),
    ]


def test_reachable_goes_all_the_way_and_round() -> None:
    assert reachable({"aa": {"bb"}, "bb": {"cc"}, "cc": {"aa"}, "dd": set()}, "aa") == {"aa", "bb", "cc"}
