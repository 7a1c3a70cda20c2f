"""Every kind of screen in a real browser: drawn, confined, and harmless when it fails."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import axe_playwright_python
import httpx
import pytest
from playwright.sync_api import Page, expect

from .conftest import PASSWORD, Served, serve
from .test_story import sign_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.browser

KINDS = Path(__file__).parent / "kinds"
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the demonstration with the plugin that has a screen of every kind."""
    tmp_path = tmp_path_factory.mktemp("kinds")
    shutil.copytree(KINDS, tmp_path / "plugins" / "kinds", ignore=shutil.ignore_patterns("__pycache__"))
    folders = json.dumps([str(tmp_path / "plugins")])
    yield from serve(tmp_path, "--demo", PLUGIN_HOST_DEMO_PASSWORD=PASSWORD, PLUGIN_HOST_LOADER__FOLDERS=folders)


@pytest.fixture
def kinds(server: Served) -> Served:
    """Give the server with the tasks that it begins with."""
    httpx.post(f"{server.address}/api/kinds/reset").raise_for_status()
    return server


def violations(page: Page) -> list[str]:
    (script,) = Path(axe_playwright_python.__file__).parent.rglob("axe.min.js")
    page.evaluate(script.read_text())
    found = page.evaluate("tags => axe.run({runOnly: tags})", WCAG)["violations"]
    return [f"{each['id']}: {[node['html'] for node in each['nodes']]}" for each in found]


def test_a_declared_list_is_searched_sorted_filtered_and_paged(kinds: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(f"{kinds.address}/kinds/tasks")
    sign_in(page, "editor")
    page.get_by_role("button", name="Fill").click()
    page.get_by_role("dialog").get_by_role("button", name="Fill").click()
    rows = page.get_by_role("rowheader")
    expect(rows).to_have_count(50)
    page.get_by_role("button", name="Show more").click()
    expect(rows).to_have_count(62)
    page.get_by_role("button", name="Title", exact=True).click()
    page.get_by_role("button", name=re.compile("^Title")).click()
    expect(page.get_by_role("columnheader", name=re.compile("Title"))).to_have_attribute("aria-sort", "descending")
    expect(rows.first).to_have_text("Task 59")
    page.get_by_label("Search Tasks").fill("task 1")
    expect(rows).to_have_count(10)
    expect(page).to_have_url(re.compile(r"\?sort=-title&q=task\+1$"))
    page.get_by_role("combobox", name="Stage").select_option("waiting")
    expect(page.get_by_text("Nothing matches.")).to_be_visible()
    page.get_by_role("button", name="Show all").click()
    expect(rows).to_have_count(50)
    page.go_back()  # what narrows the list replaces the address: Back leaves it
    page.go_forward()
    expect(rows).to_have_count(50)


def test_values_are_shown_as_what_they_are_and_text_is_text(kinds: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(f"{kinds.address}/kinds/tasks")
    sign_in(page, "viewer")
    first = page.get_by_role("row", name=re.compile(re.escape("=1+1")))
    expect(first).to_contain_text("€12.50")
    expect(first).to_contain_text("Dec 24, 2026")
    expect(first).to_contain_text("OPEN")  # drawn by the plugin's own part
    expect(page.get_by_role("link", name="<b>bold</b>")).to_be_visible()
    expect(page.get_by_role("link", name="Add task")).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("Finish"))).to_have_count(0)


