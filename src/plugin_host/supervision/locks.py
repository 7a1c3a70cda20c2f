"""Locks on files that end with the process that holds them, however it ends: no process id has to be believed."""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":  # pragma: no cover - the tests run on POSIX
    import msvcrt

    _FAR = 1 << 30  # a locked byte cannot be read there: lock one that nobody reads

    def take(file: int) -> bool:
        """Take the lock on an open file; False if another process has it."""
        os.lseek(file, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        finally:
            os.lseek(file, 0, os.SEEK_SET)
        return True
else:
    import fcntl

    def take(file: int) -> bool:
        """Take the lock on an open file; False if another process has it. Raises `OSError` where there are no locks.

        A child that is forked does not have it, so one that outlives its parent does not keep it. Within one
        process it excludes nobody, and ends when any opening of the same file is closed.
        """
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return False
        return True
