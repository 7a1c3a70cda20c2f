"""Draft a revision: what the models say, against what the revisions so far make of an empty database.

The draft is a file for its author to read: alembic writes the operations, we write the head, with what the revision
needs, the types of our own, and the names that the naming convention gives.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import CompileError, UnsupportedCompilationError

from plugin_host.migrations.planning import MigrationError
from plugin_host.migrations.revisions import revision_files
from plugin_host.migrations.schedule import CORE, revision_id
from plugin_host.migrations.scratch import build, scratch
from plugin_host.sdk.models import METADATA, NAMING, ExactDecimal, UtcDateTime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from plugin_host.database import Database
    from plugin_host.migrations.revisions import Source

_SLUG: Final = 40  # characters of the message in the name of a file


@dataclass(frozen=True)
class Draft:
    """A revision as it would be written: `name` of its file, `text`, the revision, and what it needs.

    `drops` names what it would take away, with what is in it; `warnings` say what an author should look at. Without
    `operations` the models and the revisions agree.
    """

    name: str
    text: str
    revision: str
    needs: dict[str, str]
    operations: tuple[str, ...]
    drops: tuple[str, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class _Change:
    """Alembic's operations, and both directions as code; written while the database is there."""

    operations: tuple[Any, ...]
    up: str
    down: str


def draft(source: Source, others: Sequence[Source], message: str, database: Database | None = None) -> Draft:
    """Draft the next revision of a plugin from its models, which are imported already.

    `others` are the sources in the same database. SQLite builds the temporary one, and `database` where a type of the
    models is PostgreSQL's. Raises `MigrationError` where the revisions so far do not run.
    """
    own = _own_tables(source.plugin)
    sources = [source, *(each for each in others if each.plugin != source.plugin)]
    try:
        found = _compare(source, sources, own, None)
    except (CompileError, UnsupportedCompilationError) as error:
        if database is None or database.dialect != "postgresql":
            told = str(error).splitlines()[0]
            raise MigrationError(
                f"a type of the models is not SQLite's ({told}): draft it where `database` is PostgreSQL"
            ) from error
        found = _compare(source, sources, own, database)
    operations = found.operations
    number = len(revision_files(source)) + 1
    needs = {
        other.plugin: revision_id(other.plugin, len(files))
        for other in others
        if other.plugin in source.requires and other.plugin != CORE and (files := revision_files(other))
    }
    slug = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")[:_SLUG].rstrip("_") or "change"
    return Draft(
        name=f"{number:04d}_{slug}.py",
        text=_text(found, message, needs),
        revision=revision_id(source.plugin, number),
        needs=needs,
        operations=tuple(_words(each) for each in operations),
        drops=tuple(_words(each) for each in operations if _drops(each)),
        warnings=tuple(text for each in operations for text in _warnings(each)),
    )


def _own_tables(plugin: str) -> sa.MetaData:
    own = sa.MetaData(naming_convention=NAMING)
    for table in METADATA.sorted_tables:
        if table.name.startswith(f"{plugin}_"):
            table.to_metadata(own)
        elif table.name not in own.tables:
            # Keys to others must find them; `include_name` keeps these out of the comparison.
            table.to_metadata(own)
    return own