def test_columns_are_chosen_and_kept(kinds: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(f"{kinds.address}/kinds/tasks")
    sign_in(page, "viewer")
    page.get_by_text("Columns", exact=True).first.click()
    page.get_by_role("checkbox", name="Hours").uncheck()
    expect(page.get_by_role("columnheader", name="Hours")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("columnheader", name="Due")).to_be_visible()
    expect(page.get_by_role("columnheader", name="Hours")).to_have_count(0)


def test_a_list_is_taken_away_as_csv_that_no_spreadsheet_runs(kinds: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(f"{kinds.address}/kinds/tasks")
    sign_in(page, "viewer")
    with page.expect_download() as coming:
        page.get_by_role("button", name="Export CSV").click()
    text = Path(coming.value.path()).read_text(encoding="utf-8-sig")
    assert text.splitlines() == [
        "Title,Stage,Due,Done,Cost,Hours",
        "'=1+1,open,2026-12-24,false,12.50,",
        "<b>bold</b>,waiting,,false,,3",
    ]


def test_a_form_takes_every_type_and_shows_what_is_wrong(kinds: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(f"{kinds.address}/kinds/tasks/new?title=forbidden")
    sign_in(page, "editor")
    expect(page.get_by_role("textbox", name="Title")).to_have_value("forbidden")
    page.get_by_label("Stage").select_option(label="Waiting")
    page.get_by_label("Due").fill("2027-01-31")
    page.get_by_label("Remind at").fill("2027-01-30T08:15")
    page.get_by_role("checkbox", name="Done").check()
    page.get_by_label("Cost").fill("1999.99")
    page.get_by_label("Hours").fill("7")
    page.get_by_label("Tags").fill("one, two")
    page.get_by_label("Text").fill("Long")
    page.get_by_role("textbox", name="Title").fill("Everything")
    page.get_by_role("button", name="Add task").click()
    expect(page.get_by_role("heading", name="Everything")).to_be_visible()
    task = page.evaluate("fetch(`/api/kinds/tasks/${location.pathname.split('/').pop()}`).then((a) => a.json())")
    moment = page.evaluate("new Date('2027-01-30T08:15').toISOString()")
    assert task.pop("id")
    assert task.pop("remind_at").replace(".000", "") == moment.replace(".000", "")
    assert task == {
        "title": "Everything",
        "stage": "waiting",
        "due": "2027-01-31",
        "done": True,
        "cost": "1999.99",
        "hours": 7,
        "tags": ["one", "two"],
        "text": "Long",
    }


def test_a_change_sends_what_was_changed_and_asks_before_it_is_lost(
    kinds: Served, open_page: Callable[[str], Page]
) -> None:
    page = open_page(f"{kinds.address}/kinds/tasks")
    sign_in(page, "editor")
    page.get_by_role("link", name="<b>bold</b>").click()
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Hours").fill("5")
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").get_by_role("button", name="Stay").click()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or "") if request.method == "PATCH" else None)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your changes were saved")).to_be_visible()
    assert [json.loads(each) for each in sent] == [{"hours": 5}]
    expect(page.get_by_role("tab", name="More")).to_be_visible()
    expect(page.get_by_role("tabpanel")).to_have_text("About <b>bold</b>")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Tasks")).to_be_visible()
    expect(page.get_by_role("link", name="<b>bold</b>")).to_have_count(0)


def test_actions_are_done_with_one_with_several_and_with_what_they_ask_for(
    kinds: Served, open_page: Callable[[str], Page]
) -> None:
    page = open_page(f"{kinds.address}/kinds/tasks")
    sign_in(page, "editor")
    page.get_by_role("button", name="Postpone: =1+1").click()
    page.get_by_role("dialog").get_by_label("Days").fill("7")
    page.get_by_role("dialog").get_by_role("button", name="Postpone").click()
    expect(page.get_by_role("row", name=re.compile("Dec 31, 2026"))).to_be_visible()
    page.get_by_role("checkbox", name="Select all").check()
    page.get_by_role("button", name="Finish all").click()
    page.get_by_role("dialog").get_by_role("button", name="Finish all").click()
    expect(page.get_by_text("FINISHED", exact=True)).to_have_count(2)


def test_a_screen_that_cannot_be_drawn_says_why(kinds: Served, open_page: Callable[[str], Page]) -> None:
    page = open_page(f"{kinds.address}/kinds/broken")
    sign_in(page, "viewer")
    expect(page.get_by_role("alert").filter(has_text="cannot be drawn")).to_contain_text("there is no field nothing")


def test_a_frame_is_drawn_and_confined(kinds: Served, browser: object, open_page: Callable[[str], Page]) -> None:
    page = browser.new_context().new_page()  # type: ignore[attr-defined] # it complains of what it may not do: that is the point
    page.goto(f"{kinds.address}/kinds/frame/deep/down")
    sign_in(page, "editor")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("end", exact=True)).to_be_attached(timeout=15_000)
    said = dict(text.split(": ", 1) for text in frame.locator("li").all_inner_texts()[:-1])
    assert said.pop("user") == "editor"
    assert said.pop("can") == "true false"
    assert said.pop("path") == "deep/down"
    assert said.pop("styled") == "true"
    assert said.pop("own") == "true"
    assert set(said.values()) == {"refused"}, said
    assert len(said) == 13
    expect(page.get_by_role("navigation")).to_be_visible()
    frame.get_by_role("button", name="Go").click()
    expect(page.get_by_role("heading", name="Tasks")).to_be_visible()
    page.context.close()


