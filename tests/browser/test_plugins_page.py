"""The Plugins page where plugins wait for consent, and where one fails and is mended."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from .conftest import PASSWORD, Served, serve
from .test_story import menu, sign_in

pytestmark = pytest.mark.browser


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Served]:
    """Serve a demonstration in which new plugins wait, beside one that cannot be imported."""
    broken = tmp_path / "plugins" / "broken"
    broken.mkdir(parents=True)
    said = {"id": "broken", "name": "Broken", "version": "1.0", "requires": {"core": ">=1.0,<2"}}
    (broken / "plugin.json").write_text(json.dumps(said))
    (broken / "__init__.py").write_text("raise RuntimeError('no such luck')\n")
    loader = {
        "PLUGIN_HOST_LOADER__DEFAULT": "ask",
        "PLUGIN_HOST_LOADER__FOLDERS": json.dumps([str(broken.parent)]),
    }
    yield from serve(tmp_path, "--demo", PLUGIN_HOST_DEMO_PASSWORD=PASSWORD, **loader)


def agree(page: Page, name: str, asked: str) -> None:
    page.get_by_role("button", name=f"Agree to {name}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(asked)
    dialog.get_by_role("button", name="Agree").click()
    expect(page.get_by_role("button", name=f"Agree to {name}")).to_have_count(0)


def test_plugins_wait_for_consent_and_failures_for_another_try(
    asking: Served, open_page: Callable[[str], Page], tmp_path: Path
) -> None:
    page = open_page(f"{asking.address}/core/plugins")
    sign_in(page, "admin")
    contacts = page.get_by_role("region", name="Contacts")
    expect(contacts).to_contain_text("consent_required")
    assert "Contacts" not in menu(page)
    agree(page, "Contacts", "contacts.person.view")
    expect(contacts).to_contain_text("active")
    assert "Contacts" in menu(page)

    agree(page, "Broken", "nothing in particular")
    broken = page.get_by_role("region", name="Broken")
    expect(broken).to_contain_text("import_failed")
    expect(broken).to_contain_text("no such luck (broken/__init__.py:1)")
    (tmp_path / "plugins" / "broken" / "__init__.py").write_text("")
    page.get_by_role("button", name="Try again Broken").click()
    expect(broken).to_contain_text("active")
    expect(page.get_by_role("button", name="Try again Broken")).to_have_count(0)
