from __future__ import annotations

import hashlib
import subprocess
import sys
import tomllib
from pathlib import Path

import plugin_host.shell

VENDOR = Path(plugin_host.shell.__file__).parent / "static" / "vendor"
SCRIPT = Path(__file__).parents[2] / "scripts" / "vendor_view.py"


def test_the_view_library_is_the_one_on_record() -> None:
    record = tomllib.loads((VENDOR / "vendor.toml").read_text())
    assert hashlib.sha256((VENDOR / record["file"]).read_bytes()).hexdigest() == record["sha256"]


def test_each_package_in_it_has_its_licence_text() -> None:
    packages = tomllib.loads((VENDOR / "vendor.toml").read_text())["packages"]
    assert {package["name"] for package in packages} >= {"preact", "htm", "@preact/signals"}
    assert all((VENDOR / package["licence_file"]).stat().st_size > 500 for package in packages)


def test_the_library_evaluates_no_text() -> None:
    text = (VENDOR / "view.js").read_text()
    assert "eval(" not in text
    assert "new Function" not in text


def test_the_script_agrees() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
