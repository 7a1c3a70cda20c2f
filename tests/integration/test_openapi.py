"""The OpenAPI document of a running host: whole, valid, up to date, cheap, and the same from the command line."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from openapi_spec_validator import OpenAPIV31SpecValidator

from plugin_host import PluginHost, Settings
from plugin_host.cli.openapi import openapi
from plugin_host.core.openapi import Documents
from plugin_host.sdk.context import Identity, Users
from plugin_host.settings import Loader

from .conftest import client, running, signed_in

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

pytestmark = pytest.mark.anyio

AT = "/api/core/openapi.json"
GOOD = """
from plugin_host.sdk import get, hookimpl

@get("/", permission="signed-in")
async def hello() -> dict[str, str]:
    return {"hello": "world"}

@hookimpl
def register_routes():
    return [hello]
"""
# A name that is made by code of the plugin, whenever its routes are described.
NAMED = """
import time
import litestar
from plugin_host.sdk import hookimpl

calls = []

def name(handler, method, components):
    calls.append(method)
    {name}

@litestar.get("/", operation_id=name, opt={{"permission": "signed-in"}})
async def hello() -> None:
    pass

@hookimpl
def register_routes():
    return [hello]
"""
ENDLESS = """
from typing import Generic, Optional, TypeVar
from msgspec import Struct
from plugin_host.sdk import get, hookimpl

T = TypeVar("T")

class Deeper(Struct, Generic[T]):
    inner: Optional["Deeper[list[T]]"] = None

@get("/", permission="signed-in")
async def hello() -> Deeper[int]:
    return Deeper()

@hookimpl
def register_routes():
    return [hello]
