"""The other process of `plugin-host check`: it runs a host with the plugin on a throw-away database, and tells.

`check` starts it; it is no command for people.
"""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from plugin_host.core.checking.gathering import gather
from plugin_host.core.checking.throwaway import throwaway
from plugin_host.core.checking.trial import Job, Shown
from plugin_host.host import HostError, PluginHost
from plugin_host.plugins.plan import Candidate

if TYPE_CHECKING:
    from typing import Any


def main() -> None:
    """Do the job that stands on the standard input."""
    faulthandler.enable()
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.path[:] = job.path
    try:
        asyncio.run(_activate(job))
    except HostError as error:
        _answer(job, Shown(error=str(error)))


async def _activate(job: Job) -> None:
    candidates = [msgspec.convert(job.candidate, Candidate, dec_hook=_path)] if job.candidate is not None else []
    host = PluginHost(throwaway(job.config, Path(job.folder)), candidates=candidates, safe=frozenset(job.safe))
    async with host.lifespan():
        generation = host.standing.generation
        built = await asyncio.to_thread(gather, generation, host.databases)
        # Before it is stopped: a plugin that does not end is one that ran.
        _answer(job, Shown(entries=generation.plan.entries, built=built))


def _answer(job: Job, shown: Shown) -> None:
    part = Path(f"{job.answer}.part")
    part.write_bytes(msgspec.json.encode(shown))
    os.replace(part, job.answer)  # noqa: PTH105 - atomic: whoever waits sees all of it or nothing


def _path(kind: type[Any], value: Any) -> Any:
    return kind(value)


if __name__ == "__main__":
    main()
