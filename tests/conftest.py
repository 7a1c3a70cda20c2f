"""What all tests share: the event loop, throw-away PostgreSQL databases, and the browser."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import hypothesis
import psycopg
import pytest

from plugin_host.testing.postgres import NoServerError, do_without, server

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_CI: Final = os.environ.get("CI") == "true"
LOCAL: Final = "postgresql://postgres@127.0.0.1:5432/test"
CHROMIUM: Final = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CHROMIUM_FLAGS: Final = [
    "--no-sandbox",  # containers run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Nothing may be asked of the network while tests run.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# A slow machine is no fault of the code, and a run in CI should be the same twice.
hypothesis.settings.register_profile("project", deadline=None, derandomize=IN_CI)
hypothesis.settings.load_profile("project")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs PostgreSQL, so that `-m 'not postgres'` leaves it out, and put the browser last.

    Playwright's synchronous side keeps an event loop running in the main thread until the session ends: no
    asynchronous test could run after it.
    """
    for item in items:
        if "postgres_url" in getattr(item, "fixturenames", ()):
            item.add_marker("postgres")
    items.sort(key=lambda item: "playwright" in getattr(item, "fixturenames", ()))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave out what needs a browser where there is none; in CI that is a failure."""
    if CHROMIUM is None and item.get_closest_marker("browser"):
        do_without("no Chromium was found: install the package chromium")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run asynchronous tests (`pytest.mark.anyio`) on asyncio, as the server does."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Give the address of a PostgreSQL server: named, private, or the one that has always been on this machine."""
    with contextlib.ExitStack() as stack:
        try:
            yield stack.enter_context(server())
        except NoServerError as error:
            try:
                psycopg.connect(LOCAL, connect_timeout=5).close()
            except psycopg.OperationalError:
                do_without(str(error))
            yield LOCAL


@pytest.fixture(scope="session")
def oidc_provider() -> Path:
    """Give the folder where npm's `oidc-provider` is installed; CONTRIBUTING.md says how it gets there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = cache / "plugin-host" / "oidc-provider"
    if shutil.which("node") is None or not (folder / "node_modules" / "oidc-provider").is_dir():
        do_without(f"no Node, or no oidc-provider in {folder}: run scripts/install_oidc_provider.sh")
    return folder


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    """Start the system's Chromium: playwright's own would be a download."""
    return {**browser_type_launch_args, "executable_path": CHROMIUM, "args": CHROMIUM_FLAGS}


@pytest.fixture(scope="session")
def base_url() -> str:
    """Stand in for the plugin's own, which pytest 9 warns about; our hosts have addresses of their own."""
    return ""
