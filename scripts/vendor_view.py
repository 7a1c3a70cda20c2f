# ruff: noqa: INP001 - a script stands alone
"""Rebuild the vendored view library, or check that it is the one on record.

    python scripts/vendor_view.py           fetch the packages with npm, bundle them, write view.js and vendor.toml
    python scripts/vendor_view.py --check   compare view.js with the hash in vendor.toml; needs no Node

To move to newer versions, change PACKAGES and run it. Only developers of plugin-host ever do: the result is
committed and shipped as it is.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "src" / "plugin_host" / "shell" / "static" / "vendor"
PACKAGES = {
    "preact": "11.2.0",
    "htm": "3.1.1",
    "@preact/signals": "2.11.4",
    "@preact/signals-core": "1.14.5",
}
BUNDLER = ("esbuild", "0.28.2")
# All that plugins may import from "plugin-host/view". A name that was ever here stays.
SOURCE = """
import htm from "htm";
import { h } from "preact";
export { Component, Fragment, cloneElement, createContext, createRef, h, isValidElement, render, toChildArray }
  from "preact";
export { useCallback, useContext, useEffect, useErrorBoundary, useId, useImperativeHandle, useLayoutEffect, useMemo,
  useReducer, useRef, useState } from "preact/hooks";
export { Signal, batch, computed, effect, signal, untracked, useComputed, useSignal, useSignalEffect }
  from "@preact/signals";
export const html = htm.bind(h);
"""
FORBIDDEN = ("eval(", "new Function", 'innerHTML="')


def build() -> None:
    """Bundle the packages into one module and write down what is in it."""
    npm = shutil.which("npm") or sys.exit("npm was not found: install Node.js to rebuild the view library")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        wanted = [f"{package}@{version}" for package, version in (*PACKAGES.items(), BUNDLER)]
        (work / "package.json").write_text('{"private": true}')
        _run([npm, "install", "--no-audit", "--no-fund", "--save-exact", *wanted], work)
        (work / "view.js").write_text(SOURCE)
        bundler = work / "node_modules" / ".bin" / "esbuild"
        options = ["--bundle", "--minify", "--format=esm", "--target=es2022", "--legal-comments=none"]
        head = "--banner:js=/* Preact, htm and Preact Signals in one module: versions and licences in vendor.toml */"
        _run([str(bundler), "view.js", *options, head, "--outfile=out.js"], work)
        script = (work / "out.js").read_bytes()
        for word in FORBIDDEN:
            if word.encode() in script:
                sys.exit(f"the bundle contains {word!r}, which the page's policy forbids")
        licences = {package: _licence(work / "node_modules" / package) for package in PACKAGES}
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "view.js").write_bytes(script)
    (FOLDER / "vendor.toml").write_text(_record(script, licences))


def check() -> None:
    """Compare the file with its record; leave with an error that says what differs."""
    record = tomllib.loads((FOLDER / "vendor.toml").read_text())
    found = hashlib.sha256((FOLDER / record["file"]).read_bytes()).hexdigest()
    if found != record["sha256"]:
        sys.exit(f"{record['file']} has SHA-256 {found}, but vendor.toml says {record['sha256']}: rebuild it")
    versions = {each["name"]: each["version"] for each in record["packages"]}
    if versions != PACKAGES:
        sys.exit(f"vendor.toml lists {versions}, but the script {PACKAGES}: rebuild it")


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 - our own words


def _licence(package: Path) -> tuple[str, str]:
    """Copy a package's licence text beside the bundle; give the licence's name and the file's."""
    file = f"LICENSE-{package.parent.name.lstrip('@')}-{package.name}.txt".replace("node_modules-", "")
    shutil.copyfile(package / "LICENSE", FOLDER / file)
    return json.loads((package / "package.json").read_text())["license"], file


def _record(script: bytes, licences: dict[str, tuple[str, str]]) -> str:
    lines = [
        "# Written by scripts/vendor_view.py; `--check` compares.",
        'file = "view.js"',
        f'sha256 = "{hashlib.sha256(script).hexdigest()}"',
        f'bundler = "{BUNDLER[0]} {BUNDLER[1]}"',
    ]
    for package, version in PACKAGES.items():
        licence, file = licences[package]
        lines += ["", "[[packages]]", f'name = "{package}"', f'version = "{version}"']
        lines += [f'licence = "{licence}"', f'licence_file = "{file}"']
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Rebuild or check the vendored view library.")
    parser.add_argument("--check", action="store_true", help="compare with vendor.toml only")
    if parser.parse_args().check:
        check()
    else:
        build()
