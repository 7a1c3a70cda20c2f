"""permissions.json held against the plugin's models, which are imported by then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import inspect

from plugin_host.access.conditions import check_fields
from plugin_host.core.standing import objects_of
from plugin_host.sdk.conditions import ConditionError, parse_condition
from plugin_host.sdk.errors import PluginFault, Reason

if TYPE_CHECKING:
    from plugin_host.plugins.plan import Found


def check_conditions(found: Found) -> None:
    """Hold the conditions of the plugin's roles against its models, which are imported by now.

    Otherwise a condition on a field that is not there would fail at the first request of whoever has the role.
    """
    objects = objects_of([found.id])
    for role in found.permissions.roles:
        for grant in role.grants:
            if grant.where is None:
                continue
            kind = grant.permission.rpartition(".")[0]
            try:
                if kind not in objects:
                    raise ConditionError("", f'no model says __object__ = "{kind}"')  # noqa: TRY301 - worded once
                check_fields(parse_condition(grant.where), objects[kind])
            except ConditionError as error:
                raise PluginFault(
                    Reason(
                        code="manifest_invalid",
                        text=f"permissions.json of {found.id}: {role.name} grants {grant.permission} where {error}.",
                        culprits=(found.id,),
                        way_out="Name fields of the model of that object, or correct the model.",
                    )
                ) from error


def check_guarded(found: Found) -> None:
    """Hold the fields that permissions guard against the model of their object: a misspelt one would be open to all."""
    objects = objects_of([found.id])
    for permission in found.permissions.permissions:
        kind = permission.name.rpartition(".")[0]
        for name in (*permission.reads, *permission.writes):
            if kind not in objects or name not in inspect(objects[kind]).column_attrs:
                where = f"model of {kind!r} has no column {name!r}" if kind in objects else f"no model is of {kind!r}"
                raise PluginFault(
                    Reason(
                        code="manifest_invalid",
                        text=f"permissions.json of {found.id}: {permission.name} guards a field, but {where}.",
                        culprits=(found.id,),
                        way_out="Name columns of the model of that object, and give the permission object scope.",
                    )
                )
