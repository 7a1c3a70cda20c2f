"""Libraries that guard the door: earlier versions than these have known holes."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

FLOORS = {
    "pyjwt": "2.15",  # CVE-2026-32597, -48526, -101917, -101918, -102266 to -102275
    "litestar": "2.23",  # CVE-2025-59152, CVE-2026-25478 to -25480, PYSEC-2026-2603
    "multipart": "1.3.1",  # CVE-2026-28356
    "simpleeval": "1.0.5",  # CVE-2026-32640
    "httpx2": "2.16",
    "cryptography": "49",  # CVE-2026-39892, GHSA-537c-gmf6-5ccf
    "uvicorn": "0.52",
    "sqlalchemy": "2.1",
    "msgspec": "0.21.1",
    "argon2-cffi": "25.1",
    "pyotp": "2.12",
}
PROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.mark.security
@pytest.mark.parametrize("name", FLOORS)
def test_what_is_installed_is_safe(name: str) -> None:
    assert Version(metadata.version(name)) >= Version(FLOORS[name])


@pytest.mark.security
@pytest.mark.parametrize("name", FLOORS)
def test_no_earlier_version_may_be_installed(name: str) -> None:
    said = [Requirement(line) for line in tomllib.loads(PROJECT.read_text())["project"]["dependencies"]]
    (ours,) = (each for each in said if each.name.lower() == name)
    floor = next(Version(each.version) for each in ours.specifier if each.operator == ">=")
    assert floor >= Version(FLOORS[name])
