"""Every check of this project is one command: `nox -s NAME`; `nox -l` lists them, `nox` runs the quick ones.

Tests run against built wheels, never against the source folder: what is not packed is not tested.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Final

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests", "lint", "house", "types", "docs"]

ROOT: Final = Path(__file__).parent
PROJECT: Final = nox.project.load_toml("pyproject.toml")
DEPENDENCIES: Final[list[str]] = PROJECT["project"]["dependencies"]
EXTRAS: Final[dict[str, list[str]]] = PROJECT["project"]["optional-dependencies"]
EXAMPLES: Final = ("examples/contacts_plugin", "examples/invoicing_plugin")
CHECKED: Final = ("src", "examples", "tests", "docs", "scripts", "noxfile.py", "conftest.py")
OLDER_AND_NEWER: Final = ("3.12", "3.13")
FORBIDDEN_NAMES: Final = {"utils", "helpers", "common", "types"}
FULLY_COVERED: Final = ("sdk", "settings", "plugins", "access", "auth")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on the built wheels of the host and of both examples, on two cores.

    Those that drive a browser run by themselves: Playwright keeps an event loop running, beside which no asynchronous
    test can run. What is named behind `--` is run in one go.
    """
    install_wheels(session)
    if session.posargs:
        run_pytest(session)
        return
    side_by_side = ("-q", "-n", "2", "--dist", "loadfile")
    run_pytest(session, *side_by_side, "-m", "not browser and not proof")
    run_pytest(session, *side_by_side, "-m", "browser and not proof")


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests and show which branches they miss; the rooms that decide must miss none."""
    install_wheels(session)
    session.install(*group("coverage"))
    run_pytest(session, "--cov", "--cov-report=")
    session.run("coverage", "report", success_codes=[0, 2])
    rooms = ",".join(f"*/plugin_host/{room}/*" for room in FULLY_COVERED)
    session.run("coverage", "report", f"--include={rooms}", "--fail-under=100")


@nox.session
def proofs(session: nox.Session) -> None:
    """Run the long versions: a hundred thousand random decisions, every statement killed, many processes."""
    install_wheels(session)
    run_pytest(session, "-m", "proof")


@nox.session
def browser(session: nox.Session) -> None:
    """Run only the tests that drive a real Chromium."""
    install_wheels(session)
    run_pytest(session, "-m", "browser")


@nox.session
def examples(session: nox.Session) -> None:
    """Run the tests that each example plugin brings, as its author would."""
    install_wheels(session)
    for example in EXAMPLES:
        if (ROOT / example / "tests").is_dir():
            run_pytest(session, f"{example}/tests")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and spelling."""
    session.install(*group("lint"))
    session.run("ruff", "check", *CHECKED)
    session.run("ruff", "format", "--check", *CHECKED)
    session.run("codespell", *CHECKED, "README.md", "CONTRIBUTING.md")


@nox.session
def house(session: nox.Session) -> None:
    """Check who imports whom, and that no file is named after nothing."""
    session.install(*group("house"))
    # Without its cache: that goes by the time of files and has kept an arrow that was gone.
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": "src"})
    nameless = [path for path in (ROOT / "src").rglob("*.py") if path.stem in FORBIDDEN_NAMES]
    if nameless:
        session.error(f"a helper lives with its feature, under a name of its own: {nameless}")


@nox.session
def types(session: nox.Session) -> None:
    """Check types, strictly."""
    extras = [requirement for extra in EXTRAS.values() for requirement in extra]
    session.install(*DEPENDENCIES, *extras, *group("types"))
    session.run("mypy")


@nox.session
def verifytypes(session: nox.Session) -> None:
    """Tell how much of what plugin authors import has a known type."""
    session.install(*DEPENDENCIES, *group("verifytypes"))
    session.run("basedpyright", "--verifytypes", "plugin_host.sdk", "--ignoreexternal", env={"PYTHONPATH": "src"})


@nox.session
def docs(session: nox.Session) -> None:
    """Build the docs without a warning, run their examples, and check that the reference is up to date.

    `nox -s docs -- --write` writes the reference anew.
    """
    session.install(*group("docs"))
    install_wheels(session)
    pages = [str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs" / "reference").glob("*.md"))]
    how = ["-r"] if "--write" in session.posargs else ["--check", "--diff"]
    # Signatures end in `]]]`, which cog's own markers would take for theirs.
    session.run("cog", "-I", "docs", "--markers={{{cog }}} {{{end}}}", *how, *pages)
    session.run("sphinx-build", "-n", "-W", "--keep-going", "-q", "docs", "docs/_build")
    session.run("pytest", "README.md", "docs", "-q")
    session.run("towncrier", "build", "--draft", "--version", "next", silent=True)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure, as ratios in one run, and write the table of docs/explanation/speed.md."""
    install_wheels(session)
    session.install(*group("bench"))
    session.run("python", "tests/benchmarks/run.py", "--write", "docs/explanation/speed.md")


def interpreter(version: str) -> str:
    """Find a Python that starts: pyenv's shims are there for every version and fail for most."""
    found = shutil.which(f"python{version}")
    if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
        return found
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    return str(next(iter(sorted(versions.glob(f"{version}.*/bin/python"))), version))


@nox.session
@nox.parametrize("python", [nox.param(interpreter(version), id=version) for version in OLDER_AND_NEWER])
def matrix(session: nox.Session) -> None:
    """Run the tests on the other versions of Python that are here."""
    install_wheels(session)
    run_pytest(session)


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the tests on the oldest version of each dependency that pyproject.toml allows."""
    floors = Path(session.create_tmp()) / "floors.txt"
    stated = [text.split(";")[0] for text in (*DEPENDENCIES, *EXTRAS["postgres"])]
    floors.write_text("\n".join(floor(text) for text in stated))
    install_wheels(session, "--constraint", str(floors))
    run_pytest(session)


@nox.session
def build(session: nox.Session) -> None:
    """Build the source distribution and the wheel into dist/."""
    session.install("build")
    session.run("python", "-m", "build", "--outdir", "dist")


# -- how -----------------------------------------------------------------------------------------------------


def group(name: str) -> list[str]:
    """Give the requirements of a dependency group; an older pip cannot read groups itself."""
    return list(nox.project.dependency_groups(PROJECT, name))


def floor(requirement: str) -> str:
    """Turn `name[extra]>=1.2,<2` into the constraint `name==1.2`."""
    name, _, bounds = requirement.partition(">=")
    return f"{name.partition('[')[0]}=={bounds.partition(',')[0]}"


def install_wheels(session: nox.Session, *constraint: str) -> None:
    """Build the wheels of the host and the examples, and install them with what the tests need."""
    session.install("hatchling")
    wheels = Path(session.create_tmp()).resolve() / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    build_wheel = (
        "python",
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(wheels),
    )
    session.run(*build_wheel, ".", *EXAMPLES, silent=True)
    built = [str(wheel) for wheel in wheels.glob("*.whl")]
    session.install(*built, *EXTRAS["postgres"], *group("test"), *constraint)
    # The version number has not changed since the last run, the content may have.
    session.install("--force-reinstall", "--no-deps", *built)


def run_pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest; tests/packaging fails if it imports the source folder."""
    session.run("pytest", *arguments, *session.posargs, env={"PLUGIN_HOST_TEST_INSTALLED": "1"})
