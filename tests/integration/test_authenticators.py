"""Plugins that say who is there: for one call, never with a session, a new user, or more than their own roles."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from sqlalchemy import select, update

from plugin_host import PluginHost, Settings
from plugin_host.auth.tables import Session, User
from plugin_host.sdk import Actor, Identity, get, hookimpl

from .conftest import client, running, signed_in
from .test_embedding import HeaderUsers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.anyio
NEED = {"core": ">=1.0,<2"}


class Badges:
    """A plugin that knows people by a header. What it answers, a test says."""

    manifest: ClassVar = {"id": "badges", "name": "Badges", "version": "1.0", "requires": NEED}
    permissions: ClassVar = {
        "permissions": [{"name": "badges.view", "title": "See badges"}],
        "roles": [{"name": "badges.viewer", "title": "Viewer", "grants": [{"permission": "badges.view"}]}],
    }

    def __init__(self) -> None:
        self.answer: Any = None
        self.asked = 0

    @hookimpl
    def register_authenticators(self) -> list[Any]:
        async def authenticate(connection: Any) -> Any:
            self.asked += 1
            badge = connection.headers.get("x-badge")
            if badge is None:
                return None
            if callable(self.answer):
                return await self.answer()
            return self.answer or Identity(badge, badge, badge.title(), roles=("badges.viewer",))

        return [authenticate]

    @hookimpl
    def register_routes(self) -> list[Any]:
        @get("/me", permission="signed-in")
        async def me(actor: Actor) -> dict[str, Any]:
            return {"id": actor.id, "display": actor.display, "roles": sorted(actor.roles)}

        @get("/", permission="badges.view")
        async def look() -> str:
            return "badges"

        return [me, look]


@asynccontextmanager
async def hosting(tmp_path: Path, *plugins: Any, **more: Any) -> AsyncIterator[PluginHost]:
    host = PluginHost(Settings(data_dir=str(tmp_path / "data")), plugins=plugins, **more)
    async with running(host):
        yield host


@pytest.fixture
def badges() -> Badges:
    return Badges()


@pytest.fixture
async def host(tmp_path: Path, badges: Badges) -> AsyncIterator[PluginHost]:
    async with hosting(tmp_path, badges) as host:
        yield host


BADGE = {"x-badge": "carla"}


async def test_somebody_with_a_badge_is_let_in_for_one_call(host: PluginHost) -> None:
    async with client(host) as browser:
        answer = await browser.get("/api/badges/me", headers=BADGE)
        assert answer.json() == {"id": "carla", "display": "Carla", "roles": ["badges.viewer"]}
        assert (await browser.get("/api/badges/", headers=BADGE)).status_code == 200
        assert "set-cookie" not in answer.headers
        assert (await browser.get("/api/badges/me")).status_code == 401
    async with host.work() as work:
        assert (await work.db.scalars(select(User.username))).all() == ["root"]
        assert (await work.db.scalars(select(Session.id))).all() == []


@pytest.mark.security
async def test_roles_of_others_are_not_a_plugins_to_give(host: PluginHost, badges: Badges) -> None:
    badges.answer = Identity("carla", "carla", "Carla", roles=("core.admin", "contacts.editor"), groups=("3",))
    async with client(host) as browser:
        assert (await browser.get("/api/badges/me", headers=BADGE)).json()["roles"] == []
        assert (await browser.get("/api/core/users", headers=BADGE)).status_code == 403


async def test_whoever_has_an_account_is_that_person(host: PluginHost, badges: Badges) -> None:
    async with signed_in(host) as root:
        mine = (await root.get("/api/core/auth/me")).json()["user"]["id"]
    badges.answer = Identity(mine, "whatever", "Whoever", roles=("badges.viewer",))
    async with client(host) as browser:
        assert (await browser.get("/api/badges/me", headers=BADGE)).json()["roles"] == ["core.admin"]
        # What a plugin vouches for is no sign-in: what is dangerous is not done by it.
        made = await browser.post("/api/core/auth/tokens", json={"name": "x", "scopes": []}, headers=BADGE)
        assert (made.status_code, made.json()["type"].rpartition(":")[2]) == (403, "interactive_session_required")
        async with host.work() as work:
            await work.db.execute(update(User).values(status="disabled"))
        assert (await browser.get("/api/badges/me", headers=BADGE)).status_code == 401


@pytest.mark.security
async def test_no_plugin_overrules_a_sign_in(host: PluginHost, badges: Badges) -> None:
    async with signed_in(host) as root:
        asked = badges.asked
        assert (await root.get("/api/badges/me", headers=BADGE)).json()["roles"] == ["core.admin"]
    assert badges.asked == asked


async def raises() -> Any:
    raise RuntimeError("no")


async def leaves() -> Any:
    raise SystemExit(3)


async def hangs() -> Any:
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.2)  # will not be told
            raise


WRONG: list[Any] = [
    raises,
    leaves,
    hangs,
    "carla",
    True,
    {"id": "carla"},
    Identity("", "carla", "Carla"),
    Identity("x" * 65, "carla", "Carla"),
    Identity("a\nb", "carla", "Carla"),
    Identity(7, "carla", "Carla"),  # type: ignore[arg-type]
    Identity("carla", "carla", "Carla", roles=(7,)),  # type: ignore[arg-type]
]


@pytest.mark.security
async def test_one_that_fails_is_nobody_and_left_out_for_a_while(host: PluginHost, badges: Badges) -> None:
    vouching = host._front._vouching
    vouching._limit = 0.1
    async with client(host) as browser:
        for n, badges.answer in enumerate(WRONG, start=1):
            for _ in range(3):
                assert (await browser.get("/api/badges/me", headers=BADGE)).status_code == 401, badges.answer
            assert badges.asked == n
            vouching._paused.clear()
        badges.answer = None
        assert (await browser.get("/api/badges/me", headers=BADGE)).status_code == 200


@pytest.mark.security
async def test_what_one_does_to_the_request_stays_with_it(host: PluginHost, badges: Badges) -> None:
    async with client(host) as browser:
        answer = await browser.get("/api/core/menu", headers={**BADGE, "x-plugin-host-user": "root"})
        assert answer.status_code == 200
        cross = {**BADGE, "sec-fetch-site": "cross-site"}
        assert (await browser.post("/api/core/auth/logout", headers=cross)).status_code == 403


async def test_an_applications_people_come_first(tmp_path: Path, badges: Badges) -> None:
    host = PluginHost(Settings(data_dir=str(tmp_path / "data")), plugins=[badges], users=HeaderUsers())
    async with host.lifespan(), client(host) as browser:
        ann = await browser.get("/api/badges/me", headers={"x-user": "ann", **BADGE})
        carla = await browser.get("/api/badges/me", headers=BADGE)
    assert (ann.json()["id"], carla.json()["id"]) == ("ann", "carla")


async def test_a_plugin_that_is_off_is_not_asked(host: PluginHost, badges: Badges) -> None:
    await host.wish("badges", "disabled")
    async with client(host) as browser:
        assert (await browser.get("/api/core/auth/me", headers=BADGE)).status_code == 401
    assert badges.asked == 0
