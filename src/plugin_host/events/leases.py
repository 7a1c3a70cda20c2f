"""Whose lease it is: tokens that tell this machine's processes whether the holder is still alive.

A lease ends by itself after its time. Where the holder was a process of this machine that is gone, nobody need wait.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

import sqlalchemy as sa

from plugin_host.events.tables import READY, delivery

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

_STARTED: Final = 21  # the field of /proc/PID/stat that says when a process began, counted from 0
_COUNT: Final = itertools.count(1)


def new_token() -> str:
    """Make the token of a claim: machine, process, when the process began, and a number."""
    return f"{_machine()}.{os.getpid():x}.{_began(os.getpid())}.{next(_COUNT):x}"


async def held_by_the_dead(connection: AsyncConnection | AsyncSession, now: float) -> list[str]:
    """Give the tokens, among those whose lease has not ended, of processes of this machine that are gone."""
    held = sa.select(delivery.c.lease).where(
        delivery.c.state == READY, delivery.c.due > now, delivery.c.lease.startswith(f"{_machine()}.")
    )
    return [token for token in set((await connection.execute(held)).scalars()) if not _lives(token)]


async def end(connection: AsyncConnection | AsyncSession, tokens: Sequence[str], now: float) -> None:
    """End these leases; their rows stay marked as leased, so that whoever claims them knows."""
    if tokens:
        held = delivery.c.lease.in_(tokens)
        await connection.execute(sa.update(delivery).where(delivery.c.state == READY, held).values(due=now))


def _lives(token: str) -> bool:
    _, pid, began, _ = token.split(".")
    try:
        return _began(int(pid, 16)) == began
    except ProcessLookupError:
        return False


def _began(pid: int) -> str:
    """Say when a process began, as the kernel counts; raises `ProcessLookupError` if there is none."""
    if not Path("/proc/self/stat").exists():  # not Linux: a living process with that number is taken for the holder
        os.kill(pid, 0)
        return "0"
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        raise ProcessLookupError(pid) from None
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":  # ended, and its parent has not looked yet
        raise ProcessLookupError(pid)
    return f"{int(fields[_STARTED - 2]):x}"


def _machine() -> str:
    return next(_MACHINE)


def _name_machine() -> Iterator[str]:
    """Tell this machine, since it was started, from others; two containers with one name are two machines."""
    parts = [socket.gethostname()]
    for path in ("/proc/sys/kernel/random/boot_id",):
        try:
            parts.append(Path(path).read_text(encoding="utf-8"))
        except OSError:
            parts.append("")
    try:
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        parts.append("")
    name = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]
    while True:
        yield name


_MACHINE: Final = _name_machine()
