"""A plugin at fault is parked with reason, culprits and way out; the host and the others serve on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from plugin_host import PluginHost, Settings

from .conftest import running, signed_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

GOOD = """
from plugin_host.sdk import get, hookimpl

@get("/", permission="signed-in")
async def hello() -> dict[str, str]:
    return {"hello": "world"}

@hookimpl
def register_routes():
    return [hello]
"""

UNDECLARED = GOOD.replace(', permission="signed-in"', "")
UNKNOWN = GOOD.replace("signed-in", "bad.nothing")
FOREIGN = GOOD.replace("signed-in", "core.users.manage").replace("async def hello", "async def foreign")
UNLISTED = GOOD.replace("signed-in", "public")
EXITS = "import sys\nsys.exit(3)\n"
RAISES = "raise RuntimeError('no such luck')\n"
TYPO = GOOD + "\n@hookimpl\ndef register_route():\n    return []\n"
UNMARKED = GOOD.replace("@hookimpl\n", "")
HOOK_RAISES = GOOD.replace("    return [hello]", "    raise ValueError('boom')")
STARTUP = GOOD + "\n@hookimpl\nasync def startup():\n    raise ConnectionError('no printer')\n"
DUPLICATE_ROUTE = GOOD.replace("return [hello]", "return [hello, hello]")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=str(tmp_path / "data"))


EVENTS = GOOD + "\n@hookimpl\ndef register_jobs():\n    return []\n"
CONDITION = """
from plugin_host.sdk import hookimpl
"""

CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    "route without a permission": ({"code": UNDECLARED}, "refused", "permission_undeclared"),
    "route with an unknown permission": ({"code": UNKNOWN}, "refused", "permission_unknown"),
    "public route that is not listed": ({"code": UNLISTED}, "refused", "public_unlisted"),
    "failing import": ({"code": RAISES}, "quarantined", "import_failed"),
    "import that exits": ({"code": EXITS}, "quarantined", "import_failed"),
    "unknown hook": ({"code": TYPO}, "refused", "hook_unknown"),
    "hook without its mark": ({"code": UNMARKED}, "refused", "hook_unknown"),
    "hook that raises": ({"code": HOOK_RAISES}, "quarantined", "hook_failed"),
    "failing start-up": ({"code": STARTUP}, "quarantined", "startup_failed"),
    "hook that this release does not serve": ({"code": EVENTS}, "refused", "hook_invalid"),
    "role with a condition on no model": (
        {
            "code": CONDITION,
            "permissions": {
                "permissions": [{"name": "bad.thing.view", "title": "See", "scope": "object"}],
                "roles": [
                    {
                        "name": "bad.viewer",
                        "title": "Viewer",
                        "grants": [{"permission": "bad.thing.view", "where": {"==": [{"row": "colour"}, "red"]}}],
                    }
                ],
            },
        },
        "refused",
        "manifest_invalid",
    ),
    "missing dependency": (
        {"code": GOOD, "requires": {"core": ">=1.0", "gone": ">=1"}},
        "refused",
        "dependency_missing",
    ),
    "other core": ({"code": GOOD, "requires": {"core": ">=2"}}, "refused", "core_incompatible"),
    "unknown key in plugin.json": ({"code": GOOD, "colour": "red"}, "refused", "manifest_invalid"),
}


@pytest.mark.parametrize("case", CASES)
async def test_a_bad_plugin_is_parked_and_the_good_one_serves(
    case: str, settings: Settings, folder_plugin: Callable[..., Path]
) -> None:
    options, state, code = CASES[case]
    folders = folder_plugin("good", GOOD)
    folder_plugin("bad", **options)
    host = PluginHost(
        msgspec.structs.replace(settings, loader=msgspec.structs.replace(settings.loader, folders=(str(folders),)))
    )
    async with running(host), signed_in(host) as browser:
        shown = (await browser.get("/api/core/plugins/bad")).json()
        assert (shown["state"], shown["reason"]["code"]) == (state, code), shown
        assert "bad" in shown["reason"]["text"]
        assert shown["reason"]["way_out"]
        refused = await browser.get("/api/bad/")
        assert refused.status_code == 503
        assert refused.json()["type"] == f"urn:plugin-host:problem:{code}"
        assert (await browser.get("/api/good")).json() == {"hello": "world"}
        assert (await browser.get("/health/ready")).json() == {"status": "degraded"}


SICK = (
    GOOD
    + """
