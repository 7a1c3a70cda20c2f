"""In the trial's process: gather what the host shows of its active plugins."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from plugin_host.core.checking.subject import Built, Route
from plugin_host.sdk.models import METADATA, NAMING, PluginBase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugin_host.database import Databases
    from plugin_host.plugins.generation import Generation


def gather(generation: Generation, databases: Databases) -> dict[str, Built]:
    """Give for each active plugin but core what was built. Blocking: it looks at the tables."""
    kinds = list(_kinds())
    with contextlib.ExitStack() as opened:
        open_once = functools.cache(
            lambda database: opened.enter_context(opened.enter_context(database.migration_engine()).connect())
        )
        return {
            plugin: Built(
                beyond=tuple(declared.beyond),
                routes=tuple(Route(each.method, each.path, each.permission) for each in generation.routes[plugin]),
                kinds=_by_kind(plugin, kinds),
                differences=tuple(_differences(plugin, open_once(databases.of(plugin)))),
            )
            for plugin, declared in generation.declared.items()
            if plugin != "core"
        }


def _kinds() -> Iterator[tuple[str, str]]:
    """Give each class that says `__object__` and has a table, with what it says."""
    todo: list[type[PluginBase]] = list(PluginBase.__subclasses__())
    while todo:
        cls = todo.pop()
        todo += cls.__subclasses__()
        kind = cls.__dict__.get("__object__")
        if kind is not None and hasattr(cls, "__table__"):
            yield str(kind), f"{cls.__module__}.{cls.__qualname__}"


def _by_kind(plugin: str, kinds: list[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for kind, name in kinds:
        if kind.partition(".")[0] == plugin:
            found[kind] = (*found.get(kind, ()), name)
    return found


def _differences(plugin: str, connection: sa.Connection) -> Iterator[str]:
    """Word what the models of a plugin say and its revisions did not make, and the other way round."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - only a trial pays for it
    from alembic.migration import MigrationContext  # noqa: PLC0415 - with it

    own = sa.MetaData(naming_convention=NAMING)
    for table in METADATA.sorted_tables:
        if table.name.startswith(f"{plugin}_"):
            table.to_metadata(own)
    if not own.tables:
        return  # without models there is nothing that the tables could differ from
    options = {
        "compare_type": False,  # SQLite keeps four types
        "include_name": lambda name, kind, _parents: kind != "table" or str(name).startswith(f"{plugin}_"),
    }
    for difference in compare_metadata(MigrationContext.configure(connection, opts=options), own):
        yield from _words(difference)


def _words(difference: Any) -> Iterator[str]:
    if isinstance(difference, list):  # changes of one column
        for each in difference:
            yield f"{each[2]}.{each[3]}: {each[0].removeprefix('modify_')} differs between the model and the table"
        return
    verb, what = difference[0].split("_", 1)
    is_table = isinstance(difference[1], sa.Table)
    thing = difference[1] if is_table or not isinstance(difference[1], str | None) else difference[-1]
    table = getattr(thing, "table", None)
    owner = f" of {difference[2] if table is None and not is_table else table.name}" if not is_table else ""
    side = ("the models have", "no revision makes it") if verb == "add" else ("the tables have", "no model says it")
    yield f"{side[0]} the {what.replace('_', ' ')} {getattr(thing, 'name', thing)}{owner}, and {side[1]}"
