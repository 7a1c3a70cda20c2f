"""What handlers may ask for by name, and what a handler's signature says.

Looks behind Litestar's public names, at the `KwargsModel` that it makes of each handler's signature, and says why:
Litestar resolves two dependencies or more in a task group, which costs four times the
whole rest of a request (measured: 24 µs bare, 134 µs with four names); ours are at hand in the unit of work,
so they are read from there in one step, also for a plugin's own dependencies. The `Provide`s only declare them.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from litestar.di import Provide
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.gateway.gate import WORK
from plugin_host.sdk.context import Access, Actor, Events, Jobs, Services, Work
from plugin_host.sdk.listing import Listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from litestar._kwargs import KwargsModel
    from litestar.connection import ASGIConnection
    from litestar.handlers import BaseRouteHandler
    from litestar.typing import FieldDefinition

TYPES: Final[Mapping[str, type]] = {
    "actor": Actor,
    "access": Access,
    "db": AsyncSession,
    "events": Events,
    "jobs": Jobs,
    "services": Services,
    "settings": object,
    "log": logging.Logger,
    "listing": Listing,
}
"""The names and what comes under them; `settings` is of the plugin's own type."""

_READ: Final[Mapping[str, Callable[[Work], Any]]] = {
    "actor": lambda work: work.actor,
    "access": lambda work: work.access,
    "db": lambda work: work.db,
    "events": lambda work: work.events,
    "jobs": lambda work: work.jobs,
    "services": lambda work: work.services,
    "settings": lambda work: work.settings,
    "log": lambda work: work.log,
}


# Declared to Litestar one function for each name, since it refuses one function under two names.
PROVIDERS: Final[Mapping[str, Provide]] = {name: Provide(lambda: None, sync_to_thread=False) for name in TYPES}


def attach(model: KwargsModel) -> None:
    """Let a handler have the names it asks for straight from the unit of work."""
    wanted = [d.key for batch in model.dependency_batches for d in batch if d.provide is PROVIDERS.get(d.key)]
    if not wanted:
        return
    rest = [{d for d in batch if d.key not in wanted} for batch in model.dependency_batches]
    model.dependency_batches = [batch for batch in rest if batch]
    readers = [(name, _READ[name]) for name in wanted if name in _READ]
    listing = "listing" in wanted
    own = frozenset(parameter.field_alias for parameter in model.expected_query_params)

    async def read(values: dict[str, Any], connection: ASGIConnection[Any, Any, Any, Any]) -> None:
        work = connection.scope[WORK]  # type: ignore[typeddict-item] # a key of ours
        for name, reader in readers:
            values[name] = reader(work)
        if listing:
            values["listing"] = Listing.from_query(dict(connection.query_params.multi_items()), own)

    model.extractors.append(read)


def reads_json(model: KwargsModel) -> bool:
    """Tell whether the handler takes its body as JSON."""
    is_json = model.expected_form_data is None and model.expected_msgpack_data is None
    return is_json and "data" in model.expected_reserved_kwargs


def misused_names(handler: BaseRouteHandler) -> Iterable[str]:
    """Say which of the names the handler, or what is declared above it, takes for something else."""
    for layer in handler.ownership_layers[1:]:
        for word in ("dependencies", "parameters"):
            for name in getattr(layer, word, None) or {}:
                if name in TYPES:
                    yield f"declares {name!r} in its {word}: the host gives that name, choose another one"
    own = (p for name, p in handler.resolve_dependencies().items() if p is not PROVIDERS.get(name))
    for signature in (handler.parsed_fn_signature, *(provide.parsed_fn_signature for provide in own)):
        for name, field in signature.parameters.items():
            if name in TYPES and not _takes(field, TYPES[name]):
                said = getattr(field.annotation, "__name__", field.annotation)
                yield f"takes {name!r} as {said}: under that name the host gives {TYPES[name].__name__}"


def _takes(field: FieldDefinition, given: type) -> bool:
    if field.is_union:
        return any(_takes(inner, given) for inner in field.inner_types)
    annotation = field.annotation
    if given is object or annotation is Any:
        return True
    return isinstance(annotation, type) and issubclass(given, annotation)
