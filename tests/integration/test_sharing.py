"""Objects that people share in a running host: in the host's database, and in one of the plugin's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import sqlalchemy as sa

from plugin_host import PluginHost, Settings

from .conftest import client, running, signed_in

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

REVISION = """
import sqlalchemy as sa
from alembic import op

phase = "expand"


def upgrade():
    op.create_table(
        "board_card",
        sa.Column("id", sa.String(26), nullable=False),
        sa.Column("owner_id", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_board_card"),
    )
"""
CODE = """
import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from plugin_host.sdk import Access, Actor, PluginBase, delete, get, hookimpl, object_id, post


class Base(PluginBase, plugin="board"): ...


class Card(Base):
    __tablename__ = "board_card"
    __object__ = "board.card"
    id: Mapped[str] = object_id()
    owner_id: Mapped[str]


@get("/cards", permission="signed-in")
async def cards(access: Access, db: AsyncSession) -> list[str]:
    seen = access.permitted(select(Card.id).select_from(Card), "board.card.view")
    return list(await db.scalars(seen.order_by(Card.id)))


@post("/cards", permission="signed-in")
async def add(actor: Actor, db: AsyncSession) -> str:
    card = Card(owner_id=actor.id)
    db.add(card)
    await db.flush()
    return card.id


@get("/cards/{card:str}", permission="board.card.view")
async def card(card: str, access: Access) -> str:
    return (await access.get(Card, card, "board.card.view")).id


@delete("/cards/{card:str}", permission="board.card.edit")
async def remove(card: str, access: Access, db: AsyncSession) -> None:
    await db.delete(await access.get(Card, card, "board.card.edit"))


@post("/cards/{card:str}/{verb:str}/{whom:str}/{action:str}", permission="board.card.view")
async def share(card: str, verb: str, whom: str, action: str, access: Access) -> None:
    row = await access.get(Card, card, "board.card.view")
    if verb == "share":
        await access.share(row, whom, [action])
    else:
        await access.unshare(row, whom, [action])


@hookimpl
def register_routes():
    return [cards, add, card, remove, share]
"""
OWNS = {"==": [{"row": "owner_id"}, {"actor": "id"}]}
PERMISSIONS = {
    "permissions": [
        {"name": "board.card.view", "title": "See", "scope": "object"},
        {"name": "board.card.edit", "title": "Change", "scope": "object", "implies": ["board.card.view"]},
    ],
    "roles": [
        {"name": "board.player", "title": "Player", "grants": [{"permission": "board.card.edit", "where": OWNS}]}
    ],
}


@pytest.mark.parametrize("data", ["default", "own"])
async def test_what_is_shared_is_seen_until_it_is_taken_back(
    settings: Settings, folder_plugin: Callable[..., Path], data: str
) -> None:
    folder = folder_plugin("board", CODE, permissions=PERMISSIONS, data={"database": data})
    (folder / "board" / "migrations").mkdir()
    (folder / "board" / "migrations" / "0001_cards.py").write_text(REVISION)
    loader = msgspec.structs.replace(settings.loader, folders=(str(folder),))
    settings = msgspec.structs.replace(settings, loader=loader)
    host, other = PluginHost(settings), PluginHost(settings)
    async with running(host), other.lifespan(), signed_in(host, "ann", roles=("board.player",)) as ann:
        async with signed_in(host, "vera") as vera, client(other) as elsewhere:
            elsewhere.cookies = vera.cookies
            one, two = [(await ann.post("/api/board/cards", json={})).text for _ in range(2)]
            who = (await vera.get("/api/core/auth/me")).json()["user"]["id"]

            async def seen() -> list[Any]:
                """Say what vera sees, in both hosts alike."""
                answers: list[Any] = []
                for browser in (vera, elsewhere):
                    card = (await browser.get(f"/api/board/cards/{one}")).status_code
                    me = (await browser.get("/api/core/auth/me")).json()["permissions"]
                    answers.append([(await browser.get("/api/board/cards")).json(), card, me])
                assert answers[0] == answers[1]
                return list(answers[0])

            async def say(browser: Any, verb: str, whom: str, action: str, card: str = one) -> int:
                return int((await browser.post(f"/api/board/cards/{card}/{verb}/{whom}/{action}", json={})).status_code)

            assert await seen() == [[], 403, []]
            assert await say(ann, "share", f"user:{who}", "view") == 201
            assert await seen() == [[one], 200, ["board.card.view"]]
            assert await say(vera, "share", f"user:{who}", "edit") == 403
            assert await say(vera, "share", f"user:{who}", "view", two) == 404
            assert await say(ann, "share", "nobody", "view") == 422
            assert await say(ann, "unshare", f"user:{who}", "view") == 201
            assert await seen() == [[], 403, []]
            assert await say(ann, "share", f"user:{who}", "edit") == 201
            assert await seen() == [[one], 200, ["board.card.edit", "board.card.view"]]
            assert (await vera.delete(f"/api/board/cards/{one}")).status_code == 204
        async with host.work(plugin="board") as work:
            assert list(await work.db.scalars(sa.text("SELECT object FROM core_grant"))) == []
        async with host.work() as work:
            told = await work.db.execute(sa.text("SELECT action FROM core_audit WHERE action LIKE 'core.grant.%'"))
            assert sorted(told.scalars()) == ["core.grant.created"] * 2 + ["core.grant.deleted"]
