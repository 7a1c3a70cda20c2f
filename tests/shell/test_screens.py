from __future__ import annotations

from plugin_host.shell.screens import PlacedScreen, visible_screens

PEOPLE = PlacedScreen(
    plugin="contacts",
    id="people",
    path="people",
    kind="module",
    title="People",
    permission="contacts.view",
    entry="/ui/contacts/0123/people.js",
    styles=("/ui/contacts/0123/contacts.css",),
)
WELCOME = PlacedScreen("contacts", "welcome", "", "module", "Welcome", "public", "/ui/contacts/0123/welcome.js")


def test_a_screen_in_the_words_of_the_page() -> None:
    assert visible_screens([PEOPLE], {"contacts.view"}.__contains__) == [
        {
            "plugin": "contacts",
            "id": "people",
            "path": "/contacts/people",
            "kind": "module",
            "title": "People",
            "entry": "/ui/contacts/0123/people.js",
            "styles": ["/ui/contacts/0123/contacts.css"],
        }
    ]


def test_the_root_of_a_plugin_has_no_slash_at_its_end() -> None:
    assert visible_screens([WELCOME], {"public"}.__contains__)[0]["path"] == "/contacts"


def test_slashes_around_a_path_do_not_matter() -> None:
    screen = PlacedScreen("contacts", "people", "/people/", "module", "People", "public")
    assert visible_screens([screen], {"public"}.__contains__)[0]["path"] == "/contacts/people"


def test_nothing_is_told_of_screens_that_somebody_may_not_open() -> None:
    assert [screen["id"] for screen in visible_screens([PEOPLE, WELCOME], {"public"}.__contains__)] == ["welcome"]
