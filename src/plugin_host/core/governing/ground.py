"""What plugins bring to the policy: their permissions, roles and object classes, and the rules that follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plugin_host.access.catalogue import Catalogue
from plugin_host.access.compiling import compile_rules
from plugin_host.access.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plugin_host.core.standing import Standing
    from plugin_host.plugins.plan import Plan
    from plugin_host.sdk.context import Users
    from plugin_host.sdk.manifest import Role
    from plugin_host.sdk.models import PluginBase


@dataclass(frozen=True, slots=True)
class Ground:
    """What changes of the policy stand on.

    `snapshot` has the rules of the plugins' roles, whatever administrators' rules it has besides; `roles` are the
    plugins' own, `plugins` says whose each is; `objects` are the classes by their `__object__`, none if no plugin was
    imported. `users` are the people, `foreign` says that they are an embedding application's: then it names their
    groups as well.
    """

    snapshot: Snapshot
    roles: Mapping[str, Role]
    plugins: Mapping[str, str]
    users: Users
    objects: Mapping[str, type[PluginBase]] = field(default_factory=dict)
    foreign: bool = False

    @property
    def catalogue(self) -> Catalogue:
        """The permissions of the active plugins."""
        return self.snapshot.catalogue


def ground_of(standing: Standing, users: Users, *, foreign: bool) -> Ground:
    """Give what stands now."""
    roles, plugins = _roles(standing.generation.plan, standing.generation.declared)
    return Ground(standing.snapshot, roles, plugins, users, standing.objects, foreign)


def ground_of_plan(plan: Plan, users: Users) -> Ground:
    """Give what would stand, by the plugins' files: for commands that import no plugin."""
    active = {entry.id: None for entry in plan.active}
    roles, plugins = _roles(plan, active)
    catalogue = Catalogue.of(each for plugin in active for each in plan.found[plugin].permissions.permissions)
    snapshot = Snapshot(catalogue, compile_rules(catalogue, roles.values()))
    return Ground(snapshot, roles, plugins, users)


def _roles(plan: Plan, active: Mapping[str, object]) -> tuple[dict[str, Role], dict[str, str]]:
    roles = {role.name: role for plugin in active for role in plan.found[plugin].permissions.roles}
    plugins = {role.name: plugin for plugin in active for role in plan.found[plugin].permissions.roles}
    return roles, plugins
