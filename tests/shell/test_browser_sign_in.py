"""Signing in, setting up and signing out, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"


def fill(page: Any, **fields: str) -> None:
    labels = {"code": "Set-up code", "username": "User name", "password": "Password", "repeat": "Password again"}
    for name, value in fields.items():
        page.get_by_label(labels[name], exact=True).fill(value)


def test_whoever_is_not_signed_in_sees_the_sign_in_and_comes_back(page: Any, fake_host: Any) -> None:
    page.goto(fake_host.url + "/contacts/people/2?tab=notes")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    fill(page, username="ada", password=PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Person 2")).to_be_visible()
    assert page.url == fake_host.url + "/contacts/people/2?tab=notes"


def test_by_keyboard_alone(page: Any, fake_host: Any) -> None:
    page.goto(fake_host.url)
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type("ada")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (None, "The user name or the password is not right."),
        ((401, "account_disabled"), "The user name or the password is not right."),
        ((503, "busy"), "The server is busy."),
        ((429, "too_many_attempts"), "Too many attempts."),
    ],
)
def test_a_refusal_is_told(page: Any, fake_host: Any, problem: tuple[int, str] | None, text: str) -> None:
    fake_host.login_problem = problem
    page.goto(fake_host.url)
    fill(page, username="ada", password="wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert").filter(has_text=text)).to_be_visible()
    expect(page.get_by_role("button", name="Sign in")).to_be_enabled()


def test_a_password_can_be_looked_at(page: Any, fake_host: Any) -> None:
    page.goto(fake_host.url)
    fill(page, password="secret")
    page.get_by_role("button", name="Show password").click()
    expect(page.get_by_label("Password", exact=True)).to_have_attribute("type", "text")


@pytest.mark.security
@pytest.mark.parametrize(
    "wanted",
    ["https://evil.test", "//evil.test", "/\\evil.test", "/%09/evil.test", "javascript:alert(1)", "/api/core/shell"],
)
def test_no_address_leads_out_after_signing_in(page: Any, fake_host: Any, wanted: str) -> None:
    page.goto(f"{fake_host.url}/login?next={wanted}")
    fill(page, username="ada", password=PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login" not in url)
    assert page.url.startswith(fake_host.url + "/")
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()


def test_from_a_public_screen_one_comes_back_to_it(page: Any, fake_host: Any) -> None:
    page.goto(fake_host.url + "/contacts/hello")
    expect(page.get_by_text("Hello, whoever you are.")).to_be_visible()
    page.get_by_role("link", name="Sign in").click()
    fill(page, username="ada", password=PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Hello, whoever you are.")).to_be_visible()
    assert page.url == fake_host.url + "/contacts/hello"


def test_a_new_host_is_set_up_and_its_administrator_signed_in(page: Any, make_host: Callable[..., Any]) -> None:
    host = make_host()
    host.setup_code = "ABCD-EFGH"
    page.goto(host.url + "/contacts")
    page.wait_for_url(host.url + "/setup")
    fill(page, code="abcd-efgh", username="ada", password=PASSWORD, repeat=PASSWORD)
    page.get_by_role("button", name="Create administrator").click()
    expect(page.get_by_role("heading", name="Ada Lovelace")).to_be_visible()
    assert page.url == host.url + "/"


def test_a_wrong_code_is_told_at_its_field(page: Any, make_host: Callable[..., Any]) -> None:
    host = make_host()
    host.setup_code = "ABCD-EFGH"
    page.goto(host.url)
    fill(page, code="nope", username="ada", password=PASSWORD, repeat=PASSWORD)
    page.get_by_role("button", name="Create administrator").click()
    code = page.get_by_label("Set-up code")
    expect(code).to_have_accessible_description("This is not the code that was printed.")
    expect(code).to_be_focused()


def test_two_different_passwords_are_not_sent(page: Any, make_host: Callable[..., Any]) -> None:
    host = make_host()
    host.setup_code = "ABCD-EFGH"
    page.goto(host.url)
    fill(page, code="ABCD-EFGH", username="ada", password=PASSWORD, repeat=PASSWORD + "!")
    page.get_by_role("button", name="Create administrator").click()
    expect(page.get_by_text("This is not the same password.")).to_be_visible()
    assert "POST /api/core/setup" not in host.calls


def test_signing_out(page: Any, fake_host: Any, sign_in: Any) -> None:
    sign_in(fake_host)
    page.get_by_role("button", name="Ada Lovelace").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert "POST /api/core/auth/logout" in fake_host.calls


def test_a_session_that_has_ended_asks_to_sign_in_at_the_same_address(page: Any, fake_host: Any, sign_in: Any) -> None:
    sign_in(fake_host, "/contacts/people/1")
    expect(page.get_by_role("heading", name="Person 1")).to_be_visible()
    fake_host.signed_in = False
    page.get_by_role("link", name="All people").click()
    expect(page.get_by_text("Your session has ended.")).to_be_visible()
    assert page.url == fake_host.url + "/contacts/people"


def test_an_embedding_application_signs_people_in(page: Any, make_host: Callable[..., Any]) -> None:
    host = make_host(base="/apps")
    host.sign_in_url = "/apps-login"
    page.goto(host.url + "/contacts/people")
    page.get_by_role("link", name="Go to the sign-in page").click()
    page.wait_for_url("**/apps-login")
    assert "GET /apps-login" in host.calls


def test_a_server_that_does_not_answer_can_be_tried_again(page: Any, fake_host: Any) -> None:
    page.route("**/api/core/shell", lambda route: route.abort())
    page.goto(fake_host.url)
    expect(page.get_by_role("heading", name="is not available")).to_be_visible()
    page.unroute("**/api/core/shell")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
