"""Views of plugins: what they are handed, and what happens when they fail, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

# Runs with the object that the contacts view was handed.
HOST = "async (code) => (async (host) => eval(code))(globalThis.lastHost)"


@pytest.fixture
def people(page: Any, fake_host: Any, sign_in: Any) -> Any:
    sign_in(fake_host, "/contacts/people")
    page.get_by_role("link", name="Ada Byron").wait_for()
    return page


def link(page: Any, name: str) -> Any:
    return page.get_by_role("navigation", name="Main").get_by_role("link", name=name, exact=True)


@pytest.mark.parametrize("name", ["throws", "mount", "late", "missing"])
def test_a_view_that_fails_leaves_a_card_and_the_rest_works(page: Any, fake_host: Any, sign_in: Any, name: str) -> None:
    sign_in(fake_host, f"/faults/{name}")
    card = page.get_by_role("alert").filter(has=page.get_by_role("heading", name=f"{name.title()} could not be shown"))
    expect(card).to_contain_text("Faulty plugin")
    expect(card.get_by_role("button", name="Try again")).to_be_visible()
    link(page, "People").click()
    expect(page.get_by_role("link", name="Ada Byron")).to_be_visible()


def test_a_view_that_hangs_is_given_up(page: Any, fake_host: Any, sign_in: Any) -> None:
    page.clock.install()
    sign_in(fake_host, "/faults/hangs")
    expect(page.get_by_text("Loading Hangs")).to_be_attached()
    page.clock.fast_forward(10_000)
    expect(page.get_by_role("heading", name="Hangs could not be shown")).to_be_visible()


def test_a_file_that_failed_once_is_fetched_again(page: Any, fake_host: Any, sign_in: Any) -> None:
    page.route("**/people.js", lambda route: route.abort())
    sign_in(fake_host, "/contacts/people")
    expect(page.get_by_role("link", name="Ada Byron")).to_be_visible()


def test_a_view_can_be_tried_again(page: Any, fake_host: Any, sign_in: Any) -> None:
    page.route("**/people.js*", lambda route: route.abort())
    sign_in(fake_host, "/contacts/people")
    page.get_by_role("heading", name="People could not be shown").wait_for()
    page.unroute("**/people.js*")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("link", name="Ada Byron")).to_be_visible()


def test_the_styles_of_a_view_reach_nothing_outside(people: Any) -> None:
    expect(people.get_by_role("navigation", name="Main")).to_be_visible()
    assert people.locator("h1").evaluate("(h1) => getComputedStyle(h1).textWrapStyle") == "pretty"


def test_a_view_without_a_heading_gets_one(page: Any, fake_host: Any) -> None:
    page.goto(fake_host.url + "/contacts/hello")
    expect(page.get_by_role("heading", name="Hello", level=1)).to_have_count(1)


def test_a_view_with_a_heading_keeps_its_own(people: Any) -> None:
    expect(people.get_by_role("heading", level=1)).to_have_count(1)


def test_what_a_view_knows(people: Any) -> None:
    code = """({contract: host.contract, plugin: host.plugin, user: host.user, route: host.route, theme: host.theme,
      url: host.url("people/7"), frozen: Object.isFrozen(host), nonce: host.styleNonce.length > 10,
      can: [host.can("contacts.create"), host.can("contacts.delete"), host.can("signed-in")], t: host.t("hi.there")})"""
    assert people.evaluate(HOST, code) == {
        "contract": 1,
        "plugin": {"id": "contacts", "version": "1.2.0"},
        "user": {"id": "u1", "username": "ada", "display": "Ada Lovelace"},
        "route": {"path": "", "query": {}},
        "theme": "light",
        "url": "/contacts/people/7",
        "frozen": True,
        "nonce": True,
        "can": [True, False, True],
        "t": "hi.there",
    }


def test_questions_about_objects_share_a_call(people: Any, fake_host: Any) -> None:
    code = "Promise.all(['1', '2'].map((id) => host.can('contacts.person.edit', id)))"
    assert people.evaluate(HOST, code) == [True, False]
    assert fake_host.calls.count("POST /api/core/access/check") == 1


@pytest.mark.security
@pytest.mark.parametrize(
    "path",
    [
        "../core/shell",
        "/../core/shell",
        "/people/../../core/shell",
        "/..\\core/shell",
        "/%2e%2e/core/shell",
        "/%2E./core/shell",
        "/people%2f..%2f..%2fcore/shell",
        "/people%5c..",
        "\\\\evil.test/x",
        "//evil.test/x",
        "/\t/../../core/shell",
        "https://evil.test/x",
        "javascript:alert(1)",
    ],
)
def test_no_path_leads_out_of_the_plugins_api(people: Any, fake_host: Any, path: str) -> None:
    fake_host.calls.clear()
    code = f"host.api({path!r}).then(() => 'answered', (error) => error.code)"
    assert people.evaluate(HOST, code) == "path_outside"
    assert fake_host.calls == []


def test_a_problem_is_an_error_with_its_code(people: Any) -> None:
    code = "host.api('/nothing').catch((e) => [e.name, e.status, e.code, e.detail, e.errors])"
    assert people.evaluate(HOST, code) == ["HostError", 404, "not_found", "There is nothing here.", []]


def test_unsaved_changes_are_asked_about(people: Any, fake_host: Any) -> None:
    people.get_by_role("button", name="New person").click()
    people.get_by_label("Name").fill("Linus")
    link(people, "Home").click()
    people.get_by_role("button", name="Stay").click()
    assert people.url == fake_host.url + "/contacts/people/new"
    expect(people.get_by_label("Name")).to_have_value("Linus")


def test_unsaved_changes_can_be_given_up(people: Any, fake_host: Any) -> None:
    people.get_by_role("button", name="New person").click()
    people.get_by_label("Name").fill("Linus")
    link(people, "Home").click()
    people.get_by_role("button", name="Leave").click()
    people.wait_for_url(fake_host.url + "/")


def test_going_back_asks_too(people: Any, fake_host: Any) -> None:
    people.get_by_role("button", name="New person").click()
    people.get_by_label("Name").fill("Linus")
    people.evaluate("history.back()")
    people.get_by_role("button", name="Leave").click()
    expect(people.get_by_role("link", name="Ada Byron")).to_be_visible()
    assert people.url == fake_host.url + "/contacts/people"


def test_staying_after_back_keeps_the_address(people: Any, fake_host: Any) -> None:
    people.get_by_role("button", name="New person").click()
    people.get_by_label("Name").fill("Linus")
    people.evaluate("history.back()")
    people.get_by_role("button", name="Stay").click()
    expect(people.get_by_label("Name")).to_have_value("Linus")
    assert people.url == fake_host.url + "/contacts/people/new"


@pytest.mark.parametrize(
    ("to", "path"),
    [
        ("people/2", "/contacts/people/2"),
        ("/people/2", "/contacts/people/2"),
        ("", "/contacts"),
        ("../faults/mount?x=1", "/faults/mount?x=1"),
        ("../../../..", "/"),
        ("//evil.test", "/contacts/evil.test"),
    ],
)
def test_a_view_navigates_from_its_own_prefix(people: Any, fake_host: Any, to: str, path: str) -> None:
    people.evaluate(HOST, f"host.navigate({to!r})")
    assert people.url == fake_host.url + path


def test_a_dialog_has_the_look_of_the_view_and_answers(people: Any) -> None:
    code = """globalThis.answer = host.dialog((element, close) => {
      const button = document.createElement("button");
      button.className = "primary";
      button.textContent = "Choose";
      button.onclick = () => close(42);
      element.append(button);
    }, { title: "Pick one" })"""
    people.evaluate(HOST, f"{code}; 0")
    button = people.get_by_role("dialog", name="Pick one").get_by_role("button", name="Choose")
    expect(button).to_have_css("background-color", "rgb(59, 91, 219)")
    button.click()
    assert people.evaluate("globalThis.answer") == 42


def test_what_a_view_has_begun_ends_with_it(people: Any) -> None:
    people.evaluate(HOST, "host.confirm('Really?'), 0")
    expect(people.get_by_role("dialog")).to_be_visible()
    people.evaluate(HOST, "host.navigate('..')")
    expect(people.get_by_role("dialog")).to_have_count(0)
    assert people.evaluate(HOST, "host.signal.aborted") is True


def test_a_view_is_told_of_the_theme(people: Any) -> None:
    people.evaluate(HOST, "host.onTheme((theme) => { globalThis.told = theme; }), 0")
    people.emulate_media(color_scheme="dark")
    people.wait_for_function("globalThis.told === 'dark'")


def test_dates_and_amounts(people: Any) -> None:
    code = "[host.format.date('2026-03-01'), host.format.money('1250.5', 'EUR'), host.format.date(null)]"
    assert people.evaluate(HOST, code) == ["Mar 1, 2026", "€1,250.50", ""]
