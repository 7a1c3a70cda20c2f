"""The pytest plugin: fixtures for the tests of a plugin, and `--plugin-host ID`, which tests its migrations.

pytest loads this module in every run where the package is installed: nothing heavy is imported before it is used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

    import httpx

    from plugin_host import PluginHost, Settings
    from plugin_host.mail import Letter
    from plugin_host.testing.events import Deliveries, Published
    from plugin_host.testing.time import Clock
    from plugin_host.testing.users import TestUsers

pytest.register_assert_rewrite("plugin_host.testing.migrations")  # a failure shows both sides


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take `--plugin-host ID`, or `plugin_host = "ID"` in the settings of pytest."""
    group = parser.getgroup("plugin-host")
    group.addoption("--plugin-host", metavar="ID", help="Run the suite for the migrations of this plugin as well.")
    parser.addini("plugin_host", "The plugin whose migrations the suite tests whenever all tests are run.", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Add the suite to what is collected: always with the option, with the setting where all tests are run."""
    everything = config.args_source is not pytest.Config.ArgsSource.ARGS
    if config.getoption("--plugin-host") or (config.getini("plugin_host") and everything):
        config.args.append(str(Path(__file__).with_name("suite.py")))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Give the address of a PostgreSQL server: named in PLUGIN_HOST_TEST_POSTGRES, or a private one."""
    from plugin_host.testing.postgres import NoServerError, do_without, server  # noqa: PLC0415 - see above

    try:
        opened = server()
        address = opened.__enter__()
    except NoServerError as error:
        do_without(str(error))
    try:
        yield address
    finally:
        opened.__exit__(None, None, None)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """Give the address of a new, empty PostgreSQL database that is dropped after the test."""
    from plugin_host.testing.postgres import empty_database  # noqa: PLC0415 - see above

    with empty_database(postgres_server) as address:
        yield address


@pytest.fixture
def host_settings(tmp_path: Path) -> Settings:
    """Give the settings of `host`: an empty SQLite database in a folder of the test. Override it for others."""
    from plugin_host import Settings  # noqa: PLC0415 - see above

    return Settings(data_dir=str(tmp_path / "plugin-host-data"))


@pytest.fixture
def host_plugins() -> Iterable[object]:
    """Give plugins that `host` runs beside the installed ones: none. Override it for others."""
    return ()


@pytest.fixture
def host_users() -> TestUsers:
    """Give the sign-in of `host`: it believes whatever `client_for` says."""
    from plugin_host.testing.users import TestUsers  # noqa: PLC0415 - see above

    return TestUsers()


@pytest.fixture
async def host(
    host_settings: Settings, host_plugins: Iterable[object], host_users: TestUsers
) -> AsyncIterator[PluginHost]:
    """Give a host that runs, with every plugin that is installed, on an empty database.

    For asynchronous tests (`pytest.mark.anyio`).
    """
    from plugin_host import PluginHost  # noqa: PLC0415 - see above

    made = PluginHost(host_settings, plugins=tuple(host_plugins), users=host_users)
    async with made.lifespan():
        yield made


@pytest.fixture
async def client_for(host: PluginHost, host_users: TestUsers) -> AsyncIterator[Callable[..., httpx.AsyncClient]]:
    """Give what makes clients of `host`: `client_for("ann", ["contacts.editor"])`; without a user nobody is signed in.

    They are closed after the test.
    """
    import httpx  # noqa: PLC0415 - brought by plugin-host[testing]

    made: list[httpx.AsyncClient] = []

    def make(user: str | None = None, roles: Iterable[str] = (), *, base: str = "") -> httpx.AsyncClient:
        headers = host_users.header(user, roles) if user is not None else {}
        transport = httpx.ASGITransport(app=host.asgi)
        made.append(httpx.AsyncClient(transport=transport, base_url=f"http://testserver{base}", headers=headers))
        return made[-1]

    yield make
    for client in made:
        await client.aclose()


@pytest.fixture
def clock() -> Iterator[Clock]:
    """Give a clock that stands still until the test moves it: `clock.advance(days=1)`, `clock.set(moment)`."""
    from plugin_host.testing.time import Clock, travel  # noqa: PLC0415 - see above

    with travel() as traveller:
        yield Clock(traveller)


@pytest.fixture
async def deliveries(host: PluginHost) -> Deliveries:
    """Give what delivers the events and runs the jobs of `host` when the test says so: `await deliveries.run()`.

    With it the host delivers nothing by itself.
    """
    from plugin_host.testing.events import Deliveries  # noqa: PLC0415 - see above

    await host.bus.pause()
    return Deliveries(host)


@pytest.fixture
def run_job(deliveries: Deliveries) -> Callable[..., Awaitable[None]]:
    """Give what has a job done now, by name and with its arguments; one that fails is an error."""
    return deliveries.run_job


@pytest.fixture
def published(deliveries: Deliveries) -> Callable[..., Awaitable[list[Published]]]:
    """Give what lists the events that were published, of one name or all."""
    return deliveries.published


@pytest.fixture
def sent_mail(host: PluginHost, monkeypatch: pytest.MonkeyPatch) -> list[Letter]:
    """Give the letters that were sent, in a list that grows; none leaves the test."""
    from plugin_host.testing.events import Letters  # noqa: PLC0415 - see above

    letters = Letters()
    monkeypatch.setattr(host.background, "carrier", letters)
    return letters.sent
