"""Plugins that end the process itself: after two starts that never came up, the host starts without the culprit."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .making import GET, Bad
from .serving import Host, healthy

pytestmark = pytest.mark.slow

DIES = (
    Bad(
        plugin="leaves",
        what="import that ends the process",
        hooks=f"import os\n\nos._exit(9)\n{GET}",
        state="quarantined",
        code="startup_failed",
        says="leaves",
        way_out="retry",
    ),
    Bad(
        plugin="crashes",
        what="hook in C that crashes",
        hooks="import faulthandler, ctypes\nfrom plugin_host.sdk import hookimpl\n\n"
        "@hookimpl\ndef register_routes():\n    ctypes.string_at(0)\n    return []\n",
        state="quarantined",
        code="startup_failed",
        says="crashes",
        way_out="retry",
    ),
)
STARTS = 5
"""The most that it may take until one comes up."""


@pytest.mark.parametrize("bad", DIES, ids=lambda bad: bad.what)
def test_the_host_finds_out_who_ends_it_and_starts_without(bad: Bad, tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.install([bad])
    try:
        assert not host.start()
        assert not host.start()
        assert any(host.start() for _ in range(STARTS - 2)), host.printed[-3000:]
        host.sign_in()
        entry = host.plugins()[bad.plugin]
        assert host.verdict(entry) == host.expected(bad, entry)
        assert healthy(host) == []
        listed = host.command("plugins", "list", "--json")
        shown = {item["id"]: item for item in json.loads(listed.stdout)["items"]}[bad.plugin]
        assert (shown["state"], shown["reason"]["culprits"]) == (bad.state, [bad.plugin])
        assert host.end() == 0
    finally:
        host.kill()


def test_an_operator_can_start_without_it(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.install(DIES[:1])
    try:
        assert not host.start()
        assert host.start("--safe=leaves")
        host.sign_in()
        entry = host.plugins()["leaves"]
        assert (entry["state"], entry["reason"]["code"]) == ("disabled", "safe_mode")
        assert healthy(host) == []
    finally:
        host.kill()
