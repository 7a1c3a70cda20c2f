"""The journal of starts: a start that ends with the process leaves a trace, and the next start learns from it.

Three kinds of files lie in the data folder. `starting.json` is what is known: see `bisection`; it is not there before
the first start that died. `starting-<process>.steps` is written while plugins are being activated, a line for each
step, and removed when that is through or was given up in order; it is locked, so one that lies there without a lock
is of a process that has died. `starting.lock` makes those who look take turns: several processes may start at once.

Nothing here stops a start: where the folder cannot be written to there is no journal.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import secrets
import time
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

import msgspec

from plugin_host.supervision.bisection import Death, Member, Order, State, after_death, after_up, left_off
from plugin_host.supervision.locks import take

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from plugin_host.sdk.errors import Reason

log = logging.getLogger("plugin_host")

Step: TypeAlias = Literal["migrate", "import", "start"]

_PATIENCE: Final = 2.0
"""Seconds to wait for another process that looks at the journal: it takes a millisecond or two."""

_PROCESS: Final = secrets.token_hex(4)
"""Beside the process id, which means nothing in another container on the same folder."""

_NUMBERS: Final = itertools.count(1)


class _Head(msgspec.Struct, frozen=True):
    """The first line of a steps file: the round it belongs to, who is to run, and who was left off."""

    round: int
    order: Order
    off: tuple[str, ...]


class Starts:
    """The journal of one data folder; `path` is that of `starting.json`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._head: _Head | None = None
        self._steps: Path | None = None
        self._file = -1
        self._decided: dict[str, tuple[str, Reason]] | None = None

    def judge(self, plugins: Mapping[str, str]) -> Mapping[str, Reason]:
        """Say who of those that are to run is left off, and why. Writes nothing.

        `plugins` holds their ids in the order of activation, core not among them, each with its mark: a text (the
        version, and how often an operator said `retry`) whose change makes void what is known of the plugin.
        Once a start has begun here, its own decision holds, except for plugins whose mark has changed since.
        """
        if self._decided is not None:
            return {
                plugin: reason for plugin, (mark, reason) in self._decided.items() if plugins.get(plugin, None) == mark
            }
        return left_off(self.state(), _order(plugins))

    def state(self) -> State:
        """Give what is known, with what is learned from starts that died since. Writes nothing."""
        if not self._lock_path.exists():  # there never was a start here
            return State()
        try:
            with self._turn():
                return self._learn(self._read())[0]
        except OSError as error:
            log.debug("the journal of starts cannot be read (%s)", error)
            return State()

    def begin(self, plugins: Mapping[str, str]) -> Mapping[str, Reason]:
        """Begin a start: say who is left off (see `judge`), and keep a journal until `up` or `close`."""
        self.close()
        order = _order(plugins)
        held: dict[str, Reason] = {}
        try:
            with self._turn():
                before = self._read()
                state, dead = self._learn(before)
                held = left_off(state, order)
                if state != before:
                    self._write(state)
                for path in dead:
                    path.unlink(missing_ok=True)
                self._open(_Head(state.round, order, tuple(held)))
        except OSError as error:
            log.debug("there is no journal of this start: %s cannot be used (%s)", self._path.parent, error)
            self.close()
        self._decided = {plugin: (plugins[plugin], reason) for plugin, reason in held.items()}
        return held

    @contextlib.contextmanager
    def step(self, plugin: str, step: Step) -> Iterator[None]:
        """Note that the code of a plugin runs during the block; `""` where it may be that of any of them."""
        self._note(f"begin {step} {plugin}")
        try:
            yield
        finally:  # what is raised has not ended the process
            self._note(f"end {step} {plugin}")

    def up(self) -> None:
        """Note that activation is through."""
        head = self._head
        if head is None:
            return
        try:
            with self._turn():
                before = self._read()
                if head.round == before.round:
                    after = after_up(before, head.order)
                else:  # others have learned more by now; but twice in a row it was not
                    after = before if before.search is not None else msgspec.structs.replace(before, deaths=())
                if after != before:
                    self._write(msgspec.structs.replace(after, round=before.round + 1))
        except OSError as error:
            log.debug("the journal of starts cannot be written (%s)", error)
        else:
            _tell(before, after)
        self.close()

    def close(self) -> None:
        """End the journal of this start in order, up or not: it did not die. May be called more than once."""
        self._note("closed")  # where an open file cannot be removed it lies there for a moment
        self._head = None
        if self._steps is not None:
            with contextlib.suppress(OSError):
                self._steps.unlink(missing_ok=True)
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._steps is not None:
            with contextlib.suppress(OSError):
                self._steps.unlink(missing_ok=True)
            self._steps = None

    # -- files -------------------------------------------------------------------------------------------

    @property
    def _lock_path(self) -> Path:
        return self._path.with_suffix(".lock")

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Be the only one that looks. Raises `OSError`."""
        file = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            end = time.monotonic() + _PATIENCE
            while not take(file):
                if time.monotonic() > end:
                    raise TimeoutError(f"another process keeps {self._lock_path}")
                time.sleep(0.01)
            yield
        finally:
            os.close(file)

    def _read(self) -> State:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except (msgspec.DecodeError, ValueError) as error:
            log.warning("%s cannot be read and is left out of account (%s)", self._path, error)
            return State()

    def _write(self, state: State) -> None:
        """Replace the file as a whole: also a power cut leaves the old one or the new one."""
        beside = self._path.with_name(f"{self._path.name}.new")
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            os.write(file, msgspec.json.encode(state))
            os.fsync(file)
        finally:
            os.close(file)
        beside.replace(self._path)

    def _open(self, head: _Head) -> None:
        self._steps = self._path.with_name(f"{self._mine}-{next(_NUMBERS)}.steps")
        self._file = os.open(self._steps, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        if not take(self._file):
            raise BlockingIOError(f"{self._steps} is locked")
        self._head = head
        os.write(self._file, msgspec.json.encode(head) + b"\n")

    @property
    def _mine(self) -> str:
        return f"{self._path.stem}-{os.getpid()}-{_PROCESS}"

    def _note(self, line: str) -> None:
        """Add a line. It is in the system's memory then: what ends a process does not take it along."""
        if self._head is None:
            return
        try:
            os.write(self._file, f"{line}\n".encode())
        except OSError as error:
            log.debug("the journal of this start ends here (%s)", error)
            self._head = None  # half a journal would tell lies
            self.close()

    def _learn(self, state: State) -> tuple[State, list[Path]]:
        """Learn from the steps files of processes that have died; give those files as well."""
        dead: list[Path] = []
        deaths: list[tuple[_Head, Death]] = []
        for path in sorted(self._path.parent.glob(f"{self._path.stem}-*.steps")):
            # What this process itself has open is not dead, and looking at it would end its lock.
            if not path.name.startswith(f"{self._mine}-") and (lines := _lines_of_the_dead(path)) is not None:
                dead.append(path)
                deaths += _told(lines, path)
        # Several processes that died of one thing are one death: all of them were in the same round.
        same = [(head, death) for head, death in deaths if head.round == state.round]
        if same:
            head, death = max(same, key=lambda each: (bool(each[1].plugin), bool(each[1].begun)))
            learned = after_death(state, head.order, death)
            _tell(state, learned, death)
            state = msgspec.structs.replace(learned, round=state.round + 1)
        return state, dead


