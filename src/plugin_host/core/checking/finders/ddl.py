"""What a revision does that hurts where there are rows, or other processes: read from its text, nothing is run.

Tables that the same file creates are empty and nobody's yet: there everything is allowed. `downgrade()` is not looked
at; who goes back says so. A warning that was thought about is answered with a comment, on its line or the one above:
`# PH613: there are a few hundred invoices`.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, Final

from plugin_host.core.checking.finding import Finding, finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plugin_host.core.checking.subject import Subject
    from plugin_host.migrations.schedule import Step

_ENDS: Final = re.compile(r"^\s*(COMMIT|ROLLBACK|BEGIN|START\s+TRANSACTION|ATTACH|DETACH|VACUUM)\b", re.IGNORECASE)
_SURVIVES: Final = ("CASCADE", "SET NULL")
_FIRST: Final = frozenset({"add_column", "drop_column", "alter_column", "drop_table", "rename_table"})
_BLOCKING: Final = "Say postgresql_concurrently=True, and transactional = False above upgrade(): nobody waits then."


def find_unsafe(subject: Subject, step: Step, label: str) -> Iterator[Finding]:
    """Find unsafe changes in one revision that can be read, without the warnings that its author has answered."""
    lines = ["", *step.source.splitlines()]
    for each in _find(subject, step, label):
        around = lines[max(0, (each.line or 0) - 1) : (each.line or 0) + 1]
        answered = any(re.search(rf"#\s*{each.code}:\s*\S", line) for line in around)
        if each.level == "error" or not answered:
            yield each


def _find(subject: Subject, step: Step, label: str) -> Iterator[Finding]:
    revision = _Revision(subject, step, label)
    for node in ast.parse(step.source).body:
        if isinstance(node, ast.FunctionDef) and node.name == "downgrade":
            continue
        for each in ast.walk(node):
            if isinstance(each, ast.Import | ast.ImportFrom):
                yield from revision.imported(each)
            elif isinstance(each, ast.Call):
                yield from revision.called(each)


class _Revision:
    def __init__(self, subject: Subject, step: Step, label: str) -> None:
        self._plugin = subject.id
        self._package = subject.candidate.package
        self._step = step
        self._label = label
        tree = ast.parse(step.source)
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        self._batches = _batches(tree)
        self._new = {_text(call, 0, "table_name") for call in calls if _method(call) == "create_table"}

    def imported(self, node: ast.Import | ast.ImportFrom) -> Iterator[Finding]:
        """Find imports of the plugin itself: a revision stays what it was, models move on."""
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        relative = isinstance(node, ast.ImportFrom) and node.level > 0
        if relative or any(name.partition(".")[0] == self._package for name in names):
            text = "it imports the plugin itself, which will be another one when this revision runs again"
            yield self._say("PH616", text, "Write the tables out with sa.table() and sa.column().", node)

    def called(self, call: ast.Call) -> Iterator[Finding]:
        """Find what is unsafe about one call."""
        method = _method(call)
        if method == "Column":
            yield from self._column(call)
        elif method in ("ForeignKey", "ForeignKeyConstraint"):
            yield from self._link(call, _target(call, method))
        elif method == "execute":
            yield from self._execute(call)
        elif self._is_operation(call):
            table = self._table(call, method)
            if table not in self._new or table is None:
                yield from self._change(call, method, table or "a table")
            if method == "create_foreign_key":
                yield from self._link(call, _text(call, 1 if self._batch(call) else 2, "referent_table"))

    def _change(self, call: ast.Call, method: str, table: str) -> Iterator[Finding]:
        contract = self._step.phase == "contract"
        if method == "add_column" and _is_required(call):
            text = f"a column of {table} is required and has no server default: this fails where there are rows"
            yield self._say(
                "PH610", text, "Add it with nullable=True, fill it, and require it in a later revision.", call
            )
        elif method in ("drop_table", "drop_column", "rename_table") or _keyword(call, "new_column_name") is not None:
            if not contract:
                word = "renames" if method in ("rename_table", "alter_column") else "drops"
                text = f"it {word} what the release before still uses ({table})"
                way_out = 'Say phase = "contract" in a release after the one that stopped using it.'
                yield self._say("PH611", text, way_out, call)
        elif method == "alter_column" and _keyword(call, "type_") is not None and not contract:
            text = f"it changes the type of a column of {table}: all rows are written anew while everybody waits"
            yield self._say("PH612", text, "Add a column of the new type, copy, and drop the old one later.", call)
        elif method == "create_index":
            yield from self._index(call, table)
        elif method in ("create_foreign_key", "create_check_constraint") and not _is_true(call, "postgresql_not_valid"):
            text = f"it holds all rows of {table} against a new rule while everybody waits"
            way_out = "Say postgresql_not_valid=True, and VALIDATE CONSTRAINT in a later revision."
            yield self._say("PH614", text, way_out, call)

    def _index(self, call: ast.Call, table: str) -> Iterator[Finding]:
        concurrently = _is_true(call, "postgresql_concurrently")
        if not concurrently:
            yield self._say("PH613", f"an index of {table} is built while nobody may write", _BLOCKING, call)
        elif self._step.transactional:
            text = f"an index of {table} is built concurrently inside a transaction: PostgreSQL refuses that"
            yield self._say("PH619", text, "Say transactional = False above upgrade().", call)

    def _column(self, call: ast.Call) -> Iterator[Finding]:
        kinds = [each for each in call.args[1:] if not (isinstance(each, ast.Call) and _method(each) in _NO_TYPES)]
        first = call.args[0] if call.args else None
        named = isinstance(first, ast.Constant) and isinstance(first.value, str)
        if (
            named
            and not kinds
            and _keyword(call, "type_") is None
            and not any(isinstance(each, ast.Starred) for each in call.args)
        ):
            text = f"the column {_text(call, 0)!r} has no type"
            yield self._say("PH617", text, 'Write it out: sa.Column("id", sa.String(26), ...).', call)

    def _link(self, call: ast.Call, target: str | None) -> Iterator[Finding]:
        if target is None or target.startswith(f"{self._plugin}_"):
            return
        rule = _keyword(call, "ondelete")
        said = str(getattr(rule, "value", "")).upper()
        if rule is None or (isinstance(rule, ast.Constant) and said not in _SURVIVES):
            text = f"a key to {target} keeps rows of another plugin from being deleted"
            yield self._say("PH618", text, 'Say ondelete="CASCADE" or ondelete="SET NULL".', call)

    def _execute(self, call: ast.Call) -> Iterator[Finding]:
        for node in ast.walk(call):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and (found := _ENDS.match(node.value)):
                text = f"{found[1].upper()} is the host's to say: a revision runs in a transaction of the host"
                yield self._say(
                    "PH615", text, "Take it out; transactional = False is for what cannot run in one.", node
                )

    def _table(self, call: ast.Call, method: str) -> str | None:
        batch = self._batch(call)
        if batch is not None:
            return batch
        return _text(call, 0 if method in _FIRST else 1, "table_name", "source_table", "old_table_name")

    def _batch(self, call: ast.Call) -> str | None:
        """Name the table of `with op.batch_alter_table("notes_note") as batch`, if the call is one of that."""
        function = call.func
        name = function.value.id if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) else ""
        return self._batches.get(name)

    def _is_operation(self, call: ast.Call) -> bool:
        function = call.func
        is_named = isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name)
        return is_named and (function.value.id == "op" or function.value.id in self._batches)  # type: ignore[attr-defined]

    def _say(self, code: str, text: str, way_out: str, node: Any) -> Finding:
        return finding(code, text, way_out, self._label, node.lineno)


_NO_TYPES: Final = frozenset({"ForeignKey", "Computed", "Identity", "CheckConstraint", "Sequence"})


def _batches(tree: ast.Module) -> dict[str, str]:
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.With):
            for item in node.items:
                call, name = item.context_expr, item.optional_vars
                if isinstance(call, ast.Call) and isinstance(name, ast.Name) and _method(call) == "batch_alter_table":
                    found[name.id] = _text(call, 0, "table_name") or "a table"
    return found


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _keyword(call: ast.Call, name: str) -> ast.expr | None:
    return next((each.value for each in call.keywords if each.arg == name), None)


def _is_true(call: ast.Call, name: str) -> bool:
    value = _keyword(call, name)
    return isinstance(value, ast.Constant) and value.value is True


def _is_required(call: ast.Call) -> bool:
    column = next((each for each in call.args if isinstance(each, ast.Call) and _method(each) == "Column"), None)
    if column is None:
        return False
    nullable = _keyword(column, "nullable")
    required = isinstance(nullable, ast.Constant) and nullable.value is False
    return required and _keyword(column, "server_default") is None


def _target(call: ast.Call, method: str) -> str | None:
    """Name the table that a key points to: `notes_note.id` is of notes_note."""
    first = call.args[0 if method == "ForeignKey" else 1] if len(call.args) > (method != "ForeignKey") else None
    if isinstance(first, ast.List) and first.elts:
        first = first.elts[0]
    if isinstance(first, ast.Constant) and isinstance(first.value, str):
        return first.value.rpartition(".")[0] or None
    return None


def _text(call: ast.Call, place: int, *names: str) -> str | None:
    given = [*call.args[place : place + 1], *(each.value for each in call.keywords if each.arg in names)]
    first = given[0] if given else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
