"""Hosts with bad plugins, each a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from .making import Bad
from .serving import Host

Serve = Callable[..., Host]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serve plugins beside the healthy one: `serve(plugins, **limits)`, until the module's tests are over."""
    hosts: list[Host] = []

    def run(plugins: Iterable[Bad], **limits: float) -> Host:
        host = Host(tmp_path_factory.mktemp("host"))
        hosts.append(host)
        host.install(plugins, **limits)
        assert host.start(), f"the server ended before it listened:\n{host.printed[-3000:]}"
        host.sign_in()
        return host

    yield run
    for host in hosts:
        host.kill()
