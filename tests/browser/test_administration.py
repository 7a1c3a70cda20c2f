"""Every screen of the host itself: it opens, it is accessible, it fits a narrow window, and it does what it is for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from .conftest import Served
from .test_kinds import violations
from .test_story import follow, sign_in

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.browser

SCREENS = {
    "/": "Good|Hello",
    "/core/plugins": "Plugins",
    "/core/users": "Users",
    "/core/groups": "Groups",
    "/core/groups/new": "Create group",
    "/core/roles": "Roles",
    "/core/roles/new": "Roles",
    "/core/rules": "Rules",
    "/core/rules/new": "Create rule",
    "/core/grants": "Grants",
    "/core/explain": "Why may they",
    "/core/audit": "Audit",
    "/core/migrations": "Migrations",
    "/core/events": "Events and jobs",
    "/core/events/dead": "Events and jobs",
    "/core/events/jobs": "Events and jobs",
    "/core/account": "Admin",
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_screen_is_accessible_and_fits_a_narrow_window(scheme: str, demo: Served, browser: object) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[attr-defined] # axe sets styles, which the page refuses
    page: Page = context.new_page()
    page.goto(demo.address)
    sign_in(page, "admin")
    found, wide = [], []
    for path, title in SCREENS.items():
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(demo.address + path)
        expect(page.get_by_role("heading", level=1, name=re.compile(title))).to_be_visible()
        expect(page.get_by_text("Loading…")).to_have_count(0)
        found += [f"{path}: {each}" for each in violations(page)]
        page.set_viewport_size({"width": 320, "height": 700})
        if page.evaluate("document.documentElement.scrollWidth") > 320:
            wide.append(path)
    assert (found, wide) == ([], [])
    context.close()


def test_a_group_gives_its_roles_to_its_members(demo: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(f"{demo.address}/core/groups/new")
    sign_in(page, "admin")
    page.get_by_role("textbox", name="Name").fill("Field staff")
    page.get_by_role("combobox", name="Members").fill("view")
    page.get_by_role("option", name="Viewer").click()
    page.get_by_role("combobox", name="Roles").fill("contacts.editor")
    page.get_by_role("option", name="Contacts editor").click()
    page.get_by_role("button", name="Create group").click()
    expect(page.get_by_role("heading", name="Field staff")).to_be_visible()
    expect(page.get_by_text("Viewer", exact=True)).to_be_visible()
    other = open_page(f"{demo.address}/contacts/people")
    sign_in(other, "viewer")
    expect(other.get_by_role("link", name="Add person").first).to_be_visible()
    page.get_by_role("button", name="Delete group").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete group").click()
    expect(page.get_by_text("No groups yet")).to_be_visible()
    other.reload()
    expect(other.get_by_role("heading", name="People")).to_be_visible()
    expect(other.get_by_role("link", name="Add person")).to_have_count(0)


def test_a_role_is_made_and_seen_in_the_matrix(demo: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(f"{demo.address}/core/roles/new")
    sign_in(page, "admin")
    form = page.get_by_role("main").locator("form")
    form.get_by_label("Name").fill("clerk")
    form.get_by_label("Title").fill("Clerk")
    form.get_by_label(re.compile("Open contacts")).check()
    form.get_by_role("button", name="Add role").click()
    region = page.get_by_role("region", name="Permissions of contacts")
    expect(region.get_by_role("columnheader", name="Clerk")).to_be_visible()
    region.get_by_role("button", name="Clerk").click()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(region.get_by_role("columnheader", name="Clerk")).to_have_count(0)


def test_why_somebody_may_is_answered(demo: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(f"{demo.address}/core/explain")
    sign_in(page, "admin")
    page.get_by_label("Person").fill("viewer")
    page.get_by_label("Permission").fill("contacts.create")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_label("Answer").get_by_role("status")).to_contain_text("No: nobody gave it.")
    expect(page.get_by_label("Answer")).to_contain_text("contacts.editor")
    page.get_by_label("Permission").fill("contacts.view")
    page.get_by_role("button", name="Ask").click()
    expect(page.get_by_label("Answer").get_by_role("status")).to_contain_text("Yes.")


def test_the_audit_log_tells_who_did_what(demo: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(f"{demo.address}/core/audit")
    sign_in(page, "admin")
    expect(page.get_by_role("row", name=re.compile("core.session.begun")).first).to_be_visible()
    page.get_by_role("textbox", name="Action").fill("core.user.*")
    page.get_by_role("textbox", name="Action").press("Enter")
    expect(page.get_by_role("row", name=re.compile("core.session.begun"))).to_have_count(0)
    expect(page.get_by_role("row", name=re.compile("core.user.created")).first).to_be_visible()


def test_one_signs_out_elsewhere_and_makes_a_token(demo: Served, open_page: Callable[[str], Page]) -> None:
    elsewhere = open_page(demo.address)
    sign_in(elsewhere, "editor")
    page = open_page(demo.address)
    sign_in(page, "editor")
    page.get_by_role("button", name=re.compile("Editor")).click()
    page.get_by_role("link", name="Your account").click()
    expect(page.get_by_role("heading", name="Editor")).to_be_visible()
    page.get_by_label("Name").fill("nightly")
    page.get_by_role("button", name="Make token").click()
    expect(page.get_by_text("It is shown this once")).to_be_visible()
    token = page.locator("pre").first.inner_text()
    answer = page.request.get(
        f"{demo.address}/api/contacts/people", headers={"authorization": f"Bearer {token}", "cookie": ""}
    )
    assert answer.status == 200
    page.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("No tokens.")).to_be_visible()
    page.get_by_role("region", name="Where you are signed in").get_by_role("button", name="Sign out").first.click()
    expect(page.get_by_text("Signed out there")).to_be_visible()


def test_the_shell_speaks_the_language_of_the_browser(demo: Served, browser: object) -> None:
    context = browser.new_context(locale="de-CH")  # type: ignore[attr-defined]
    page: Page = context.new_page()
    page.goto(demo.address)
    page.get_by_label("Benutzername").fill("viewer")
    page.get_by_label("Passwort", exact=True).fill("demo-password-1")
    page.get_by_role("button", name="Anmelden").click()
    expect(page.get_by_role("navigation", name="Hauptmenü")).to_be_visible()
    follow(page, "Contacts")
    expect(page.get_by_role("searchbox", name="People durchsuchen")).to_be_visible()
    assert page.evaluate("document.documentElement.lang") == "de"
    context.close()


def test_the_menu_follows_what_others_change(demo: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(demo.address)
    sign_in(page, "viewer")
    expect(page.get_by_role("navigation").get_by_role("link", name="Invoices")).to_be_visible()
    admin = open_page(f"{demo.address}/core/plugins")
    sign_in(admin, "admin")
    admin.get_by_role("button", name="Switch off Invoicing").click()
    admin.get_by_role("dialog").get_by_role("button", name="Switch off").click()
    expect(page.get_by_role("navigation").get_by_role("link", name="Invoices")).to_have_count(0)
    admin.get_by_role("button", name="Switch on Invoicing").click()
    expect(page.get_by_role("navigation").get_by_role("link", name="Invoices")).to_be_visible()


def test_the_palette_leads_anywhere_by_keys_alone(demo: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(demo.address)
    sign_in(page, "admin")
    page.keyboard.press("Control+k")
    palette = page.get_by_role("combobox", name="Go to")
    expect(palette).to_be_focused()
    page.keyboard.type("compa")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Companies")).to_be_visible()
    page.keyboard.press("Control+k")
    page.keyboard.press("Escape")
    expect(palette).to_have_count(0)
