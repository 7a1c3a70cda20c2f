"""Signing in with a provider, from the button to the session: what an assertion of a provider means here.

1. `start` makes a transaction and seals it into a cookie: only the browser that began can finish.
2. `finish` opens it, spends its state (once, in whichever process), and asks the provider.
3. Issuer and subject name the account. Without one, there is a new one where the settings say so; never is an
   account taken for somebody's because a name or a mail address is the same.
4. Roles that the provider gives are given and taken at every sign-in; those that people gave stay.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import secrets
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from plugin_host.access.members import holders, roles_of, set_roles
from plugin_host.access.tables import RoleMember
from plugin_host.audit import Entry, record
from plugin_host.auth.oidc.identities import find_user, link
from plugin_host.auth.oidc.oauth2 import OAuth2Provider
from plugin_host.auth.oidc.openid import OpenIdProvider
from plugin_host.auth.oidc.provider import Provider, SignInError, Transaction
from plugin_host.auth.people import MAX_DISPLAY, MAX_USERNAME, check_profile
from plugin_host.auth.sessions import digest
from plugin_host.auth.setup import ADMIN
from plugin_host.auth.tables import OneTime, User
from plugin_host.auth.vault import SealError
from plugin_host.core.signing_in import as_actor
from plugin_host.sdk.errors import Problem

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping

    from sqlalchemy.ext.asyncio import AsyncSession

    from plugin_host.auth.oidc.provider import Assertion
    from plugin_host.auth.people import People
    from plugin_host.auth.vault import Vault
    from plugin_host.core.auditing import Auditing
    from plugin_host.core.signing_in import SignIn
    from plugin_host.database import Database
    from plugin_host.sdk.context import Actor
    from plugin_host.settings import Settings
    from plugin_host.settings.oidc import IdentityProvider

LIFE: Final = 600.0
"""Seconds from the button to the answer."""
_PURPOSE: Final = "oidc"
_NAMES_TRIED: Final = 20
# What a cookie takes without quotes.
_TO_COOKIE: Final = str.maketrans("+/", "-_")
_FROM_COOKIE: Final = str.maketrans("-_", "+/")

log = logging.getLogger("plugin_host.auth")


class Attempt(msgspec.Struct, frozen=True):
    """What is sealed into the cookie: of which provider, what for, since when, and where to go afterwards."""

    provider: str
    transaction: Transaction
    since: float
    return_to: str
    links: str | None = None


class Finished(NamedTuple):
    """Where the browser goes now, and the cookies that it gets."""

    return_to: str
    cookies: tuple[str, ...]


class ProviderSignIn:
    """The providers of the settings, and what becomes of those who sign in with them."""

    def __init__(  # noqa: PLR0913 - the services it joins, by name
        self,
        settings: Settings,
        database: Database,
        *,
        vault: Vault,
        people: People,
        sign_in: SignIn,
        auditing: Auditing,
        make: Callable[[IdentityProvider], Provider] | None = None,
    ) -> None:
        self._settings = settings.auth.oidc
        self._database = database
        self._vault = vault
        self._people = people
        self._sign_in = sign_in
        self._auditing = auditing
        self._make = make or make_provider
        self._providers: dict[str, Provider] = {}

    def titles(self) -> dict[str, str]:
        """Give what the button of each provider says, by its name."""
        return {name: each.title or name.replace("-", " ").title() for name, each in self._settings.items()}

    async def start(self, name: str, redirect_uri: str, return_to: str, links: str | None = None) -> tuple[str, str]:
        """Give the address to go to, and the sealed attempt for the cookie; `links` is the user who wants a link.

        Raises `Problem` 404 for no such provider, 503 `provider_unavailable`.
        """
        provider = self._provider(name)
        transaction = Transaction.make(redirect_uri)
        try:
            address = await provider.begin(transaction)
        except SignInError as error:
            raise self._refuse(name, error) from error
        attempt = Attempt(name, transaction, time.time(), return_to, links)
        return address, self._vault.seal(_PURPOSE, msgspec.json.encode(attempt)).translate(_TO_COOKIE).rstrip("=")

    async def finish(
        self, name: str, sealed: str | None, answer: Mapping[str, str], scope: Any, actor: Actor
    ) -> Finished:
        """Take the answer of a provider, and begin a session or link an account.

        Raises `Problem` 400 `sign_in_refused` for what does not fit together, 403 `identity_unknown` for somebody
        without an account here, 503 `provider_unavailable`.
        """
        provider = self._provider(name)
        try:
            attempt = self._open(name, sealed)
            await self._spend(attempt.transaction.state, answer)
            assertion = await provider.complete(attempt.transaction, answer)
        except SignInError as error:
            raise self._refuse(name, error) from error
        if attempt.links is not None:
            return await self._link(name, attempt, assertion, actor)
        async with self._work() as db:
            user = await self._account(db, name, assertion)
            await self._follow_roles(db, name, user, assertion)
            started = await self._sign_in.start_session(db, scope, user, methods=("oidc",))
        return Finished(attempt.return_to, started.cookies)

    async def close(self) -> None:
        """Close the connections to the providers."""
        for provider in self._providers.values():
            await provider.close()
        self._providers.clear()

    # -- how -----------------------------------------------------------------------------------------

    def _provider(self, name: str) -> Provider:
        if name not in self._settings:
            raise Problem(404, "not_found", f"There is no provider {name!r}.")
        if name not in self._providers:
            self._providers[name] = self._make(self._settings[name])
        return self._providers[name]

    def _refuse(self, name: str, error: SignInError) -> Problem:
        log.warning("signing in with %s: %s", name, error)
        self._auditing.count("core.session.refused", f"oidc_{error.code}")
        if error.off:
            detail = f"{self.titles()[name]} cannot be used right now; sign in in another way, or try again later."
            return Problem(503, "provider_unavailable", detail, headers={"retry-after": "30"})
        if error.code == "access_denied":
            return Problem(403, "access_denied", f"{self.titles()[name]} says that you did not agree.")
        detail = "This answer does not belong to a sign-in that began in this browser, or was changed on its way."
        return Problem(400, "sign_in_refused", f"{detail} Begin again.")

    def _open(self, name: str, sealed: str | None) -> Attempt:
        try:
            said = (sealed or "").translate(_FROM_COOKIE)
            opened = self._vault.open(_PURPOSE, said + "=" * (-len(said) % 4))
            attempt = msgspec.json.decode(opened, type=Attempt)
        except (SealError, msgspec.DecodeError) as error:
            raise SignInError("no_attempt") from error
        if attempt.provider != name or not 0 <= time.time() - attempt.since <= LIFE:
            raise SignInError("no_attempt")
        return attempt

    async def _spend(self, state: str, answer: Mapping[str, str]) -> None:
        """Let a state be used once, whatever comes of it: the code that came with it may be in somebody's log."""
        if not secrets.compare_digest(answer.get("state", "").encode(), state.encode()):
            raise SignInError("state")
        now = dt.datetime.now(dt.UTC)
        try:
            async with self._work() as db:
                await db.execute(delete(OneTime).where(OneTime.purpose == _PURPOSE, OneTime.expires_at < now))
                ends = now + dt.timedelta(seconds=LIFE)
                db.add(OneTime(hash=digest(state.encode()), purpose=_PURPOSE, created_at=now, expires_at=ends))
        except IntegrityError as error:
            raise SignInError("state", "used before") from error

    async def _account(self, db: AsyncSession, name: str, assertion: Assertion) -> User:
        user = await find_user(db, assertion)
        if user is not None:
            return user
        if not self._settings[name].auto_create:
            self._auditing.count("core.session.refused", "oidc_identity_unknown")
            detail = f"Nobody here is linked to this account. Sign in with a password, then link {self.titles()[name]}."
            raise Problem(403, "identity_unknown", detail)
        user = await self._create(db, assertion)
        await link(db, user.id, name, assertion)
        said = {"username": user.username, "provider": name, "subject": assertion.subject}
        entry = Entry(action="core.user.created", actor=as_actor(user), object=f"user:{user.id}", detail=said)
        await record(db, entry)
        return user

    async def _create(self, db: AsyncSession, assertion: Assertion) -> User:
        """Make an account under a name that nobody has: the one that has it is somebody else until they say so."""
        wanted = (
            "".join(each for each in assertion.username if each.isprintable()).strip()[: MAX_USERNAME - 5] or "user"
        )
        shown = "".join(each for each in assertion.display if each.isprintable()).strip()[:MAX_DISPLAY] or wanted
        username = wanted
        for number in range(2, _NAMES_TRIED):
            if await self._people.by_name(db, username) is None:
                break
            username = f"{wanted}-{number}"
        else:
            username = f"{wanted[: MAX_USERNAME - 10]}-{secrets.token_hex(4)}"
        try:
            profile = check_profile(username, shown, assertion.email)
        except Problem:
            profile = check_profile(username, shown)  # what they call a mail address need not be one
        return await self._people.create(db, profile, None)

    async def _follow_roles(self, db: AsyncSession, name: str, user: User, assertion: Assertion) -> None:
        mine = f"oidc:{name}"
        mapped = mapped_roles(self._settings[name], assertion.claims)
        owned = select(RoleMember.role).where(RoleMember.subject == f"user:{user.id}", RoleMember.granted_by == mine)
        before = set(await roles_of(db, user.id))
        after = (before - set((await db.scalars(owned)).all())) | mapped
        if ADMIN in before - after and await holders(db, ADMIN) <= {user.id}:
            log.warning("%s no longer says that %s is an administrator: the last one stays", name, user.username)
            after.add(ADMIN)
        if after != before:
            await set_roles(db, user.id, after, mine)
            said = {"before": sorted(before), "after": sorted(after), "provider": name}
            changed = Entry(
                action="core.user.roles_changed", actor=as_actor(user), object=f"user:{user.id}", detail=said
            )
            await record(db, changed)

    async def _link(self, name: str, attempt: Attempt, assertion: Assertion, actor: Actor) -> Finished:
        if actor.id != attempt.links or not actor.signed_in:
            raise self._refuse(name, SignInError("another_user"))
        async with self._work() as db:
            identity = await link(db, actor.id, name, assertion)
            said = {"provider": name, "subject": assertion.subject}
            await record(
                db,
                Entry(action="core.identity.linked", actor=actor, object=f"identity:{identity.id}", detail=said),
            )
        return Finished(attempt.return_to, ())

    @contextlib.asynccontextmanager
    async def _work(self) -> AsyncIterator[AsyncSession]:
        unit = self._database.unit()
        try:
            yield unit.session
            await unit.commit()
        finally:
            await unit.close()


def make_provider(settings: IdentityProvider) -> Provider:
    """Make the provider of the kind that the settings say."""
    return OpenIdProvider(settings) if settings.kind == "oidc" else OAuth2Provider(settings)


def mapped_roles(settings: IdentityProvider, claims: Mapping[str, Any]) -> set[str]:
    """Give the roles that the settings map what the provider says to; what they do not name is nothing here."""
    said: Any = claims
    for word in settings.roles_claim.split(".") if settings.roles_claim not in claims else (settings.roles_claim,):
        said = said.get(word) if isinstance(said, dict) else None
    values: Collection[Any] = said if isinstance(said, list) else [said]
    return {settings.role_map[value] for value in values if isinstance(value, str) and value in settings.role_map}


def safe_return(said: str | None) -> str:
    """Give a path of this host to go to, whatever was asked for: never an address of somebody else."""
    path = said or "/"
    lowered = path.lower()
    odd = any(not each.isprintable() or each in "\\ " for each in path) or any(
        each in lowered for each in ("%09", "%0a", "%0d", "%5c", "%00", "%2f%2f")
    )
    return path if path.startswith("/") and "//" not in path.partition("?")[0] and not odd and path.isascii() else "/"
