"""The suite tells a sound plugin from one whose migrations fail an installation one day."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .conftest import ADD, UP

if TYPE_CHECKING:
    from collections.abc import Callable

SOUND = ((UP, "op.drop_table('{id}_thing')"), (ADD, "op.drop_column('{id}_thing', 'name')"))


def run(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run pytest as an author does, without our own settings; PostgreSQL is left out where `-k` says so."""
    environment = {key: value for key, value in os.environ.items() if key not in ("CI", "PYTEST_ADDOPTS")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "plugin_host.testing.plugin", *words],
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


NOWHERE = "postgresql://nobody@127.0.0.1:1/none"


@pytest.mark.slow
def test_sound_migrations_pass_and_without_a_server_the_rest_is_skipped_with_a_word(
    project: Callable[..., Path],
) -> None:
    done = run(project("sound", *SOUND), "-rs", PLUGIN_HOST_TEST_POSTGRES=NOWHERE)
    assert done.returncode == 0, done.stdout
    assert "7 passed, 7 skipped" in done.stdout  # six on PostgreSQL; and a folder plugin has no wheel
    assert "no PostgreSQL answers" in done.stdout


@pytest.mark.slow
def test_in_ci_a_server_must_be_there(project: Callable[..., Path]) -> None:
    folder = project("sound", *SOUND)
    words = ("-k", "up_from_empty and postgresql")
    assert run(folder, *words, PLUGIN_HOST_TEST_POSTGRES=NOWHERE, CI="true").returncode == 1


@pytest.mark.proof
@pytest.mark.postgres
def test_sound_migrations_pass_on_postgresql(project: Callable[..., Path], postgres_server: str) -> None:
    done = run(project("sound", *SOUND), "-k", "postgresql", PLUGIN_HOST_TEST_POSTGRES=postgres_server)
    assert done.returncode == 0, done.stdout
    assert "6 passed" in done.stdout


@pytest.mark.slow
def test_what_is_wrong_is_told(project: Callable[..., Path]) -> None:
    tag = "op.create_table('{id}_tag', sa.Column('id', sa.Integer(), primary_key=True))"
    folder = project("sinking", SOUND[0], (ADD, "pass"), (tag, "op.drop_table('{id}_tag')"))
    done = run(folder, "-k", "(down_and_up and sqlite) or models")
    assert done.returncode == 1, done.stdout
    assert "duplicate column name: name" in done.stdout
    assert "makemigration would write: drop table sinking_tag" in done.stdout
    assert "2 failed" in done.stdout


@pytest.mark.slow
def test_the_option_runs_the_suite_for_an_installed_plugin() -> None:
    done = run(Path(__file__).parents[2] / "examples" / "contacts_plugin", "--plugin-host", "contacts", "--co")
    assert "TestMigrations::test_up_from_each_head[postgresql]" in done.stdout
