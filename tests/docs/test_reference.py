"""The reference is whole: every hook, setting, command, manifest field and reason code has its heading."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec
import pytest

from plugin_host.cli.main import cli
from plugin_host.sdk import hookspecs
from plugin_host.sdk.errors import REASON_CODES
from plugin_host.sdk.manifest import FILES
from plugin_host.settings import describe_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
REFERENCE: Final = ROOT / "docs" / "reference"


def headings(page: str) -> list[str]:
    """Give the headings of a page that name something: those in backticks."""
    return re.findall(r"^#+ `(.+)`$", (REFERENCE / page).read_text(encoding="utf-8"), re.MULTILINE)


def commands(name: str = "plugin-host", command: click.Command = cli) -> Iterator[str]:
    yield name
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            found = command.get_command(context, word)
            assert found is not None
            yield from commands(f"{name} {word}", found)


def hooks() -> list[str]:
    """Spell every hook with the arguments that an implementation may name."""
    specs = {name: found for name, found in vars(hookspecs).items() if hasattr(found, "plugin_host_spec")}
    return [f"{name}({', '.join(inspect.signature(found).parameters)})" for name, found in specs.items()]


def test_every_setting_has_its_heading() -> None:
    assert headings("settings.md") == [row.key for row in describe_settings()]


def test_every_command_has_its_heading() -> None:
    assert headings("commands.md") == list(commands())


def test_every_hook_has_its_heading_with_its_signature() -> None:
    assert headings("hooks.md") == hooks()


def test_every_reason_code_has_its_heading() -> None:
    assert sorted(headings("reasons.md")) == sorted(REASON_CODES)


@pytest.mark.parametrize("word", FILES)
def test_every_field_of_a_manifest_file_is_listed(word: str) -> None:
    section = (REFERENCE / "manifests.md").read_text(encoding="utf-8").split(f"## `{word}.json`\n")[1].split("\n## ")[0]
    fields = [field.encode_name for field in msgspec.structs.fields(FILES[word])]
    assert re.findall(r"^\| `(.+?)` \|", section, re.MULTILINE) == fields


@pytest.mark.parametrize("page", sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*/*.md")))
def test_every_page_says_something(page: str) -> None:
    assert len((ROOT / page).read_text(encoding="utf-8").split()) > 15


@pytest.mark.parametrize("name", list(commands()))
def test_every_command_shows_an_example(name: str) -> None:
    section = (REFERENCE / "commands.md").read_text(encoding="utf-8").split(f"## `{name}`\n")[1].split("\n## ")[0]
    assert "Example: plugin-host " in section
