"""Personal tokens of one's own, and the tokens of machines for those who look after people."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.audit import Entry, record
from plugin_host.auth.api_tokens import PERSONAL, PREFIXES, SERVICE, scopes_of
from plugin_host.core.api.fresh import require_fresh, require_person
from plugin_host.core.governing.authority import Authority
from plugin_host.sdk.context import Actor
from plugin_host.sdk.errors import FieldError, Problem
from plugin_host.sdk.routing import delete, get, post

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from plugin_host.auth.api_tokens import ApiTokens
    from plugin_host.auth.people import People
    from plugin_host.auth.tables import Token, User
    from plugin_host.core.governing.ground import Ground
    from plugin_host.settings import Settings

MANAGE: Final = "core.users.manage"
DEFAULT_DAYS: Final = 90


class TokenIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A new token. `scopes` are permissions; without them it may do all that its owner may. `days` it is good for."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    scopes: list[str] | None = None
    days: Annotated[int, msgspec.Meta(ge=1, le=366)] = DEFAULT_DAYS


class TokenOut(msgspec.Struct, frozen=True, kw_only=True):
    """What can be seen of a token: how it begins and ends, never the whole."""

    id: str
    name: str
    kind: str
    prefix: str
    last4: str
    scopes: list[str] | None
    created_at: dt.datetime
    expires_at: dt.datetime
    last_used_at: dt.datetime | None
    expired: bool


class NewTokenOut(TokenOut, frozen=True, kw_only=True):
    """A token that was just made: this is the only time that it is shown."""

    token: str


class TokenList(msgspec.Struct, frozen=True):
    """All of them."""

    items: list[TokenOut]
    next: str | None = None


def token_routes(*, settings: Settings, tokens: ApiTokens, held: Callable[[Actor], Collection[str]]) -> list[Any]:
    """Make the handlers of one's own tokens; `held` names the permissions of an actor."""

    @get("/auth/tokens", permission="signed-in")
    async def list_tokens(actor: Actor, db: AsyncSession) -> TokenList:
        """List one's own tokens, also those that have ended."""
        return TokenList([_show(row) for row in await tokens.of(db, actor.id)])

    @post("/auth/tokens", permission="signed-in")
    async def create_token(data: TokenIn, actor: Actor, db: AsyncSession) -> NewTokenOut:
        """Make a token of one's own; it is shown this once. It may never do more than its owner may."""
        require_fresh(actor, settings)
        _check_scopes(data.scopes, set(held(actor)), 403, "you may not do that yourself")
        return await _make(tokens, db, actor, (actor.id, PERSONAL), data)

    @get("/auth/tokens/{token_id:str}", permission="signed-in")
    async def show_token(token_id: str, actor: Actor, db: AsyncSession) -> TokenOut:
        """Show what can be seen of one of one's own tokens."""
        for row in await tokens.of(db, actor.id):
            if row.id == token_id:
                return _show(row)
        raise Problem(404, "not_found", "There is no such token.")

    @delete("/auth/tokens/{token_id:str}", permission="signed-in")
    async def revoke_own_token(token_id: str, actor: Actor, db: AsyncSession) -> None:
        """Revoke a token of one's own; holds at its next request."""
        if actor.credential_id != token_id:  # a token may end itself
            require_person(actor)
        await _revoke(tokens, db, actor, actor.id, token_id)

    return [list_tokens, create_token, show_token, revoke_own_token]


def service_token_routes(
    *, settings: Settings, tokens: ApiTokens, people: People, ground: Callable[[], Ground]
) -> list[Any]:
    """Make the handlers of other people's tokens, and of machines'; `ground` is what plugins bring to the policy.

    Whoever makes a token for a machine must hold all that it holds: they could do it themselves with the token.
    """

    @get("/users/{user_id:str}/tokens", permission=MANAGE)
    async def list_user_tokens(user_id: str, db: AsyncSession) -> TokenList:
        """List somebody's tokens, a person's or a machine's."""
        await _find(people, db, user_id)
        return TokenList([_show(row) for row in await tokens.of(db, user_id)])

    @post("/users/{user_id:str}/tokens", permission=MANAGE)
    async def create_service_token(user_id: str, data: TokenIn, actor: Actor, db: AsyncSession) -> NewTokenOut:
        """Make a token for a machine; it is shown this once."""
        require_fresh(actor, settings)
        _check_scopes(data.scopes, set(ground().catalogue), 422, "there is no such permission")
        user = await _find(people, db, user_id)
        await (await Authority.open(db, actor, ground())).require_above(user_id)
        if user.kind != SERVICE:
            detail = f"{user.username} is a person, who makes tokens of their own; service tokens are for machines."
            raise Problem(409, "not_a_service", detail)
        return await _make(tokens, db, actor, (user_id, SERVICE), data)

    @delete("/users/{user_id:str}/tokens/{token_id:str}", permission=MANAGE)
    async def revoke_user_token(user_id: str, token_id: str, actor: Actor, db: AsyncSession) -> None:
        """Revoke somebody's token; holds at its next request."""
        require_person(actor)
        await _revoke(tokens, db, actor, user_id, token_id)

    return [list_user_tokens, create_service_token, revoke_user_token]


async def _make(
    tokens: ApiTokens, db: AsyncSession, actor: Actor, owner: tuple[str, str], data: TokenIn
) -> NewTokenOut:
    user_id, kind = owner
    life = dt.timedelta(days=data.days)
    if life > tokens.max_life:
        text = f"at most {tokens.max_life.days} days, by auth.token_life"
        raise Problem(422, "invalid", f"days: {text}", errors=[FieldError("/days", text)])
    made = await tokens.create(db, user_id, kind=kind, name=data.name, scopes=data.scopes, life=life, by=actor.id)
    detail = {"owner": user_id, "kind": kind, "scopes": data.scopes, "days": data.days}
    await record(db, Entry(action="core.token.created", actor=actor, object=f"token:{made.row.id}", detail=detail))
    return NewTokenOut(**msgspec.structs.asdict(_show(made.row)), token=made.text)


async def _revoke(tokens: ApiTokens, db: AsyncSession, actor: Actor, owner: str, token_id: str) -> None:
    if not await tokens.revoke(db, owner, token_id):
        raise Problem(404, "not_found", "There is no such token.")
    await record(db, Entry(action="core.token.revoked", actor=actor, object=f"token:{token_id}"))


async def _find(people: People, db: AsyncSession, user_id: str) -> User:
    user = await people.by_id(db, user_id)
    if user is None:
        raise Problem(404, "not_found", f"There is no user with the id {user_id!r}.")
    return user


def _check_scopes(scopes: list[str] | None, allowed: Collection[str], status: int, why: str) -> None:
    errors = [
        FieldError(f"/scopes/{place}", f"{scope!r}: {why}")
        for place, scope in enumerate(scopes or ())
        if scope not in allowed
    ]
    if errors:
        code = "forbidden" if status == 403 else "invalid"  # noqa: PLR2004 - a status
        raise Problem(status, code, "; ".join(error.detail for error in errors), errors=errors)


def _show(row: Token) -> TokenOut:
    scopes = scopes_of(row.scopes)
    return TokenOut(
        id=row.id,
        name=row.name,
        kind=row.kind,
        prefix=PREFIXES[row.kind],
        last4=row.last4,
        scopes=None if scopes is None else sorted(scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        expired=row.expires_at <= dt.datetime.now(dt.UTC),
    )
