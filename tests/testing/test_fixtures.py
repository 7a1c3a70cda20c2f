"""The fixtures that come with the package: a host, clients of it, and a clock."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, ClassVar

import pytest

from plugin_host import testing
from plugin_host.sdk import get, hookimpl
from plugin_host.testing import postgres
from plugin_host.testing.time import START

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import httpx

    from plugin_host import PluginHost
    from plugin_host.testing import Clock


class Hello:
    """A plugin that an application hands over."""

    manifest: ClassVar = {"id": "hello", "name": "Hello", "version": "1.0", "requires": {"core": ">=1.0,<2"}}
    permissions: ClassVar = {
        "permissions": [{"name": "hello.view", "title": "See"}],
        "roles": [{"name": "hello.viewer", "title": "Viewer", "grants": [{"permission": "hello.view"}]}],
    }

    @hookimpl
    def register_routes(self) -> list[object]:
        @get("/", permission="hello.view")
        async def hello(actor: object) -> dict[str, str]:
            return {"hello": str(getattr(actor, "id", ""))}

        return [hello]


@pytest.fixture
def host_plugins() -> Iterable[object]:
    return (Hello(),)


@pytest.mark.anyio
async def test_client_is_signed_in_with_the_roles_that_a_test_gives(
    client_for: Callable[..., httpx.AsyncClient], host: PluginHost
) -> None:
    assert host.standing.generation.plan.entry("hello") is not None
    ann, eve, nobody = client_for("ann", ["hello.viewer"]), client_for("eve", base="/api/hello"), client_for()
    answers = [await ann.get("/api/hello/"), await eve.get("/"), await nobody.get("/api/hello/")]
    assert [answer.status_code for answer in answers] == [200, 403, 401]
    assert answers[0].json() == {"hello": "ann"}


@pytest.mark.anyio
async def test_whoever_signs_people_in_looks_after_them(client_for: Callable[..., httpx.AsyncClient]) -> None:
    shown = (await client_for("root", ["core.admin"]).get("/api/core/shell")).json()
    screens = {each["id"] for each in shown["screens"] if each.get("plugin") == "core"}
    assert not screens & {"users", "groups", "account", "core.users", "core.groups"}
    assert "/core/groups" not in str(shown["menu"])
    assert "/core/plugins" in str(shown["menu"])


def test_clock_stands_still_until_it_is_moved(clock: Clock) -> None:
    assert clock.now == START == dt.datetime.now(dt.UTC)
    clock.advance(60, hours=1)
    assert dt.datetime.now(dt.UTC) - START == dt.timedelta(minutes=61)
    clock.set(START)
    assert time.time() == START.timestamp()


def test_clock_takes_no_moment_without_a_zone(clock: Clock) -> None:
    with pytest.raises(ValueError, match="give it a time zone"):
        clock.set(dt.datetime(2030, 1, 1))  # noqa: DTZ001 - the point


def test_face_is_lazy_and_whole() -> None:
    assert {name for name in testing.__all__ if getattr(testing, name)} == set(testing.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = testing.Nothing


def test_as_root_no_private_server_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(postgres.VARIABLE, raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    with pytest.raises(postgres.NoServerError, match="as root"), postgres.server():
        pass
