"""The settings of signing in."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from plugin_host.settings.oidc import IdentityProvider  # noqa: TC001 - msgspec reads the annotation
from plugin_host.settings.section import Section

_DAY = 24 * 3600


class Argon2(Section, frozen=True, kw_only=True):
    """`[auth.argon2]`: the cost of a password hash. The defaults are the floor; less is refused."""

    time_cost: Annotated[int, Meta(ge=2, description="Passes over the memory.")] = 2
    memory_kib: Annotated[int, Meta(ge=19_456, description="Memory of one hash in KiB.")] = 19_456
    parallelism: Annotated[int, Meta(ge=1, description="Lanes of one hash.")] = 1


class Auth(Section, frozen=True, kw_only=True):
    """`[auth]`: sign-in."""

    session_idle: Annotated[
        int, Meta(ge=600, description="Seconds without a request after which a person must sign in again.")
    ] = 12 * 3600
    session_absolute: Annotated[
        int, Meta(ge=600, description="Seconds after which a person must sign in again in any case.")
    ] = 14 * 24 * 3600
    app_idle: Annotated[
        int, Meta(ge=600, description="Seconds without a refresh after which an application must sign in again.")
    ] = 14 * _DAY
    app_absolute: Annotated[
        int, Meta(ge=600, description="Seconds after which an application must sign in again in any case.")
    ] = 90 * _DAY
    access_token: Annotated[int, Meta(ge=60, le=3600, description="Seconds that an access token is good for.")] = 600
    algorithm: Annotated[
        Literal["EdDSA", "ES256"], Meta(description="How access tokens are signed; ES256 for gateways without EdDSA.")
    ] = "EdDSA"
    key_rotation: Annotated[
        int, Meta(ge=_DAY, description="Seconds after which a new signing key takes over by itself.")
    ] = 90 * _DAY
    refresh_grace: Annotated[
        int,
        Meta(ge=0, le=60, description="Seconds in which a refresh token may be sent again, if its answer was lost."),
    ] = 10
    token_life: Annotated[
        int, Meta(ge=_DAY, le=366 * _DAY, description="Seconds that a personal or service token may be good for.")
    ] = 366 * _DAY
    mfa: Annotated[
        Literal["optional", "admins", "all"], Meta(description="Who must have a second factor to do anything.")
    ] = "optional"
    reauthentication: Annotated[
        int,
        Meta(ge=60, description="Seconds for which a person who proved who they are may do what is dangerous."),
    ] = 3600
    argon2: Argon2 = Argon2()
    oidc: Annotated[
        dict[Annotated[str, Meta(pattern="^[a-z][a-z0-9-]{0,30}$")], IdentityProvider],
        Meta(description="`[auth.oidc.<name>]`: providers that people may sign in with; the name is in addresses."),
    ] = {}  # noqa: RUF012 - msgspec gives each its own
