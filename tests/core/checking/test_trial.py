"""The other process: it answers, dies, hangs, or does not end."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from plugin_host.core.checking import trial
from plugin_host.core.checking.trial import Job, Trial

ANSWER = """
import json, os, sys
job = json.loads(sys.stdin.buffer.read())
print("noise")
with open(job["answer"] + ".part", "w") as file:
    file.write('{"built": {"notes": {"beyond": ["one"]}}}')
os.replace(job["answer"] + ".part", job["answer"])
"""


@pytest.fixture
def tried(tmp_path: Path) -> Callable[..., Trial]:
    def run(code: str, limit: float = 20.0) -> Trial:
        job = Job(
            config=None, folder=str(tmp_path), candidate=None, safe=(), path=(), answer=str(tmp_path / "answer.json")
        )
        return trial.run([sys.executable, "-c", code], job, limit)

    return run


def test_an_answer_comes_back(tried: Callable[..., Trial]) -> None:
    done = tried(ANSWER)
    assert done.ending == "ended"
    assert done.shown is not None
    assert done.shown.built["notes"].beyond == ("one",)


def test_a_process_that_ends_itself_has_died(tried: Callable[..., Trial]) -> None:
    done = tried("import os, sys\nprint('last words', file=sys.stderr, flush=True)\nos._exit(3)")
    assert (done.ending, done.shown) == ("died", None)
    assert done.told == "it ended with exit code 3: last words"


def test_a_process_that_crashes_has_died(tried: Callable[..., Trial]) -> None:
    done = tried("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)")
    assert done.ending == "died"
    assert "SIGSEGV" in done.told


def test_a_process_that_does_not_answer_has_hung(tried: Callable[..., Trial]) -> None:
    assert tried("while True: pass", limit=0.5).ending == "hung"


def test_a_process_that_does_not_end_lingers(tried: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "GRACE", 0.2)
    done = tried(ANSWER + "\nimport time\ntime.sleep(60)")
    assert done.ending == "lingers"
    assert done.shown is not None


def test_what_the_process_started_ends_with_it(tried: Callable[..., Trial], tmp_path: Path) -> None:
    child = "import subprocess, sys\nsubprocess.Popen(['sleep', '60'])\nopen('{}', 'w').write('x')\nwhile True: pass"
    assert tried(child.format(tmp_path / "there"), limit=1.5).ending == "hung"