from plugin_host.sdk import Health

@hookimpl
def register_health():
    async def printer() -> Health:
        return Health("failed", "no paper")
    return [printer]
"""
)


async def test_a_plugin_that_is_not_well_makes_the_host_degraded(
    settings: Settings, folder_plugin: Callable[..., Path]
) -> None:
    folders = folder_plugin("good", SICK)
    loader = msgspec.structs.replace(settings.loader, folders=(str(folders),))
    host = PluginHost(msgspec.structs.replace(settings, loader=loader))
    async with running(host), signed_in(host) as browser:
        assert (await browser.get("/health/ready")).json() == {"status": "degraded"}
        assert (await browser.get("/api/good")).status_code == 200


async def test_a_failing_migration_parks_the_plugin_and_those_that_require_it(
    settings: Settings, folder_plugin: Callable[..., Path]
) -> None:
    folders = folder_plugin("good", GOOD)
    folder_plugin("bad", GOOD)
    folder_plugin("child", GOOD, requires={"core": ">=1.0", "bad": ">=1"})
    migrations = folders / "bad" / "migrations"
    migrations.mkdir()
    (migrations / "0001_boom.py").write_text("def upgrade():\n    raise ValueError('boom')\n")
    loader = msgspec.structs.replace(settings.loader, folders=(str(folders),))
    host = PluginHost(msgspec.structs.replace(settings, loader=loader))
    async with running(host), signed_in(host) as browser:
        items = {item["id"]: item for item in (await browser.get("/api/core/plugins")).json()["items"]}
        assert (items["bad"]["state"], items["bad"]["reason"]["code"]) == ("quarantined", "migration_failed")
        assert (items["child"]["state"], items["child"]["reason"]["culprits"]) == ("blocked", ["bad"])
        assert items["good"]["state"] == "active"


async def test_two_plugins_that_claim_one_id_are_refused_with_both_places(
    settings: Settings, folder_plugin: Callable[..., Path]
) -> None:
    folders = folder_plugin("good", GOOD)
    folder_plugin("twin", GOOD, id="good")
    loader = msgspec.structs.replace(settings.loader, folders=(str(folders),))
    host = PluginHost(msgspec.structs.replace(settings, loader=loader))
    async with running(host), signed_in(host) as browser:
        shown = (await browser.get("/api/core/plugins/good")).json()
        assert (shown["state"], shown["reason"]["code"]) == ("refused", "duplicate_id")
        assert str(folders / "good") in shown["reason"]["text"]
        assert str(folders / "twin") in shown["reason"]["text"]


SHUTDOWN = """
from pathlib import Path
from plugin_host.sdk import hookimpl

@hookimpl
def shutdown():
    Path(__file__).with_name("stopped").touch()
"""


async def test_a_failing_shutdown_is_logged_and_the_others_are_stopped(
    settings: Settings, folder_plugin: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    folders = folder_plugin("good", SHUTDOWN)  # stopped after the one that fails: the last to start is the first
    folder_plugin("worse", SHUTDOWN + "    raise ValueError('no rest')\n")
    loader = msgspec.structs.replace(settings.loader, folders=(str(folders),))
    async with running(PluginHost(msgspec.structs.replace(settings, loader=loader))):
        assert not (folders / "worse" / "stopped").exists()
    assert (folders / "good" / "stopped").exists()
    assert "worse: hook shutdown failed: ValueError: no rest" in caplog.text
