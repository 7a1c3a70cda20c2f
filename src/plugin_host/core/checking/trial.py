"""The trial: the plugin is run in a process of its own, which may die or hang without taking `check` with it.

What is asked goes in as JSON on its standard input; what it showed comes back in a file, since plugins print.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from plugin_host.core.checking.subject import Built
from plugin_host.plugins.plan import PlanEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plugin_host.plugins.plan import Candidate

Ending: TypeAlias = Literal["ended", "died", "hung", "lingers"]

GRACE: Final = 5.0
"""Seconds that the process has to stop and end after it has answered."""

_LINES: Final = 12


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the process is to do: the settings file, a folder for its data, and the one that is not installed.

    `safe` are the plugins to be left out, `path` is sys.path, `answer` the file for the `Shown`.
    """

    config: str | None
    folder: str
    candidate: dict[str, object] | None
    safe: tuple[str, ...]
    path: tuple[str, ...]
    answer: str


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What it showed: the plan that stood then, and what was built by plugin; or why the host did not start."""

    entries: tuple[PlanEntry, ...] = ()
    built: dict[str, Built] = {}
    error: str | None = None


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """How it went. `shown` is None when the process `died` or `hung` before it answered; `told` is its last words."""

    ending: Ending
    shown: Shown | None = None
    told: str = ""


def pack(candidate: Candidate) -> dict[str, object]:
    """Make a candidate that is no object ready for the journey."""
    packed: dict[str, object] = msgspec.to_builtins(candidate, enc_hook=str)
    return packed


def run(command: Sequence[str], job: Job, limit: float) -> Trial:
    """Run the command with the job; it has `limit` seconds to answer.

    It is a session of its own, so that what it started itself ends with it.
    """
    answer = Path(job.answer)
    with tempfile.TemporaryFile() as words:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=words, start_new_session=True
        )
        try:
            assert process.stdin is not None  # noqa: S101 - asked for above
            with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
                stdin.write(msgspec.json.encode(job))
            code = _wait(process, answer, limit)
        finally:
            _end(process)
        words.seek(0)
        told = "\n".join(words.read().decode(errors="replace").strip().splitlines()[-_LINES:])
    shown = msgspec.json.decode(answer.read_bytes(), type=Shown) if answer.is_file() else None
    if shown is None:
        return Trial(ending="hung" if code is None else "died", told=_ended(code, told))
    return Trial(ending="lingers" if code is None else "ended", shown=shown, told=told)


def _wait(process: subprocess.Popen[bytes], answer: Path, limit: float) -> int | None:
    """Wait until the process has ended; None if it does not, in time for the answer or soon after it."""
    end = time.monotonic() + limit
    answered = False
    while time.monotonic() < end:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(0.05)
        if not answered and answer.is_file():
            answered, end = True, time.monotonic() + GRACE
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill it with all that it started; nothing is left of it to wait for."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ended(code: int | None, told: str) -> str:
    if code is None:
        return told
    how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    return f"it ended {how}" + (f": {told.splitlines()[-1]}" if told else "")
