"""The menu of one person."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from plugin_host.menu import PlacedItem, visible


def item(id: str, title: str = "", **said: Any) -> PlacedItem:  # noqa: A002 - the item's own word
    values = {"icon": None, "to": f"/{id}", "permission": "x", "group": "", "parent": None, "after": (), "plugin": "x"}
    return PlacedItem(id=id, title=title or id, **{**values, **said})


def everybody(_permission: str) -> bool:
    return True


def names(tree: list[dict[str, Any]]) -> list[Any]:
    """Give the ids, with what stands under them where something does."""
    return [(it["id"], names(it["children"])) if it["children"] else it["id"] for it in tree]


def seen(*items: PlacedItem) -> list[Any]:
    return names(visible(items, everybody))


def test_an_entry_is_given_in_the_shape_of_the_api() -> None:
    placed = item("contacts.people", "Contacts", icon="users", to="/contacts", group="crm", plugin="contacts")
    assert visible([placed], everybody) == [
        {
            "id": "contacts.people",
            "title": "Contacts",
            "icon": "users",
            "to": "/contacts",
            "group": "crm",
            "children": [],
        }
    ]


def test_no_entries_are_an_empty_menu() -> None:
    assert visible([], everybody) == []


@pytest.mark.security
def test_what_is_not_permitted_is_not_there() -> None:
    items = [item("a", permission="a.view"), item("b", permission="b.view")]
    assert names(visible(items, lambda permission: permission == "b.view")) == ["b"]


def test_entries_stand_in_the_order_of_their_titles_without_regard_to_case() -> None:
    titles = {"1": "beta", "2": "Gamma", "3": "Alpha", "4": "STRASSE", "5": "straße"}
    assert seen(*(item(name, title) for name, title in titles.items())) == ["3", "1", "2", "4", "5"]


def test_after_goes_before_titles() -> None:
    assert seen(item("a", after=("b",)), item("b"), item("c")) == ["b", "a", "c"]


def test_after_is_followed_through_others() -> None:
    assert seen(item("a", after=("b",)), item("b", after=("c",)), item("c")) == ["c", "b", "a"]


def test_after_is_followed_through_what_may_not_be_seen() -> None:
    items = [item("a", after=("b",)), item("b", after=("c",), permission="secret"), item("c")]
    assert names(visible(items, lambda permission: permission != "secret")) == ["c", "a"]


def test_after_of_what_is_not_there_or_not_beside_is_passed_over() -> None:
    items = [item("a", after=("gone", "child", "a")), item("b"), item("child", parent="b")]
    assert seen(*items) == ["a", ("b", ["child"])]


def test_a_circle_of_after_begins_with_its_first_title() -> None:
    assert seen(item("b", after=("c",)), item("c", after=("b",)), item("a", after=("c",))) == ["b", "c", "a"]


def test_children_stand_under_their_parent_in_their_order() -> None:
    items = [
        item("z", parent="top"),
        item("y", parent="top", after=("z",)),
        item("top"),
        item("x", parent="y"),
    ]
    assert seen(*items) == [("top", ["z", ("y", ["x"])])]


@pytest.mark.security
def test_a_parent_that_is_not_permitted_hides_what_is_under_it() -> None:
    items = [item("top", permission="secret"), item("child", parent="top")]
    assert visible(items, lambda permission: permission != "secret") == []


def test_an_entry_whose_parent_is_not_there_stands_at_the_top() -> None:
    assert seen(item("child", parent="gone")) == ["child"]


def test_a_heading_with_nothing_under_it_vanishes() -> None:
    items = [item("top", to=None), item("child", parent="top", permission="secret")]
    assert visible(items, lambda permission: permission != "secret") == []


def test_a_heading_with_something_under_it_stays() -> None:
    assert seen(item("top", to=None), item("child", parent="top")) == [("top", ["child"])]


def test_an_entry_that_is_its_own_parent_stands_at_the_top() -> None:
    assert seen(item("a", parent="a")) == ["a"]


def test_a_circle_of_parents_is_cut_at_its_first_id() -> None:
    items = [item("b", parent="a"), item("a", parent="c"), item("c", parent="b"), item("d", parent="c")]
    assert seen(*items) == [("a", [("b", [("c", ["d"])])])]


IDS = st.sampled_from("abcdef")
ITEM = st.builds(
    lambda id, title, parent, after: item(id, title, parent=parent, after=tuple(after)),  # noqa: A006 - as above
    id=IDS,
    title=st.sampled_from(["one", "One", "two"]),
    parent=st.none() | IDS,
    after=st.lists(IDS, max_size=3),
)
ITEMS = st.lists(ITEM, max_size=6, unique_by=lambda placed: placed.id)


def flat(tree: list[dict[str, Any]]) -> list[str]:
    return [name for it in tree for name in (it["id"], *flat(it["children"]))]


@hypothesis.settings(max_examples=200)
@hypothesis.given(ITEMS)
def test_everything_permitted_is_there_once(items: list[PlacedItem]) -> None:
    assert sorted(flat(visible(items, everybody))) == sorted(placed.id for placed in items)


@hypothesis.settings(max_examples=100)
@hypothesis.given(ITEMS.flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_the_order_in_which_plugins_come_makes_no_difference(both: tuple[list[PlacedItem], list[PlacedItem]]) -> None:
    assert visible(both[0], everybody) == visible(both[1], everybody)
