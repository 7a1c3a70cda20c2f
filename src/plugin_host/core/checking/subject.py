"""What is checked: one plugin, with all that can be known of it without running it, and what its trial showed."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from plugin_host.core.checking.distribution import Distribution, distribution_of
from plugin_host.core.checking.documents import Documents, read_documents
from plugin_host.core.checking.sources import Sources, read_sources

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from plugin_host.plugins.plan import Candidate, Found
    from plugin_host.sdk.manifest import MenuFile, PermissionsFile, PluginManifest


class Route(msgspec.Struct, frozen=True):
    """One route as the built application has it."""

    method: str
    path: str
    permission: str


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial showed of one plugin that became active.

    `beyond` are sentences on what its hooks add to its files; `kinds` the classes that say `__object__`, by what
    they say; `differences` sentences on models and tables that do not agree.
    """

    beyond: tuple[str, ...] = ()
    routes: tuple[Route, ...] = ()
    kinds: dict[str, tuple[str, ...]] = {}
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class Subject:
    """One plugin to be checked.

    `others` are the plugins installed beside it, by id; `unpacked` is where a wheel was unpacked; `built` is None
    when it did not become active, or was not tried.
    """

    candidate: Candidate
    others: Mapping[str, Found] = field(default_factory=lambda: MappingProxyType({}))
    unpacked: Path | None = None
    built: Built | None = None

    @property
    def id(self) -> str:
        """The plugin's id."""
        return self.candidate.id

    @property
    def folder(self) -> Path | None:
        """The folder of its package."""
        return self.candidate.folder

    @cached_property
    def documents(self) -> Documents:
        """Its three files."""
        return read_documents(self.candidate)

    @cached_property
    def sources(self) -> Sources:
        """Its Python."""
        return read_sources(self.folder)

    @cached_property
    def distribution(self) -> Distribution | None:
        """What its distribution says of itself; None for a folder plugin."""
        return distribution_of(self.candidate, self.unpacked)

    @property
    def manifest(self) -> PluginManifest | None:
        """plugin.json, if it can be read."""
        return self.documents.manifest

    @property
    def permissions(self) -> PermissionsFile:
        """permissions.json, or an empty one."""
        return self.documents.permissions

    @property
    def menu(self) -> MenuFile:
        """menu.json, or an empty one."""
        return self.documents.menu

    @cached_property
    def needs(self) -> frozenset[str]:
        """The plugins that it requires, or takes when they are there."""
        return (
            frozenset({*self.manifest.requires, *self.manifest.optional}) if self.manifest is not None else frozenset()
        )

    @cached_property
    def own(self) -> dict[str, str]:
        """The scope of each of its permissions, by name."""
        return {permission.name: permission.scope for permission in self.permissions.permissions}

    @cached_property
    def adds_permissions(self) -> bool:
        """Whether a hook may add permissions that the files do not name."""
        return any(
            isinstance(node, ast.FunctionDef) and node.name == "register_permissions"
            for module in self.sources
            for node in module.nodes
        )

    def label(self, path: Path) -> str:
        """Name a file of the package as people know it: `host_contacts/ui/people.js`."""
        return str(path.relative_to(self.folder.parent)) if self.folder is not None else str(path)
