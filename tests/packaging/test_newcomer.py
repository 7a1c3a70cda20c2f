"""The README's first command on a copy of the repository, in an empty environment: install wheels, serve, sign in."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
PASSWORD = "demo-password-1"

pytestmark = pytest.mark.slow


def first_command() -> list[list[str]]:
    """Read the README's first command: what stands there is what is run."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```sh\n(.*?)\n```", text, re.DOTALL)
    assert block is not None
    return [part.split() for part in block[1].split(" && ")]


def copied(folder: Path) -> Path:
    """Copy what a clone would have."""
    left_out = shutil.ignore_patterns(".*", "__pycache__", "docs", "tests", "dist")
    return Path(shutil.copytree(ROOT, folder / "clone", ignore=left_out))


def test_the_first_command_of_the_readme_serves_both_plugins(tmp_path: Path) -> None:
    clone = copied(tmp_path)
    make, install, serve = first_command()
    assert (make[1:], serve[1:]) == (["-m", "venv", ".venv"], ["serve", "--demo"])
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PLUGIN_HOST_", "PYTHON"))}
    subprocess.run([sys.executable, *make[1:]], cwd=clone, check=True)
    subprocess.run([*install, "-q"], cwd=clone, check=True, env=environment, timeout=300)
    with subprocess.Popen(
        [*serve, "--port", "0"],
        cwd=tmp_path / "clone",
        env={**environment, "PLUGIN_HOST_DEMO_PASSWORD": PASSWORD},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            people, invoices = visit(process)
        finally:
            process.terminate()
            process.communicate(timeout=20)
    assert len(people) > 0
    assert len(invoices) > 0


def visit(process: subprocess.Popen[str]) -> tuple[list[object], list[object]]:
    """Sign in as the viewer and look at both plugins."""
    printed = ""
    assert process.stdout is not None
    for line in process.stdout:
        printed += line
        if found := re.search(r"running at (http://\S+)", line):
            with httpx.Client(base_url=found[1], timeout=30) as browser:
                login = {"username": "viewer", "password": PASSWORD}
                assert browser.post("/api/core/auth/login", json=login).status_code == 200
                people = browser.get("/api/contacts/people").json()["items"]
                return people, browser.get("/api/invoicing/invoices").json()["items"]
    return pytest.fail(f"it ended before it listened:\n{printed}")
