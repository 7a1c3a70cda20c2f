"""Write the reference from the code: each function gives the markdown that one page of docs/reference includes.

The pages call them through cog: `nox -s docs` checks that they are up to date, `nox -s docs -- --write` writes them.
"""

from __future__ import annotations

import inspect
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

import click
import msgspec

from plugin_host.cli.main import cli
from plugin_host.core.checking.rules import RULES
from plugin_host.sdk import hookspecs
from plugin_host.sdk.manifest import FILES
from plugin_host.settings import describe_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from plugin_host.settings.schema import SettingRow


def settings() -> str:
    """Give each setting: its manual, what it takes, its default, and the variable of the same meaning."""
    parts = []
    for row in describe_settings():
        variable = f"PLUGIN_HOST_{row.key.upper().replace('.', '__')}"
        default = f"default `{row.default}`" if row.default else "no default"
        variable += {"plugins": "__<ID>__<KEY>", "remote": "__<ID>__URL"}.get(row.key, "")
        parts.append(f"## `{row.key}`\n\n{row.description}\n\nTakes {row.type}; {default}. Variable: `{variable}`\n")
        parts += [_inner_setting(each) for each in row.fields]
    return "\n".join(parts)


def _inner_setting(row: SettingRow) -> str:
    default = f"; default `{row.default}`" if row.default else ""
    return f"- `{row.key}`: {row.description} Takes {row.type}{default}.\n"


def commands() -> str:
    """Give each command as `--help` shows it."""
    return "\n".join(f"## `{name}`\n\n```text\n{_help(command, name)}\n```\n" for name, command in all_commands())


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """Walk through the host's own commands, with the words that call them."""
    yield from _walk("plugin-host", cli)


def hooks() -> str:
    """Give each hook with its exact signature and its sentence, in the order in which the host calls them."""
    parts = []
    for name, hook in all_hooks():
        signature = inspect.signature(hook)
        plain = f"{name}({', '.join(signature.parameters)})"
        parts.append(f"## `{plain}`\n\n```text\n{name}{signature}\n```\n\n{inspect.getdoc(hook)}\n")
    return "\n".join(parts).replace("'", "")


def all_hooks() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Walk through the hook specifications; pluggy marks them."""
    for name, found in vars(hookspecs).items():
        if hasattr(found, f"{hookspecs.PROJECT}_spec"):
            yield name, found


def manifests() -> str:
    """Give each field of the three files; the parts that they are made of follow them."""
    structs: dict[str, type[msgspec.Struct]] = {f"{word}.json": struct for word, struct in FILES.items()}
    written: list[str] = []
    while structs:
        title, struct = next(iter(structs.items()))
        del structs[title]
        written.append(title)
        parts = {part.__name__: part for field in msgspec.structs.fields(struct) for part in _structs(field.type)}
        structs |= {name: part for name, part in parts.items() if name not in written}
    return "\n".join(_table(title) for title in written)


def checks() -> str:
    """Give each rule of `plugin-host check` with its reason, and an example of wrong and right."""
    parts = []
    for rule in RULES.values():
        wrong = f"Wrong:\n\n```{{code-block}} {rule.shown}\n{rule.wrong}\n```\n"
        right = f"\nRight:\n\n```{{code-block}} {rule.shown}\n{rule.right}\n```\n" if rule.right else ""
        parts.append(f"## `{rule.code} {rule.name}`\n\n*{rule.level}* — {rule.reason}\n\n{wrong}{right}")
    return "\n".join(parts)


# -- how -----------------------------------------------------------------------------------------------------


def _walk(name: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            found = command.get_command(context, word)
            if found is not None:
                yield from _walk(f"{name} {word}", found)


def _help(command: click.Command, name: str) -> str:
    # A fixed width: the page must not depend on the terminal of whoever wrote it.
    context = click.Context(command, info_name=name, terminal_width=100, **cli.context_settings)
    return command.get_help(context)


def _table(title: str) -> str:
    struct = FILES[title.removesuffix(".json")] if title.endswith(".json") else _PARTS[title]
    lines = [
        f"## `{title}`",
        "",
        inspect.getdoc(struct) or "",
        "",
        "| field | takes | default | meaning |",
        "|---|---|---|---|",
    ]
    tag = struct.__struct_config__.tag
    if tag is not None:
        lines.append(f'| `{struct.__struct_config__.tag_field}` | `"{tag}"` | required | |')
    lines += [_row(field) for field in msgspec.structs.fields(struct)]
    return "\n".join(lines) + "\n"


def _row(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        default = "required"
    else:
        value = field.default_factory() if field.default is msgspec.NODEFAULT else field.default
        default = "" if value is None else f"`{msgspec.json.encode(value).decode()}`"
    return f"| `{field.encode_name}` | {_words(field.type)} | {default} | {_manual(field.type)} |"


def _manual(kind: Any) -> str:
    notes = getattr(kind, "__metadata__", ())
    return next((note.description for note in notes if note.description), "")


def _bare(kind: Any) -> Any:
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _structs(kind: Any) -> Iterator[type[msgspec.Struct]]:
    """Find the structs that a type is made of."""
    kind = _bare(kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        _PARTS[kind.__name__] = kind
        yield kind
    for inner in get_args(kind):
        if not isinstance(inner, str | int):
            yield from _structs(inner)


def _words(kind: Any) -> str:
    """Say what a field takes; parts are linked."""
    kind, origin, inner = _bare(kind), get_origin(_bare(kind)), get_args(_bare(kind))
    if origin is Literal:
        return " or ".join(f"`{msgspec.json.encode(value).decode()}`" for value in inner)
    if origin in (Union, UnionType):
        return " or ".join(_words(part) for part in inner if part is not type(None))
    if origin is tuple:
        return f"list of {_words(inner[0])}"
    if origin is dict:
        return f"table of {_words(inner[1])}"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    return {str: "text", int: "number", bool: "true or false"}.get(kind, "anything")


_PARTS: dict[str, type[msgspec.Struct]] = {}
