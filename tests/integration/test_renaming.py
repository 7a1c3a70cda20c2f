"""A permission that its plugin calls by another name now, and the operator who agrees."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from plugin_host.cli.main import cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PASSWORD = "correct-horse-battery"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    """Call plugin-host on one data folder, with the folder of plugins."""
    config = tmp_path / "plugin-host.toml"
    config.write_text(f'data_dir = "{tmp_path / "data"}"\n[loader]\nfolders = ["{tmp_path / "plugins"}"]\n')

    def run(*words: str, stdin: str = "") -> Any:
        done = CliRunner().invoke(cli, [*words, "--config", str(config)], input=stdin)
        return done.output if done.exit_code == 0 else repr(done.exception)

    return run


def permissions(name: str, **more: Any) -> dict[str, Any]:
    return {"permissions": [{"name": name, "title": "Change", **more}]}


def test_what_was_given_under_the_old_name_is_kept_when_the_operator_agrees(
    run: Callable[..., Any], folder_plugin: Callable[..., Path], tmp_path: Path
) -> None:
    folder_plugin("notes", "", permissions=permissions("notes.change"))
    run("users", "create", "ada", "--role", "core.admin", "--password-file", "-", stdin=PASSWORD)
    policy = {"format": 1, "roles": [{"name": "staff", "title": "Staff", "grants": [{"permission": "notes.change"}]}]}
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    run("access", "import", str(tmp_path / "policy.json"))
    run("users", "create", "bob", "--role", "staff", "--password-file", "-", stdin=PASSWORD)
    assert "bob may notes.change" in run("access", "explain", "bob", "notes.change")
    folder_plugin("notes", "", permissions=permissions("notes.edit", formerly=["notes.change"]), version="1.1")
    run("plugins", "consent", "notes")
    assert "bob may not notes.edit: no_grant" in run("access", "explain", "bob", "notes.edit")
    waiting = {"old": "notes.change", "new": "notes.edit", "rules": 0, "roles": 1, "grants": 0}
    assert json.loads(run("access", "renamed", "--json"))["items"] == [waiting]
    assert "notes.edit" in run("access", "renamed", "notes.change")
    assert "bob may notes.edit" in run("access", "explain", "bob", "notes.edit")
    assert json.loads(run("access", "renamed", "--json"))["items"] == []


def test_a_name_that_nothing_was_called_is_refused(run: Callable[..., Any]) -> None:
    assert "No permission of an active plugin says that it was called 'notes.gone'" in run(
        "access", "renamed", "notes.gone"
    )
