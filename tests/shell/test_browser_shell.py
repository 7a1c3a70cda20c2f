"""The menu, the router and the look, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import axe_playwright_python
import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser


def link(page: Any, name: str) -> Any:
    return page.get_by_role("navigation", name="Main").get_by_role("link", name=name, exact=True)


def test_a_walk_through_the_page_breaks_no_rule(page: Any, fake_host: Any, sign_in: Any, watch: Any) -> None:
    sign_in(fake_host)
    link(page, "People").click()
    page.get_by_role("link", name="Ada Byron").click()
    expect(page.get_by_role("heading", name="Person 1")).to_be_visible()
    page.get_by_role("button", name="Notify").click()
    expect(page.get_by_role("status").get_by_text("Saved")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("status").get_by_text("Deleted")).to_be_visible()
    assert watch.console == []
    assert watch.violations == []
    assert {urlsplit(url).netloc for url in watch.requests} == {urlsplit(fake_host.url).netloc}


def test_the_first_page_needs_one_call(page: Any, fake_host: Any) -> None:
    page.goto(fake_host.url)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert [call for call in fake_host.calls if "/api/" in call] == ["GET /api/core/shell"]


@pytest.mark.security
def test_the_policy_stops_what_it_should(page: Any, fake_host: Any, sign_in: Any) -> None:
    sign_in(fake_host, "/faults/evals")
    blocked = '{"eval":"blocked","html":"blocked","data":"blocked"}'
    expect(page.get_by_text(blocked)).to_be_visible()


def test_the_menu_tells_where_one_is(page: Any, fake_host: Any, sign_in: Any) -> None:
    sign_in(fake_host, "/contacts/people/7")
    expect(link(page, "People")).to_have_attribute("aria-current", "page")
    expect(page.locator("nav [aria-current]")).to_have_count(1)


def test_the_menu_can_be_narrowed_and_opened_by_keyboard(page: Any, fake_host: Any, sign_in: Any) -> None:
    sign_in(fake_host)
    page.get_by_label("Find in menu").fill("peop")
    expect(link(page, "Users")).to_have_count(0)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="People", level=1)).to_be_visible()


def test_the_start_page_shows_what_one_can_open(page: Any, fake_host: Any, sign_in: Any) -> None:
    sign_in(fake_host)
    page.get_by_role("main").get_by_role("link", name="People Contacts").click()
    assert page.url == fake_host.url + "/contacts/people"


def test_whoever_can_open_nothing_is_told_so(page: Any, fake_host: Any, sign_in: Any) -> None:
    fake_host.empty = True
    sign_in(fake_host)
    expect(page.get_by_role("heading", name="Nothing to open yet")).to_be_visible()


def test_back_and_forward(page: Any, fake_host: Any, sign_in: Any) -> None:
    sign_in(fake_host, "/contacts/people")
    page.get_by_role("link", name="Ada Byron").click()
    expect(page).to_have_title("Person 1 · Acme Desk")
    page.go_back()
    expect(page.get_by_role("heading", name="People", level=1)).to_be_visible()
    expect(page).to_have_title("People · Acme Desk")
    page.go_forward()
    expect(page.get_by_role("heading", name="Person 1")).to_be_visible()


def test_the_focus_follows_to_the_view(page: Any, fake_host: Any, sign_in: Any) -> None:
    sign_in(fake_host)
    link(page, "People").click()
    expect(page.get_by_role("main")).to_be_focused()


@pytest.mark.parametrize("path", ["/nowhere", "/contacts/peoples", "/core/users"])
def test_an_address_without_a_screen(page: Any, fake_host: Any, sign_in: Any, path: str) -> None:
    sign_in(fake_host, path)
    expect(page.get_by_role("heading", name="There is no such page")).to_be_visible()
    expect(link(page, "People")).to_be_visible()


def test_a_link_with_a_modifier_key_is_left_to_the_browser(
    page: Any, context: Any, fake_host: Any, sign_in: Any
) -> None:
    sign_in(fake_host, "/contacts/people")
    with context.expect_page():
        page.get_by_role("link", name="Ada Byron").click(modifiers=["Control"])
    assert page.url == fake_host.url + "/contacts/people"


def test_the_page_below_a_base_path(page: Any, make_host: Callable[..., Any], sign_in: Any, watch: Any) -> None:
    host = make_host(base="/apps")
    sign_in(host, "/contacts/people")
    page.get_by_role("link", name="Ada Byron").click()
    expect(page.get_by_role("heading", name="Person 1")).to_be_visible()
    assert page.url == host.url + "/contacts/people/1"
    assert all(urlsplit(url).path.startswith("/apps/") for url in watch.requests)


def test_the_dark_theme_is_kept(page: Any, fake_host: Any, sign_in: Any) -> None:
    sign_in(fake_host)
    page.get_by_role("button", name="Ada Lovelace").click()
    page.get_by_role("radio", name="Dark").check()
    page.reload()
    page.get_by_role("navigation", name="Main").wait_for()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"


def test_the_system_decides_unless_somebody_chose(page: Any, fake_host: Any) -> None:
    page.emulate_media(color_scheme="dark")
    page.goto(fake_host.url)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"


def test_the_accent_of_the_theme(page: Any, make_host: Callable[..., Any], sign_in: Any, watch: Any) -> None:
    sign_in(make_host(theme={"name": "Acme", "logo": None, "accent": "#007a5a"}), "/contacts/people")
    button = page.get_by_role("button", name="New person")
    expect(button).to_have_css("background-color", "rgb(0, 122, 90)")
    assert watch.violations == []


@pytest.mark.parametrize("path", ["/", "/contacts/people", "/contacts/people/new", "/faults/throws", "/nowhere"])
def test_nothing_scrolls_sideways_on_a_narrow_screen(page: Any, fake_host: Any, sign_in: Any, path: str) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    sign_in(fake_host, path)
    page.get_by_role("heading", level=1).wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_menu_of_a_narrow_screen(page: Any, fake_host: Any, sign_in: Any) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    sign_in(fake_host)
    button = page.get_by_role("button", name="Menu", exact=True)
    expect(link(page, "People")).to_be_hidden()
    button.click()
    link(page, "People").click()
    expect(page.get_by_role("heading", name="People", level=1)).to_be_visible()
    expect(link(page, "People")).to_be_hidden()


def test_the_menu_of_a_narrow_screen_closes_with_escape(page: Any, fake_host: Any, sign_in: Any) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    sign_in(fake_host)
    button = page.get_by_role("button", name="Menu", exact=True)
    button.click()
    page.keyboard.press("Escape")
    expect(button).to_be_focused()
    expect(button).to_have_attribute("aria-expanded", "false")


def axe_script() -> str:
    (script,) = Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")
    return script.read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", "/contacts/people", "/contacts/people/new", "/faults/throws", "/nowhere"])
def test_everybody_can_use_it(page: Any, fake_host: Any, sign_in: Any, scheme: str, path: str) -> None:
    script = axe_script()
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    sign_in(fake_host, path)
    page.get_by_role("heading", level=1).wait_for()
    page.evaluate(script)
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    found = page.evaluate("tags => axe.run({runOnly: tags})", tags)["violations"]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in found] == []
