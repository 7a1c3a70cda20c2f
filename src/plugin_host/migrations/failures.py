"""Wording what a revision did wrong: the reason that parks its plugin."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from plugin_host.migrations.locking import TransactionEndedError, is_table_locked
from plugin_host.sdk.errors import Reason

if TYPE_CHECKING:
    from plugin_host.migrations.schedule import Step


def reason_of(step: Step, error: BaseException) -> Reason:
    """Say why a revision failed: where in its file, what was raised, and what became of what it did."""
    where = next(
        (
            f":{at.lineno}"
            for at in reversed(traceback.extract_tb(error.__traceback__))
            if at.filename == str(step.path)
        ),
        "",
    )
    end = "It was rolled back."
    way_out = f"Correct it and run `plugin-host migrate {step.plugin}`, or install the version before."
    if isinstance(error, TransactionEndedError):
        end = "What it did before may have stayed."
        way_out = "Take COMMIT and ROLLBACK out of the revision, and bring the tables back as they were."
    elif is_table_locked(error):
        way_out = f"End whoever keeps the table locked, and run `plugin-host migrate {step.plugin}`."
    return Reason(
        code="migration_failed",
        text=f"{step.revision} ({step.path}{where}) failed: {first_line(error)}. {end}",
        culprits=(step.plugin,),
        way_out=way_out,
    )


def half_done(step: Step, reason: Reason, invalid: tuple[str, ...] = ()) -> Reason:
    """Turn the reason of a revision that ran outside of a transaction into one that says so."""
    told = reason.text.removesuffix("It was rolled back.").rstrip()
    left = f" It left {', '.join(invalid)} unfinished." if invalid else ""
    return Reason(
        code="migration_dirty",
        text=f"{told} It runs outside of a transaction: part of it may have been done.{left}",
        culprits=reason.culprits,
        way_out=f"Correct it, then say plugin-host migrations resolve {step.plugin} --retry once what it did is undone,"
        " or --applied once all of it is done.",
    )


def first_line(error: BaseException) -> str:
    """Give the kind of an error and the first line of what it says, without SQLAlchemy's own wrapping."""
    told = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    line = next(iter(str(told).splitlines()), "").rstrip(".")
    return f"{type(told).__name__}: {line}" if line else type(told).__name__
