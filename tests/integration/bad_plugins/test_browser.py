"""The healthy plugin's page, and the page of all plugins, in a real Chromium next to a good dozen of bad ones."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from .clashes import CLASHES
from .conftest import Serve
from .declared import DECLARED
from .hooks import HOOKS
from .imports import IMPORTS
from .life import MIGRATIONS, START
from .making import Bad
from .manifests import FILES
from .routes import ROUTES
from .serving import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.slow]

QUICK = {
    *("brokenjson", "huge", "nofile", "contract", "lonely", "jealous", "twice", "orphan", "syntax", "exits"),
    *("interrupts", "colours", "typo", "hookraises", "undeclared", "duplicate", "migraises", "noprinter"),
}
"""Some of each family that do not keep anybody waiting."""

BAD: list[Bad] = [
    bad for bad in (*FILES, *DECLARED, *CLASHES, *IMPORTS, *HOOKS, *ROUTES, *MIGRATIONS, *START) if bad.plugin in QUICK
]


def test_the_pages_open_next_to_bad_plugins(serve: Serve, page: Page) -> None:
    host = serve(BAD)
    assert len(BAD) == len(QUICK)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: message.type == "error" and complaints.append(message.text))
    page.goto(host.address)
    page.get_by_label("User name").fill("root")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    menu = page.get_by_role("navigation")
    expect(menu.get_by_role("link", name="Good things")).to_be_visible()
    menu.get_by_role("link", name="Good things").click()
    expect(page.get_by_text("Good says hello world")).to_be_visible()
    menu.get_by_role("link", name="Plugins", exact=True).click()
    for bad in BAD:
        card = page.locator("section", has=page.locator(f"#plugin-{bad.plugin}"))
        expect(card).to_contain_text(bad.state)
        expect(card).to_contain_text(str(bad.code))
    page.reload()
    expect(page.locator("#plugin-good")).to_be_visible()
    assert complaints == []
