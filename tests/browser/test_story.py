"""The newcomer's story: sign in as each of the three, see a menu of one's own, add a person, send an invoice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from .conftest import PASSWORD, Served

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.browser

MENUS = {
    "admin": [
        *("Home", "Contacts", "Companies", "Add person", "Invoices", "New invoice", "Plugins", "Users", "Groups"),
        *("Roles", "Rules", "Grants", "Why may they?", "Audit", "Migrations", "Events and jobs"),
    ],
    "editor": ["Home", "Contacts", "Companies", "Add person", "Invoices", "New invoice"],
    "viewer": ["Home", "Contacts", "Companies", "Invoices"],
}


def sign_in(page: Page, username: str, password: str = PASSWORD) -> None:
    page.get_by_label("User name").fill(username)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("navigation")).to_be_visible()


def menu(page: Page) -> list[str]:
    return [text.strip() for text in page.get_by_role("navigation").get_by_role("link").all_inner_texts()]


def follow(page: Page, title: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=title, exact=True).click()


@pytest.mark.parametrize("username", MENUS)
def test_each_of_the_three_sees_a_menu_of_their_own(
    username: str, demo: Served, open_page: Callable[[str], Page]
) -> None:
    page = open_page(demo.address)
    sign_in(page, username)
    assert menu(page) == MENUS[username]


@pytest.mark.parametrize("username", MENUS)
def test_each_of_the_three_opens_both_plugins(username: str, demo: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(demo.address)
    sign_in(page, username)
    follow(page, "Contacts")
    expect(page.get_by_role("row", name=re.compile("Ada Brooks"))).to_be_visible()
    follow(page, "Invoices")
    expect(page.get_by_role("row", name=re.compile("2026|Draft|draft")).first).to_be_visible()


def test_the_viewer_is_offered_no_way_to_add(demo: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(demo.address)
    sign_in(page, "viewer")
    follow(page, "Contacts")
    expect(page.get_by_role("heading", name="People")).to_be_visible()
    expect(page.get_by_role("button", name="Add person")).to_have_count(0)


@pytest.mark.parametrize("username", ["admin", "editor"])
def test_a_person_is_added_and_gets_an_invoice(username: str, demo: Served, open_page: Callable[[str], Page]) -> None:
    name = f"Nora {username.title()}"
    page = open_page(demo.address)
    sign_in(page, username)
    follow(page, "Add person")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name=re.compile("Save|Add person")).click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()

    follow(page, "New invoice")
    page.get_by_label("Customer").fill(name)
    page.get_by_role("list", name="Found in contacts").get_by_role("button", name=re.compile(name)).click()
    page.get_by_label("Description of line 1").fill("Advice")
    page.get_by_label("Quantity of line 1").fill("2")
    page.get_by_label("Price of line 1").fill("12.50")
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    page.get_by_role("button", name="Send").click()
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    page.get_by_role("button", name="Mark as paid").click()
    page.get_by_role("dialog").get_by_role("button", name="It was paid").click()
    expect(page.get_by_text("Paid", exact=True).first).to_be_visible()


def test_a_deep_link_leads_through_sign_in_to_its_page(demo: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(f"{demo.address}/contacts/companies")
    sign_in(page, "editor")
    expect(page.get_by_role("heading", name="Companies")).to_be_visible()


def test_the_address_of_a_plugin_opens_its_first_screen(demo: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(f"{demo.address}/contacts")
    sign_in(page, "editor")
    expect(page.get_by_role("heading", name="People")).to_be_visible()


def test_signing_out_shows_the_sign_in(demo: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(demo.address)
    sign_in(page, "viewer")
    page.get_by_role("button", name=re.compile("Viewer")).click()
    page.get_by_role("menuitem", name="Sign out").or_(page.get_by_role("button", name="Sign out")).click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_an_administrator_sees_the_plugins_and_adds_a_person(demo: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(demo.address)
    sign_in(page, "admin")
    follow(page, "Plugins")
    expect(page.get_by_role("heading", name="Contacts")).to_be_visible()
    follow(page, "Users")
    page.get_by_role("button", name="New person").click()
    page.get_by_label("User name").fill("walter")
    page.get_by_label(re.compile("Password")).fill("a-long-enough-one")
    page.get_by_label(re.compile("Contacts viewer")).check()
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("row", name=re.compile("walter"))).to_contain_text("contacts.viewer")


def test_an_administrator_switches_a_plugin_off_and_on(demo: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(f"{demo.address}/core/plugins")
    sign_in(page, "admin")
    page.get_by_role("button", name="Switch off Invoicing").click()
    page.get_by_role("dialog").get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("button", name="Switch on Invoicing")).to_be_visible()
    assert "Invoices" not in menu(page)
    page.get_by_role("button", name="Switch on Invoicing").click()
    expect(page.get_by_role("button", name="Switch off Invoicing")).to_be_visible()
    assert "Invoices" in menu(page)


def test_the_first_start_is_set_up_with_the_code_from_the_console(
    fresh: Served, open_page: Callable[[str], Page]
) -> None:
    code = re.search(r"^Set-up code: ([0-9A-Z]{4}-[0-9A-Z]{4})$", fresh.printed, re.MULTILINE)
    assert code is not None, fresh.printed
    page = open_page(fresh.address)
    page.get_by_label(re.compile("code", re.IGNORECASE)).fill(code[1])
    page.get_by_label("User name").fill("ada")
    page.get_by_label("Password", exact=True).fill("correct horse battery staple")
    page.get_by_label("Password again", exact=True).fill("correct horse battery staple")
    page.get_by_role("button", name=re.compile("Create|Set up|Continue|Finish")).click()
    expect(page.get_by_role("navigation")).to_be_visible()
    assert "Plugins" in menu(page)
