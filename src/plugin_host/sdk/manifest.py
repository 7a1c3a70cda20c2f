"""The three files of a plugin as frozen structs: plugin.json, permissions.json, menu.json.

They are read without importing the plugin. Unknown keys are refused, so that a typo is an error and
not a silence; `$schema` and the free object `extra` are allowed in each file. What the fields mean
among each other (prefixes, references, clashes) is checked by `plugins.manifests` and `plugins.resolver`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

from plugin_host.sdk.screens import Ui

CORE_VERSION: Final = "1.0"
"""The version of the contract between host and plugins: what `requires.core` is compared with."""

# To Python `$` also stands before a last line end, and JSON Schema has no `\Z`: so nothing may follow either.
_END: Final = "$(?![^a])"
ID_PATTERN: Final = f"^[a-z][a-z0-9]{{1,30}}{_END}"

PluginId: TypeAlias = Annotated[
    str, Meta(pattern=ID_PATTERN, description="One lower-case word; all that the plugin owns begins with it.")
]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: str | None = msgspec.field(name="$schema", default=None)
    extra: Annotated[dict[str, Any], Meta(description="Free for the author's own tools; the host never reads it.")] = {}


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of a file: the same strictness."""


# -- permissions.json ---------------------------------------------------------------------------------


class Permission(_Part, frozen=True, kw_only=True):
    """Something a person may be allowed to do: `contacts.view`, or `contacts.person.edit` of one object."""

    name: Annotated[str, Meta(description="`<id>.<action>`, or `<id>.<object>.<action>` with object scope.")]
    title: Annotated[str, Meta(min_length=1, description="What administrators read.")]
    scope: Annotated[Literal["type", "object"], Meta(description="Whether it is asked of all, or of one object.")] = (
        "type"
    )
    implies: Annotated[tuple[str, ...], Meta(description="Permissions of this plugin that come with this one.")] = ()
    reads: Annotated[
        tuple[str, ...],
        Meta(description="Fields of the object that are read only with it, or with another that names them."),
    ] = ()
    writes: Annotated[
        tuple[str, ...],
        Meta(description="Fields of the object that are written only with it, or with another that names them."),
    ] = ()
    formerly: Annotated[
        tuple[str, ...],
        Meta(description="Names of earlier versions: what was granted under them is kept when an operator agrees."),
    ] = ()
    description: Annotated[str, Meta(description="A sentence for the administrator who grants it.")] = ""


class RoleGrant(_Part, frozen=True, kw_only=True):
    """One line of a role: a permission, and under which condition on the row."""

    permission: str
    where: Annotated[
        dict[str, Any] | None, Meta(description="A condition tree; without it the permission holds for all rows.")
    ] = None


class Role(_Part, frozen=True, kw_only=True):
    """A bundle of permissions that a plugin proposes; only an administrator gives it to people."""

    name: Annotated[str, Meta(description="`<id>.<role>`.")]
    title: Annotated[str, Meta(min_length=1)]
    grants: tuple[RoleGrant, ...] = ()
    description: str = ""


class PublicRoute(_Part, frozen=True, kw_only=True):
    """A route that answers people who have not signed in, and why it may."""

    method: Annotated[
        Literal["GET", "POST", "PUT", "PATCH", "DELETE", "WS", "*"], Meta(description="`*` is every method.")
    ]
    path: Annotated[str, Meta(description="The handler's own spelling below `/api/<id>`; may end in `/*`.")]
    reason: Annotated[str, Meta(min_length=1, description="Why this needs no sign-in; administrators read it.")]


class PermissionsFile(_File, frozen=True, kw_only=True):
    """permissions.json: what the plugin lets people do, in which bundles, and what is public."""

    permissions: tuple[Permission, ...] = ()
    roles: tuple[Role, ...] = ()
    public: tuple[PublicRoute, ...] = ()


# -- menu.json ----------------------------------------------------------------------------------------


class MenuItem(_Part, frozen=True, kw_only=True):
    """An entry of the menu; it names its permission, here or through its screen."""

    id: Annotated[str, Meta(description="`<id>.<word>`.")]
    title: str | None = None
    icon: str | None = None
    to: Annotated[str | None, Meta(description="A page below `/<id>`, from the base path: `/contacts/people`.")] = None
    permission: Annotated[
        str | None, Meta(description="A permission, or the word `signed-in`, or the word `public`.")
    ] = None
    screen: Annotated[str | None, Meta(description="Take title, page and permission from this screen.")] = None
    group: Annotated[str, Meta(description="Heading under which it stands; empty groups vanish.")] = ""
    parent: Annotated[str | None, Meta(description="Menu item that this one stands under.")] = None
    after: Annotated[tuple[str, ...], Meta(description="Menu items that come before this one.")] = ()


class MenuFile(_File, frozen=True, kw_only=True):
    """menu.json: the plugin's entries in the menu."""

    items: tuple[MenuItem, ...] = ()


# -- plugin.json ------------------------------------------------------------------------------------------


class EventsDeclared(_Part, frozen=True, kw_only=True):
    """Events that the plugin owns, and those of others that it listens to."""

    publishes: tuple[str, ...] = ()
    subscribes: tuple[str, ...] = ()


class Data(_Part, frozen=True, kw_only=True):
    """Where the plugin's tables live."""

    database: Literal["default", "own"] = "default"


class PluginManifest(_File, frozen=True, kw_only=True):
    """plugin.json: who the plugin is, what it needs and what it brings."""

    id: PluginId
    name: Annotated[str, Meta(min_length=1, max_length=80, description="The title that people read.")]
    requires: Annotated[
        dict[str, str],
        Meta(description='PEP 440 ranges; `core` must be there: `{"core": ">=1.0,<2", "contacts": ">=1.2"}`.'),
    ]
    version: Annotated[
        str | None, Meta(description="For folder plugins; where a distribution exists it must be equal.")
    ] = None
    manifest: Annotated[Literal[1], Meta(description="Format of this file.")] = 1
    optional: Annotated[dict[str, str], Meta(description="Loaded before this plugin when they are there.")] = {}
    conflicts: Annotated[tuple[str, ...], Meta(description="Plugins that cannot run beside this one.")] = ()
    entry: Annotated[
        str | None, Meta(description="`<module>` or `<module>:<attribute>`; folder plugins only, default the folder.")
    ] = None
    asks: Annotated[tuple[str, ...], Meta(description="Permissions of other plugins used on a person's behalf.")] = ()
    events: EventsDeclared = EventsDeclared()
    data: Data = Data()
    isolation: Annotated[
        tuple[Literal["inprocess", "process", "remote"], ...],
        Meta(description="Modes the plugin can run in; the operator chooses."),
    ] = ("inprocess",)
    ui: Ui | None = None
    description: str = ""
    icon: str | None = None
    links: Annotated[
        dict[Literal["homepage", "docs", "issues", "changelog"], str], Meta(description="Addresses for people.")
    ] = {}
    state: Literal["stable", "beta", "deprecated"] = "stable"


FILES: Final[dict[str, type[_File]]] = {
    "plugin": PluginManifest,
    "permissions": PermissionsFile,
    "menu": MenuFile,
}
"""Each file's struct by the word that `plugin-host schema` takes; the file is `<word>.json`."""

RESERVED_IDS: Final = frozenset(
    "core api ui app host health metrics schema setup login logout static well "
    # every command word of the command line
    "serve check plan plugins new migrate makemigration migrations users groups roles access jobs events "
    "worker audit auth openapi config doctor".split()
)
"""Words that no plugin may take as its id: paths and commands of the host itself."""
