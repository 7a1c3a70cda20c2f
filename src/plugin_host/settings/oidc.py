"""`[auth.oidc.<name>]`: who else may say who people are."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

from plugin_host.settings.reading import SettingsError
from plugin_host.settings.section import Section, Text

_ADDRESS: Final = r"^(https://[^\s/?#@]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?)"
Issuer: TypeAlias = Annotated[str, Meta(pattern=_ADDRESS + r"(/[^\s?#]*)?$(?!\n)")]
Endpoint: TypeAlias = Annotated[str, Meta(pattern=_ADDRESS + r"(/[^\s#]*)?$(?!\n)")]


class IdentityProvider(Section, frozen=True, kw_only=True):
    """A provider that people may sign in with: OpenID Connect, or plain OAuth 2 as GitHub speaks it."""

    issuer: Annotated[
        Issuer,
        Meta(description="Its issuer, letter by letter: `https`, or `http` on this machine. Accounts are kept by it."),
    ]
    client_id: Annotated[Text, Meta(description="What the provider calls this host.")]
    client_secret: Annotated[
        Text | None, Meta(description="The secret that goes with it, if it has one; better as `client_secret_file`.")
    ] = None
    title: Annotated[Text | None, Meta(description="What the button says; without it, the name of the section.")] = None
    kind: Annotated[
        Literal["oidc", "oauth2"],
        Meta(description="`oauth2` is for providers without OpenID Connect: they need the three endpoints below."),
    ] = "oidc"
    scopes: Annotated[
        tuple[Text, ...],
        Meta(description="What to ask for. Without it `openid`, `profile` and `email`; of `oauth2` nothing."),
    ] = ()
    roles_claim: Annotated[
        Text, Meta(description="The claim with the groups of a person; a dot goes into an object.")
    ] = "groups"
    role_map: Annotated[
        dict[str, Text],
        Meta(description="From a value of that claim to a role here, applied at every sign-in. Others are ignored."),
    ] = {}  # noqa: RUF012 - msgspec gives each its own
    auto_create: Annotated[
        bool, Meta(description="Make an account for whoever signs in and has none. Never links one that is there.")
    ] = False
    authorization_endpoint: Annotated[Endpoint | None, Meta(description="Of `oauth2`: where people agree.")] = None
    token_endpoint: Annotated[Endpoint | None, Meta(description="Of `oauth2`: where the code is exchanged.")] = None
    userinfo_endpoint: Annotated[Endpoint | None, Meta(description="Of `oauth2`: what says who it is.")] = None
    subject_claim: Annotated[
        Text, Meta(description="Of `oauth2`: the field that never changes and is never given to somebody else.")
    ] = "id"
    username_claim: Annotated[
        Text | None,
        Meta(description="The claim that new accounts are named after: `preferred_username`, of `oauth2` `login`."),
    ] = None

    def __post_init__(self) -> None:
        """Hold the endpoints to the kind."""
        super().__post_init__()
        endpoints = (self.authorization_endpoint, self.token_endpoint, self.userinfo_endpoint)
        if self.kind == "oauth2" and None in endpoints:
            msg = 'kind = "oauth2" needs authorization_endpoint, token_endpoint and userinfo_endpoint'
            raise SettingsError(f"auth.oidc ({self.issuer}): {msg}")
        if self.kind == "oidc" and any(endpoints):
            msg = 'endpoints are discovered; leave them out, or say kind = "oauth2"'
            raise SettingsError(f"auth.oidc ({self.issuer}): {msg}")
