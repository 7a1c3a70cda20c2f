"""What a server must not be started with: secrets that anybody could guess, and debugging in public.

Looked at by `serve` before anything is opened, and by the doctor. What may have its reasons, such as a key file that
a container platform has made readable, is refused with `serve --strict` only.
"""

from __future__ import annotations

import os
import re
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import unquote, urlsplit

from plugin_host.core.doctor.findings import Finding
from plugin_host.core.doctor.installation import readable_by_others
from plugin_host.settings.reading import secret_files
from plugin_host.settings.server import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from plugin_host.core.doctor.findings import Level
    from plugin_host.settings import Settings

KEY_LENGTH: Final = 32
"""Characters of a key that the host itself makes keys of."""
_OWN_CHARACTERS: Final = 8
_DISTINCT: Final = 8
_SAMPLES: Final = re.compile(
    r"change|changeme|replace|secret|passw(or)?d|passphrase|example|sample|default|insecure|unsafe|dummy|placeholder|"
    r"development|testing|admin|root|postgres|redis|letmein|qwerty|foobar|keyboard|cat|super|your|my|me|this|the|here|"
    r"todo|fixme|x{3,}|key|token|test|dev|demo|plugin|host|please|not|use|production|prod|for|only|do|in|to|a"
)
_SECRET_WORD: Final = re.compile(r"secret|password|token|credential|key$", re.IGNORECASE)
_DEBUGGING: Final = ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "LITESTAR_DEBUG", "LITESTAR_PDB")


class Danger(NamedTuple):
    """Something that a server should not be started with: `always`, or only when asked to be strict."""

    text: str
    way_out: str
    always: bool = True


def dangers(
    settings: Settings, config: str | None, environ: Mapping[str, str] = os.environ, *, reload: bool = False
) -> Iterator[Danger]:
    """Look at the settings, the process, and the files that secrets are read from."""
    yield from _weak_secrets(settings)
    yield from _debugging(settings, environ, reload=reload)
    for name, path in secret_files(type(settings), config, environ):
        yield from _open_file(path, f"{name}_file")


def check_dangers(settings: Settings, config: Path | None, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Give them as the doctor does: an error is what `serve` refuses."""
    found = list(dangers(settings, None if config is None else str(config), environ))
    for danger in found:
        level: Level = "error" if danger.always else "warning"
        yield Finding(check="precautions", level=level, text=danger.text, way_out=danger.way_out)
    if not found:
        yield Finding(check="precautions", level="ok", text="No secret is a sample, and no file of one is open.")


def weakness(value: str, length: int = 0) -> str | None:
    """Say why a secret could be guessed, or None. `length` is how many characters it must have."""
    if len(value) < length:
        return f"is too short: it has {len(value)} characters, and needs {length}"
    plain = value.lower()
    letters = re.sub(r"[^a-z]", "", plain)
    if len(_SAMPLES.sub("", letters)) + _digits(plain) < _OWN_CHARACTERS:
        return "is a sample, or made of words that everybody would try"
    repeats = (value * 2).find(value, 1) <= len(value) // 2
    steps = sum(ord(second) - ord(first) == 1 for first, second in pairwise(plain))
    if len(set(value)) < _DISTINCT or repeats or steps > len(value) // 2:
        return "repeats itself, or runs on in order"
    return None


def _digits(text: str) -> int:
    """Count digits that are no year, and do not run on in order."""
    found = re.findall(r"\d+", text)
    return sum(len(each) for each in found if each not in "01234567890" and not re.fullmatch(r"(19|20)\d\d", each))


def _weak_secrets(settings: Settings) -> Iterator[Danger]:
    if settings.secret_key is not None and (why := weakness(settings.secret_key, KEY_LENGTH)):
        way_out = (
            "Give a random one (python -c 'import secrets; print(secrets.token_urlsafe(32))'), best as "
            "secret_key_file; or leave it out: the host makes its own."
        )
        yield Danger(f"secret_key {why}.", way_out)
    for name, provider in settings.auth.oidc.items():
        if provider.client_secret is not None and (why := weakness(provider.client_secret)):
            yield Danger(f"auth.oidc.{name}.client_secret {why}.", "Give the one that the provider has made.")
    addresses = {"database": settings.database or "", "limits.rates.store": settings.limits.rates.store}
    addresses |= {f"databases.{name}.url": each.url or "" for name, each in settings.databases.items()}
    for name, address in addresses.items():
        password = unquote(urlsplit(address).password or "")
        if password and (why := weakness(password)):
            yield Danger(f"The password in {name} {why}.", "Give that account a random password.", always=False)
    for plugin, table in settings.plugins.items():
        for name, value in table.items():
            if isinstance(value, str) and _SECRET_WORD.search(name) and (why := weakness(value)):
                way_out = "Give the real one, best in a file of its own."
                yield Danger(f"plugins.{plugin}.{name} {why}.", way_out, always=False)


def _debugging(settings: Settings, environ: Mapping[str, str], *, reload: bool) -> Iterator[Danger]:
    host = settings.server.host
    if is_loopback(host):
        return
    if reload:
        yield Danger(
            f"--reload is for development, and this would listen on {host}, where others can reach it.",
            "Leave out --reload, or listen on 127.0.0.1.",
        )
    said = sorted(name for name in _DEBUGGING if environ.get(name, "").lower() not in ("", "0", "false"))
    if said or sys.flags.dev_mode:
        what = ", ".join(said) or "python -X dev"
        yield Danger(
            f"{what} switches debugging on, and this would listen on {host}, where others can reach it.",
            f"Unset {what}, or listen on 127.0.0.1.",
        )


def _open_file(path: Path, name: str) -> Iterator[Danger]:
    if os.name == "posix" and path.is_file() and readable_by_others(path):
        yield Danger(f"{name}: {path} can be read by others on this machine.", f"Run: chmod 600 {path}", always=False)