def test_files_of_a_frame_are_public_and_have_no_origin_and_others_are_neither(
    kinds: Served, open_page: Callable[[str], Page]
) -> None:
    page = open_page(f"{kinds.address}/kinds/tasks")
    sign_in(page, "editor")
    entry = page.evaluate("fetch('/api/core/shell').then((a) => a.json())")
    screens = {screen["id"]: screen for screen in entry["screens"] if screen["plugin"] == "kinds"}
    public = httpx.get(kinds.address + screens["frame"]["entry"])
    assert public.status_code == 200
    assert public.headers["access-control-allow-origin"] == "*"
    assert public.headers["content-security-policy"].startswith("sandbox allow-scripts")
    assert "connect-src 'none'" in public.headers["content-security-policy"]
    assert "set-cookie" not in public.headers
    hidden = httpx.get(kinds.address + screens["secret"]["entry"])
    assert hidden.status_code == 401
    assert "access-control-allow-origin" not in hidden.headers


def test_federated_remotes_are_drawn_and_their_styles_stay_inside(
    kinds: Served, open_page: Callable[[str], Page]
) -> None:
    page = open_page(f"{kinds.address}/kinds/remote")
    sign_in(page, "viewer")
    expect(page.get_by_role("heading", name="Remote of kinds")).to_be_visible()
    expect(page.get_by_text("shared: 0")).to_have_css("color", "rgb(1, 2, 3)")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != "rgb(9, 9, 9)"
    page.get_by_role("navigation").get_by_role("link", name="Tasks").click()
    expect(page.get_by_role("heading", name="Tasks")).to_be_visible()
    page.get_by_role("navigation").get_by_role("link", name="Remote").click()
    expect(page.get_by_text("shared: 0")).to_be_visible()
    assert page.evaluate("document.adoptedStyleSheets.length") == 1
    page.goto(f"{kinds.address}/kinds/script")
    expect(page.get_by_role("heading", name="From a chunk")).to_be_visible()


def test_cards_of_the_start_page_stand_beside_one_that_fails(kinds: Served, browser: object) -> None:
    page = browser.new_context().new_page()  # type: ignore[attr-defined] # the failure is on its console
    page.goto(kinds.address)
    sign_in(page, "viewer")
    expect(page.get_by_role("region", name="Open tasks")).to_contain_text("2 tasks")
    expect(page.get_by_role("region", name="Fails")).to_contain_text("Kinds could not show this")
    expect(page.get_by_role("region", name="Fails").get_by_role("button", name="Try again")).to_be_visible()
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_declared_screens_are_accessible_and_narrow(scheme: str, kinds: Served, browser: object) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[attr-defined] # axe sets styles, which the page refuses
    page = context.new_page()
    page.goto(f"{kinds.address}/kinds/tasks")
    sign_in(page, "editor")
    expect(page.get_by_role("row", name=re.compile(re.escape("=1+1")))).to_be_visible()
    found = violations(page)
    page.get_by_role("link", name="Add task").click()
    expect(page.get_by_role("heading", name="Add task")).to_be_visible()
    found += violations(page)
    page.goto(f"{kinds.address}/contacts/people")
    page.get_by_role("link", name="Ada Brooks").click()
    expect(page.get_by_role("tab", name="Notes")).to_be_visible()
    found += violations(page)
    assert found == []
    page.set_viewport_size({"width": 320, "height": 700})
    for path in ("/contacts/people", "/kinds/tasks", "/kinds/tasks/new"):
        page.goto(kinds.address + path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
    context.close()