def _order(plugins: Mapping[str, str]) -> Order:
    return tuple(Member(plugin, mark) for plugin, mark in plugins.items())


def _lines_of_the_dead(path: Path) -> list[bytes] | None:
    """Read a steps file; None if the process that writes it lives, or if it is gone by now."""
    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        return None
    try:
        return path.read_bytes().splitlines() if take(file) else None
    except OSError:
        return None
    finally:
        os.close(file)


def _told(lines: list[bytes], path: Path) -> Iterator[tuple[_Head, Death]]:
    """Make a death of a steps file; nothing of one that was closed, or that says nothing."""
    try:
        head = msgspec.json.decode(lines[0], type=_Head)
    except (IndexError, msgspec.DecodeError):
        return
    begun: dict[str, None] = {}
    under_way: dict[tuple[str, str], None] = {}
    for line in lines[1:]:
        word, _, rest = line.decode(errors="replace").partition(" ")
        step, _, plugin = rest.partition(" ")
        if word == "closed":
            return
        if word == "begin":
            under_way[step, plugin] = None
            begun |= dict.fromkeys([plugin] if plugin else [m.id for m in head.order if m.id not in head.off])
        elif word == "end":
            under_way.pop((step, plugin), None)
    step, plugin = next(iter(under_way)) if len(under_way) == 1 else ("", "")
    with contextlib.suppress(OSError):
        yield head, Death(begun=tuple(begun), plugin=plugin, step=step, when=path.stat().st_mtime)


def _tell(before: State, after: State, death: Death | None = None) -> None:
    """Log what was learned."""
    if death is not None:
        where = f"while {death.plugin} was being activated ({death.step})" if death.plugin else "during activation"
        log.warning("the process of an earlier start died %s", where)
    named = [culprit for culprit in after.culprits if culprit not in before.culprits]
    for culprit in named:
        log.error("%s is left off: %s", culprit.id, culprit.text)
    if before.search is not None and after.search is None and not named:
        log.warning("the search for the plugin that ends the process is over: no other one is to blame")