def _compare(source: Source, sources: Sequence[Source], own: sa.MetaData, database: Database | None) -> _Change:
    from alembic.autogenerate import produce_migrations  # noqa: PLC0415 - only authors pay for it
    from alembic.migration import MigrationContext  # noqa: PLC0415 - with it

    prefix = f"{source.plugin}_"

    def mine(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "table" or str(name).startswith(prefix)

    def object_mine(_thing: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:  # noqa: FBT001 - alembic's signature
        return kind != "table" or str(name).startswith(prefix)

    with scratch(database) as connection:
        build(connection, sources, source.plugin)
        options = {
            "compare_type": _type_differs,
            "include_name": mine,
            "include_object": object_mine,
            "render_as_batch": True,
            "target_metadata": own,
            "render_item": _render,
            "sqlalchemy_module_prefix": "sa.",
            "alembic_module_prefix": "op.",
            "user_module_prefix": None,
        }
        context = MigrationContext.configure(connection, opts=options)
        script = produce_migrations(context, own)
        return _Change(
            tuple(_flat(script.upgrade_ops)),
            _rendered(script.upgrade_ops, context),
            _rendered(script.downgrade_ops, context),
        )


def _rendered(operations: Any, context: Any) -> str:
    from alembic.autogenerate import render_python_code  # noqa: PLC0415 - as above

    text: str = render_python_code(
        operations,
        sqlalchemy_module_prefix="sa.",
        alembic_module_prefix="op.",
        render_as_batch=True,
        imports=(),
        render_item=_render,
        migration_context=context,
        user_module_prefix=None,
    )
    lines = [line for line in text.splitlines() if not line.strip().startswith("# ###")]
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def _type_differs(context: Any, _column: Any, _meta: Any, found: Any, wanted: Any) -> bool:
    dialect = context.dialect
    try:
        return str(found.compile(dialect=dialect)).lower() != str(wanted.compile(dialect=dialect)).lower()
    except CompileError:
        return False


def _render(kind: str, thing: Any, _context: Any) -> Any:
    """Write types of our own so that a revision stands for itself: what they are in the database."""
    if kind == "type" and isinstance(thing, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(thing, ExactDecimal):
        return f"ExactDecimal({thing.precision}, {thing.scale})"
    return False


def _text(found: _Change, message: str, needs: dict[str, str]) -> str:
    up, down, operations = found.up, found.down, found.operations
    body = up if operations else "    pass"
    head = [f'"""{message.rstrip(".")}."""', "", "import sqlalchemy as sa", "from alembic import op"]
    if "ExactDecimal(" in f"{up}{down}":
        head += ["", "from plugin_host.sdk import ExactDecimal"]
    phase = _phase(operations)
    said = ([f'phase = "{phase}"'] if phase is not None else []) + ([f"needs = {_quoted(needs)}"] if needs else [])
    if said:
        head += ["", *said]
    if "sa." not in f"{body}{down}":
        head.remove("import sqlalchemy as sa")
    return "\n".join(
        [*head, "", "", "def upgrade() -> None:", body, "", "", "def downgrade() -> None:", down or "    pass", ""]
    )


def _quoted(needs: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{plugin}": "{revision}"' for plugin, revision in needs.items()) + "}"


def _flat(operations: Any) -> Iterator[Any]:
    """Walk through the operations; those on one table come in groups."""
    for each in operations.ops:
        if hasattr(each, "ops"):
            yield from _flat(each)
        else:
            yield each


def _phase(operations: Sequence[Any]) -> str | None:
    """Tell whether the release before runs on what this makes: only where it adds and nothing is required."""
    if any(_drops(each) for each in operations):
        return "contract"
    adds = {"CreateTableOp", "CreateIndexOp"}
    kinds = {type(each).__name__ for each in operations if type(each).__name__ != "AddColumnOp"}
    columns = [each.column for each in operations if type(each).__name__ == "AddColumnOp"]
    harmless = all(column.nullable or column.server_default is not None for column in columns)
    return "expand" if kinds <= adds and harmless and operations else None


def _drops(operation: Any) -> bool:
    return type(operation).__name__ in {"DropTableOp", "DropColumnOp"}


def _words(operation: Any) -> str:
    kind = re.sub(r"(?<!^)(?=[A-Z])", " ", type(operation).__name__.removesuffix("Op")).lower()
    table = getattr(operation, "table_name", None) or getattr(operation, "source_table", None) or ""
    column = getattr(operation, "column_name", None) or getattr(getattr(operation, "column", None), "name", None)
    name = column or getattr(operation, "index_name", None) or getattr(operation, "constraint_name", None)
    place = f"{name} of {table}" if name and table else str(name or table)
    return f"{kind} {place}".strip()


def _warnings(operation: Any) -> Iterator[str]:
    if type(operation).__name__ == "AddColumnOp":
        column = operation.column
        if not column.nullable and column.server_default is None:
            yield (
                f"{column.name} of {operation.table_name} is required and has no server default: this fails where there"
                " are rows"
            )
