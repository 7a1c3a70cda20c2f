"""What a server is not started with."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from plugin_host.core.doctor.precautions import dangers, weakness
from plugin_host.settings import Settings

pytestmark = pytest.mark.security

SAMPLES = [
    "changeme",
    "change-me-change-me-change-me-change-me",
    "your-secret-key-here",
    "my_super_secret_key_for_development_only",
    "insecure-default-key-do-not-use-in-production-2024",
    "please-change-this-secret-key-12345",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "0123456789abcdefghijklmnopqrstuvwxyz",
    "abcd1234abcd1234abcd1234abcd1234abcd1234",
    "password1",
    "postgres",
    "keyboard cat",
    "",
]


@pytest.mark.parametrize("value", SAMPLES)
def test_what_anybody_would_try_is_weak(value: str) -> None:
    assert weakness(value) is not None


@given(st.binary(min_size=24, max_size=24))
def test_what_is_random_is_not(seed: bytes) -> None:
    import base64
    import hashlib

    digest = hashlib.sha256(seed).digest()
    assert weakness(base64.urlsafe_b64encode(digest).decode(), 32) is None
    assert weakness(digest.hex(), 32) is None


def told(folder: Path, *, reload: bool = False, **variables: str) -> dict[bool, list[str]]:
    environ = {f"PLUGIN_HOST_{name.upper()}" if name.islower() else name: value for name, value in variables.items()}
    settings = Settings.load(None, environ, folder)
    found = list(dangers(settings, None, environ, reload=reload))
    assert all(danger.way_out for danger in found)
    return {always: [danger.text for danger in found if danger.always is always] for always in (True, False)}


def test_a_sample_key_is_always_refused_by_its_name(tmp_path: Path) -> None:
    found = told(tmp_path, secret_key="change-me-change-me-change-me-change-me")
    assert [text.split(" ")[0] for text in found[True]] == ["secret_key"]
    assert told(tmp_path, secret_key=secrets.token_urlsafe(32)) == {True: [], False: []}


def test_a_guessable_password_is_refused_where_somebody_is_strict(tmp_path: Path) -> None:
    found = told(tmp_path, database="postgresql://app:postgres@db/app", plugins__shop__api_token="changeme")
    assert [text.split(" ")[:4] for text in found[False]] == [
        ["The", "password", "in", "database"],
        ["plugins.shop.api_token", "is", "a", "sample,"],
    ]
    assert found[True] == []


def test_nothing_of_a_secret_is_told(tmp_path: Path) -> None:
    found = told(tmp_path, database="postgresql://app:postgres-admin@db/app", secret_key="my-secret-key-" * 4)
    assert "postgres-admin" not in str(found)
    assert "my-secret-key" not in str(found)


def test_a_key_file_that_others_may_read_is_found(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    file = tmp_path / "key"
    file.write_text(secrets.token_urlsafe(32))
    file.chmod(0o644)
    assert "can be read by others" in told(tmp_path, secret_key_file=str(file))[False][0]
    file.chmod(0o600)
    assert told(tmp_path, secret_key_file=str(file))[False] == []


@pytest.mark.parametrize("host", ["::", "192.0.2.1"])
def test_debugging_is_for_loopback(tmp_path: Path, host: str) -> None:
    assert "--reload" in told(tmp_path, reload=True, server__host=host)[True][0]
    assert "PYTHONASYNCIODEBUG" in told(tmp_path, server__host=host, PYTHONASYNCIODEBUG="1")[True][0]
    assert told(tmp_path, server__host=host, PYTHONASYNCIODEBUG="0")[True] == []
    assert told(tmp_path, reload=True, PYTHONASYNCIODEBUG="1")[True] == []
