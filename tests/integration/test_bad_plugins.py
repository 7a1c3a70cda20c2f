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
    "missing dependency": ({"code": GOOD, "requires": {"core": ">=1.0", "gone": ">=1"}}, "refused", "dependency_missing"),
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
    host = PluginHost(msgspec.structs.replace(settings, loader=msgspec.structs.replace(settings.loader, folders=(str(folders),))))
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