"""


def plain(tmp_path: Path, **more: Any) -> Settings:
    """Give settings on SQLite, with the folder of plugins."""
    return Settings(
        data_dir=str(tmp_path / "data"),
        **{"loader": Loader(folders=(str(tmp_path / "plugins"),), disabled=("contacts", "invoicing")), **more},
    )


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    items = document["paths"].values()
    return [found for item in items for method, found in item.items() if not method.startswith("x-")]


def plugins(document: dict[str, Any]) -> set[str]:
    return {each["operationId"].partition(".")[0] for each in operations(document)}


async def test_core_and_both_examples_make_one_valid_document(settings: Settings) -> None:
    host = PluginHost(settings)
    async with running(host), signed_in(host) as browser:
        answer = await browser.get(AT)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    document = answer.json()
    OpenAPIV31SpecValidator(document).validate()
    assert document["x-warnings"] == []
    assert [tag["name"] for tag in document["tags"]] == ["core", "contacts", "invoicing"]
    assert document["info"]["title"] == "Plugin Host"
    found = operations(document)
    ids = [each["operationId"] for each in found]
    assert len(ids) == len(set(ids))
    assert {"core.show_openapi", "contacts.list_people", "invoicing.send_invoice"} <= set(ids)
    assert all(("security" in each) is (each["x-permission"] != "public") for each in found)
    names = set(document["components"]["schemas"]) - {"Problem"}
    assert {name.partition("_")[0] for name in names} == {"core", "contacts", "invoicing"}


async def test_every_route_that_stands_is_in_it(tmp_path: Path) -> None:
    host = PluginHost(Settings(data_dir=str(tmp_path / "data")))
    async with running(host), signed_in(host) as browser:
        paths = (await browser.get(AT)).json()["paths"]
        rows = (await browser.get("/api/core/plugins")).json()["items"]
    standing = {(route["method"].lower(), route["path"]) for row in rows for route in row["routes"] or ()}
    told = {(method, path) for path, item in paths.items() for method in item}
    assert told == {(method, path.replace(":str}", "}").replace(":int}", "}")) for method, path in standing}


@pytest.mark.security
async def test_only_those_who_may_see_the_api_see_it(tmp_path: Path) -> None:
    host = PluginHost(Settings(data_dir=str(tmp_path / "data")))
    async with running(host):
        async with client(host) as nobody:
            assert (await nobody.get(AT)).status_code == 401
        async with signed_in(host, "ann", roles=("contacts.editor",)) as browser:
            assert (await browser.get(AT)).status_code == 403


async def test_whoever_has_it_need_not_fetch_it_again(tmp_path: Path) -> None:
    host = PluginHost(Settings(data_dir=str(tmp_path / "data")))
    async with running(host), signed_in(host) as browser:
        first = await browser.get(AT)
        tag = first.headers["etag"]
        for asked in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            again = await browser.get(AT, headers={"if-none-match": asked})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
        assert (await browser.get(AT, headers={"if-none-match": '"other"'})).status_code == 200
    assert first.headers["cache-control"] == "private, no-cache"


async def test_a_plugin_that_is_switched_off_is_gone_at_once(
    tmp_path: Path, folder_plugin: Callable[..., Path]
) -> None:
    folder_plugin("hello", GOOD)
    host = PluginHost(plain(tmp_path))
    async with running(host), signed_in(host) as browser:
        first = await browser.get(AT)
        await browser.post("/api/core/plugins/hello/disable")
        second = await browser.get(AT, headers={"if-none-match": first.headers["etag"]})
        await browser.post("/api/core/plugins/hello/enable")
        third = await browser.get(AT)
    assert plugins(first.json()) == {"core", "hello"}
    assert second.status_code == 200
    assert plugins(second.json()) == {"core"}
    assert third.content == first.content


async def test_one_plugin_can_be_asked_for(tmp_path: Path, folder_plugin: Callable[..., Path]) -> None:
    folder_plugin("hello", GOOD)
    host = PluginHost(plain(tmp_path))
    async with running(host), signed_in(host) as browser:
        document = (await browser.get(AT, params={"plugin": "hello"})).json()
        unknown = await browser.get(AT, params={"plugin": "nobody"})
    assert plugins(document) == {"hello"}
    assert [tag["name"] for tag in document["tags"]] == ["hello"]
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "There is no active plugin 'nobody'.")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            NAMED.format(name='raise LookupError("no such name")'),
            "hello (GET /api/broken, {file}:12) cannot be described: LookupError: no such name",
        ),
        (NAMED.format(name="raise SystemExit(3)"), "its routes cannot be described: SystemExit: 3"),
        (
            NAMED.format(name="raise type('Mute', (BaseException,), {'__str__': lambda self: 1 / 0})"),
            "its routes cannot be described: Mute",
        ),
        (ENDLESS, "hello (GET /api/broken, {file}:11) cannot be described: RecursionError: "),
    ],
    ids=["raises", "ends the process", "cannot be printed", "endless type"],
)
async def test_a_plugin_that_cannot_be_described_is_left_out_with_a_warning(
    tmp_path: Path,
    folder_plugin: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
    code: str,
    reason: str,
) -> None:
    folder_plugin("broken", code)
    folder_plugin("hello", GOOD)
    host = PluginHost(plain(tmp_path))
    async with running(host), signed_in(host) as browser:
        document = (await browser.get(AT)).json()
        await browser.get(AT, params={"plugin": "hello"})
        assert (await browser.get("/api/broken/")).status_code == 200  # it works all the same
    expected = reason.format(file=tmp_path / "plugins" / "broken" / "__init__.py")
    (warning,) = document["x-warnings"]
    assert warning["plugin"] == "broken"
    assert warning["reason"].startswith(expected)
    assert plugins(document) == {"core", "hello"}
    logged = [record.getMessage() for record in caplog.records if "OpenAPI" in record.getMessage()]
    assert len(logged) == 1
    assert logged[0].startswith(f"plugin broken is left out of the OpenAPI document: {expected}")


async def test_one_that_hangs_is_left_behind_and_holds_up_nobody(
    tmp_path: Path, folder_plugin: Callable[..., Path]
) -> None:
    folder_plugin("broken", NAMED.format(name="time.sleep(2)"))
    host = PluginHost(plain(tmp_path))
    async with running(host), signed_in(host) as browser:
        documents = Documents(host, limit=0.3)
        making = asyncio.create_task(documents.write())
        await asyncio.sleep(0.1)
        begun = time.perf_counter()
        assert (await browser.get("/api/broken/")).status_code == 200
        assert time.perf_counter() - begun < 0.15  # the loop is free while it sleeps
        document = json.loads((await making).body)
        assert await documents.write() is await documents.write()
    assert document["x-warnings"] == [
        {"plugin": "broken", "reason": "describing its routes takes longer than 0.3 s"},
    ]


async def test_a_plugin_is_described_once_as_long_as_it_runs(
    tmp_path: Path, folder_plugin: Callable[..., Path]
) -> None:
    folder_plugin("named", NAMED.format(name="return 'hello'"))
    folder_plugin("hello", GOOD)
    host = PluginHost(plain(tmp_path))
    async with running(host), signed_in(host) as browser:
        documents = Documents(host)
        calls: list[Any] = sys.modules["named"].calls  # type: ignore[attr-defined]
        assert calls == []  # nothing is made before somebody asks
        await asyncio.gather(*(documents.write() for _ in range(5)))
        await documents.write(plugin="named")
        await documents.write("/base")
        assert len(calls) == 1
        await browser.post("/api/core/plugins/hello/disable")
        assert plugins(json.loads((await documents.write()).body)) == {"core", "named"}
        assert len(calls) == 1


async def test_the_public_address_and_its_cookie_are_named(tmp_path: Path) -> None:
    host = PluginHost(plain(tmp_path, public_url="https://apps.example.org/tools"))
    async with running(host):
        document = json.loads((await Documents(host).write("/elsewhere")).body)
    assert document["servers"] == [{"url": "https://apps.example.org/tools"}]
    assert document["components"]["securitySchemes"]["session"]["name"] == "__Host-ph_session"


async def test_without_one_the_path_that_the_host_stands_under_is(tmp_path: Path) -> None:
    host = PluginHost(plain(tmp_path))
    async with running(host), signed_in(host) as browser:
        assert (await browser.get(AT)).json()["servers"] == [{"url": "/"}]
        assert json.loads((await Documents(host).write("/tools")).body)["servers"] == [{"url": "/tools"}]


class Everybody(Users):
    """The sign-in of an application: whoever comes is Ann."""

    async def authenticate(self, connection: Any) -> Identity | None:
        return Identity(id="7", username="ann", display="Ann", roles=("core.admin",))

    async def get(self, ids: Sequence[str]) -> dict[str, Identity]:
        return {}

    async def search(self, text: str, limit: int = 20) -> list[Identity]:
        return []


async def test_how_an_application_signs_people_in_is_its_own_affair(tmp_path: Path) -> None:
    host = PluginHost(plain(tmp_path), users=Everybody())
    async with host.lifespan(), client(host) as browser:
        document = (await browser.get(AT)).json()
    OpenAPIV31SpecValidator(document).validate()
    assert document["components"]["securitySchemes"] == {}
    assert not any("security" in each for each in operations(document))


# -- the command ------------------------------------------------------------------------------------------


def run(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PLUGIN_HOST_")}
    return subprocess.run(
        [sys.executable, "-m", "plugin_host", "openapi", *words],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
async def test_the_command_prints_what_the_api_answers(tmp_path: Path, folder_plugin: Callable[..., Path]) -> None:
    """What an operator wishes and consents to holds here too, and nothing of theirs is touched."""
    folder_plugin("hello", GOOD + 'print("hello from a plugin")\n')
    folder_plugin("unwanted", GOOD)
    (tmp_path / "plugin-host.toml").write_text(
        f'data_dir = "{tmp_path}/data"\n[loader]\nfolders = ["{tmp_path}/plugins"]\ndefault = "ask"\n'
    )
    host = PluginHost(Settings.load(environ={}, cwd=tmp_path))
    async with running(host), signed_in(host) as browser:
        for plugin in ("hello", "contacts", "unwanted"):
            assert (await browser.post(f"/api/core/plugins/{plugin}/consent")).status_code == 200
        await browser.post("/api/core/plugins/unwanted/disable")
        answered = (await browser.get(AT)).json()
        only = (await browser.get(AT, params={"plugin": "hello"})).json()
    before = {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file()}
    printed = await asyncio.to_thread(run, tmp_path)
    assert printed.returncode == 0, printed.stderr
    assert json.loads(printed.stdout) == answered
    assert plugins(answered) == {"core", "contacts", "hello"}
    assert "hello from a plugin" in printed.stderr
    assert json.loads((await asyncio.to_thread(run, tmp_path, "--plugin", "hello")).stdout) == only
    after = {path.name: path.read_bytes() for path in (tmp_path / "data").iterdir() if path.is_file()}
    assert after["host.db"] == before["host.db"]


@pytest.mark.slow
def test_the_command_needs_no_database(tmp_path: Path, folder_plugin: Callable[..., Path]) -> None:
    folder_plugin("hello", GOOD)
    (tmp_path / "plugin-host.toml").write_text('[loader]\nfolders = ["plugins"]\n')
    printed = run(tmp_path)
    assert printed.returncode == 0, printed.stderr
    assert "hello.hello" in printed.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plugin-host.toml", "plugins"]


def test_the_command_says_why_a_plugin_has_no_document(tmp_path: Path, folder_plugin: Callable[..., Path]) -> None:
    folder_plugin("broken", "import nowhere_to_be_found")
    folders = [str(folder_plugin("off", GOOD))]
    config = tmp_path / "plugin-host.toml"
    config.write_text(
        f'data_dir = "{tmp_path}/data"\n[loader]\nfolders = {folders}\ndisabled = ["off", "contacts", "invoicing"]\n'
    )

    def call(*words: str) -> Result:
        return CliRunner().invoke(openapi, ["--config", str(config), *words])

    whole = call()
    assert whole.exit_code == 0
    assert "broken is left out, it is quarantined: " in whole.stderr
    for word, told in (
        ("broken", "nowhere_to_be_found"),
        ("off", "off is disabled: "),
        ("nobody", "there is no plugin"),
    ):
        refused = call("--plugin", word)
        assert (refused.exit_code, refused.stdout) == (1, "")
        assert told in refused.stderr
