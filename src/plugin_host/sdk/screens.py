"""What a plugin shows in the browser: `ui` of plugin.json as frozen structs."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta

UI_CONTRACTS: Final = (1,)
"""The browser contracts that this host's shell speaks."""

# To Python `$` also stands before a last line end, and JSON Schema has no `\Z`: so nothing may follow either.
_ID: Final = "^[a-z][a-z0-9-]{0,40}$(?![^a])"

Capability: TypeAlias = Literal["api", "notify", "navigate", "confirm", "downloads"]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the file: unknown keys are errors."""


class _Screen(_Part, frozen=True, kw_only=True, tag_field="kind"):
    id: Annotated[str, Meta(pattern=_ID)]
    title: Annotated[str, Meta(min_length=1)]
    permission: Annotated[str, Meta(description="A permission, `signed-in` or `public`.")]
    path: Annotated[str, Meta(description="Below `/<id>/`; the longest wins, by whole segments.")] = ""
    styles: Annotated[tuple[str, ...], Meta(description="Style sheets below the package.")] = ()


class ModuleScreen(_Screen, frozen=True, kw_only=True, tag="module"):
    """A screen drawn by one ES module, in a shadow root."""

    entry: Annotated[str, Meta(description="`ui/people.js`")]


class FederationScreen(_Screen, frozen=True, kw_only=True, tag="federation"):
    """A screen drawn by a federated remote (container protocol `init`/`get`)."""

    entry: Annotated[str, Meta(description="The remote's entry file: `ui/remoteEntry.js`.")]
    name: Annotated[str, Meta(description="The container's name; of a `global` remote the variable it sets.")]
    expose: Annotated[str, Meta(description="The exposed module that has `mount`: `./Screen`.")]
    format: Annotated[Literal["module", "global"], Meta(description="An ES module, or a script.")] = "module"
    share: Annotated[
        str | None, Meta(description="A group of remotes that share their libraries; without it, nobody does.")
    ] = None


class IframeScreen(_Screen, frozen=True, kw_only=True, tag="iframe"):
    """A screen in a sandboxed frame with an opaque origin; its files are code, not data, and public."""

    entry: Annotated[str, Meta(description="`ui/frame/index.html`: the files of its folder are public.")]
    capabilities: Annotated[tuple[Capability, ...], Meta(description="What the frame may ask of the shell.")] = (
        "api",
        "notify",
        "navigate",
        "confirm",
    )


class Column(_Part, frozen=True, kw_only=True):
    """A column or form field with more than its name."""

    name: str
    title: str | None = None
    help: Annotated[str | None, Meta(description="A sentence below the field.")] = None
    widget: Annotated[
        Literal["text", "textarea", "password", "money", "badge", "email", "link", "file", "json"] | None,
        Meta(description="How it is shown, where its type does not say it."),
    ] = None
    group: Annotated[str | None, Meta(description="The heading under which it stands in the form.")] = None
    currency: Annotated[str | None, Meta(description="Of `money`: a code as EUR, or the field that has it.")] = None
    hidden: Annotated[bool, Meta(description="Of a column: not shown before somebody chooses it.")] = False


class Operations(_Part, frozen=True, kw_only=True):
    """The plugin's routes behind a declared screen, by function name."""

    list: str
    read: str | None = None
    create: str | None = None
    update: str | None = None
    delete: str | None = None


class Action(_Part, frozen=True, kw_only=True):
    """A button of a declared screen."""

    operation: str
    title: str
    on: Literal["row", "bulk", "page"] = "row"
    confirm: Annotated[str | None, Meta(description="Asked before it is done.")] = None
    danger: bool = False


class Ref(_Part, frozen=True, kw_only=True):
    """A field that holds the id of something else, also of another plugin that this one needs."""

    list: Annotated[
        str, Meta(description="The operation that searches them: `list_companies`, `contacts.list_people`.")
    ]
    read: Annotated[str | None, Meta(description="The operation that reads one, to show its label.")] = None
    label: Annotated[str, Meta(description="The field that people read.")] = "name"
    key: Annotated[str, Meta(description="The field that is kept.")] = "id"
    to: Annotated[str | None, Meta(description="Its page, `{id}` filled in: `/contacts/companies/{id}`.")] = None


class Tab(_Part, frozen=True, kw_only=True):
    """A list that belongs to the object: its operations take the object's id as the first part of their path."""

    id: Annotated[str, Meta(pattern=_ID)]
    title: Annotated[str, Meta(min_length=1)]
    operations: Operations
    columns: tuple[str | Column, ...] = ()
    form: tuple[str | Column, ...] = ()
    sort: tuple[str, ...] = ()


class DeclaredScreen(_Screen, frozen=True, kw_only=True, tag="declared"):
    """A screen without JavaScript, drawn by the shell from operations and schemas."""

    operations: Operations
    columns: tuple[str | Column, ...] = ()
    form: tuple[str | Column, ...] = ()
    search: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    filters: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    refs: dict[str, Ref] = {}
    tabs: tuple[Tab, ...] = ()
    parts: Annotated[
        dict[str, str],
        Meta(description='Single parts that a module draws: `{"cell:state": "./cells.js#state", "detail": …}`.'),
    ] = {}
    empty: Annotated[str | None, Meta(description="What the list says while there is nothing in it.")] = None


Screen: TypeAlias = ModuleScreen | FederationScreen | IframeScreen | DeclaredScreen


class Slot(_Part, frozen=True, kw_only=True):
    """A part for a place that another plugin, or the host, leaves open: `core.dashboard`, `contacts.person.tabs`."""

    slot: str
    kind: Literal["module", "federation", "iframe"]
    entry: str
    permission: str
    title: Annotated[str, Meta(description="The heading of the card or tab.")] = ""
    styles: tuple[str, ...] = ()
    name: Annotated[str | None, Meta(description="As of a federation screen.")] = None
    expose: str | None = None
    format: Literal["module", "global"] = "module"
    share: str | None = None
    capabilities: tuple[Capability, ...] = ("api", "notify", "navigate", "confirm")


class Ui(_Part, frozen=True, kw_only=True):
    """What the plugin shows in the browser."""

    contract: Annotated[int, Meta(description="The browser contract the files were written for.")] = 1
    screens: tuple[Screen, ...] = ()
    slots: tuple[Slot, ...] = ()


def shown_operations(screen: DeclaredScreen) -> list[tuple[str, str]]:
    """Name every operation that a screen refers to, each with its place in the screen."""
    named = [(f"operations.{verb}", name) for verb, name in _verbs(screen.operations)]
    named += [(f"actions[{n}].operation", action.operation) for n, action in enumerate(screen.actions)]
    for field, ref in screen.refs.items():
        named += [(f"refs.{field}.list", ref.list), *([(f"refs.{field}.read", ref.read)] if ref.read else [])]
    for n, tab in enumerate(screen.tabs):
        named += [(f"tabs[{n}].operations.{verb}", name) for verb, name in _verbs(tab.operations)]
    return named


def _verbs(operations: Operations) -> list[tuple[str, Any]]:
    said = msgspec.structs.asdict(operations)
    return [(verb, name) for verb, name in said.items() if name is not None]
