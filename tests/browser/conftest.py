"""The served product in a real Chromium, with everything noted that a careful page never does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

PASSWORD = "demo-password-1"


@dataclass
class Served:
    """A server process: where it listens and what it printed until then."""

    address: str
    printed: str


def serve(folder: Path, *words: str, **variables: str) -> Iterator[Served]:
    """Run `plugin-host serve` until the test is over."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PLUGIN_HOST_")}
    with subprocess.Popen(
        [sys.executable, "-m", "plugin_host", "serve", "--port", "0", *words],
        cwd=folder,
        env={**environment, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield _until_it_listens(process)
        finally:
            process.terminate()
            process.communicate(timeout=20)


def _until_it_listens(process: subprocess.Popen[str]) -> Served:
    printed = ""
    assert process.stdout is not None
    for line in process.stdout:
        printed += line
        if found := re.search(r"running at (http://\S+)", line):
            return Served(found[1], printed)
    return pytest.fail(f"the server ended before it listened:\n{printed}")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the demonstration."""
    yield from serve(tmp_path_factory.mktemp("demo"), "--demo", PLUGIN_HOST_DEMO_PASSWORD=PASSWORD)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Served]:
    """Serve an empty data folder."""
    yield from serve(tmp_path)


@dataclass
class Watched:
    """A page, and what it did that it should not have."""

    page: Page
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[[str], Page]]:
    """Open pages of an address; at the end none may have complained, or asked another origin."""
    watched: list[Watched] = []

    def open_one(address: str) -> Page:
        page = browser.new_context().new_page()
        seen = Watched(page)
        watched.append(seen)
        page.on(
            "console", lambda message: message.type in ("error", "warning") and seen.complaints.append(message.text)
        )
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        origin = "/".join(address.split("/", 3)[:3])
        page.on("request", lambda request: _check_origin(seen, request.url, origin))
        page.add_init_script(
            "addEventListener('securitypolicyviolation',"
            " (e) => console.error('CSP ' + e.violatedDirective + ' ' + e.blockedURI))"
        )
        page.goto(address)
        return page

    yield open_one
    complaints = [complaint for each in watched for complaint in each.complaints]
    for each in watched:
        each.page.context.close()
    assert complaints == []


def _check_origin(seen: Watched, url: str, origin: str) -> None:
    if not url.startswith((f"{origin}/", "data:", "blob:")):
        seen.complaints.append(f"request to another origin: {url}")
