"""A plugin with a screen of every kind, for the browser tests. Its tasks live in memory."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import itertools
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from plugin_host.sdk import FieldError, Page, Problem, delete, get, hookimpl, patch, post


class Stage(enum.Enum):
    """How far a task is."""

    OPEN = "open"
    WAITING = "waiting"
    FINISHED = "finished"


class TaskIn(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A new task."""

    title: Annotated[str, Meta(max_length=80)]
    stage: Stage = Stage.OPEN
    due: dt.date | None = None
    remind_at: dt.datetime | None = None
    done: bool = False
    cost: decimal.Decimal | None = None
    hours: Annotated[int, Meta(ge=0)] | None = None
    tags: list[str] = []
    text: Annotated[str, Meta(max_length=5000)] | None = None


class TaskChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Changes of a task."""

    title: Annotated[str, Meta(max_length=80)] | UnsetType = UNSET
    stage: Stage | UnsetType = UNSET
    due: dt.date | UnsetType | None = UNSET
    remind_at: dt.datetime | UnsetType | None = UNSET
    done: bool | UnsetType = UNSET
    cost: decimal.Decimal | UnsetType | None = UNSET
    hours: Annotated[int, Meta(ge=0)] | UnsetType | None = UNSET
    tags: list[str] | UnsetType = UNSET
    text: Annotated[str, Meta(max_length=5000)] | UnsetType | None = UNSET


class Task(TaskIn, kw_only=True):
    """A task."""

    id: str


class Delay(msgspec.Struct, forbid_unknown_fields=True):
    """How much later."""

    days: int


_NUMBERS = itertools.count(1)
TASKS: dict[str, Task] = {}


def _add(**values: Any) -> Task:
    task = Task(id=str(next(_NUMBERS)), **values)
    TASKS[task.id] = task
    return task


def _fill() -> None:
    TASKS.clear()
    _add(title="=1+1", cost=decimal.Decimal("12.50"), due=dt.date(2026, 12, 24))
    _add(title="<b>bold</b>", stage=Stage.WAITING, hours=3)


_fill()


def _task(task_id: str) -> Task:
    if task_id not in TASKS:
        raise Problem(404, "not_found", "There is no such task.")
    return TASKS[task_id]


@get("/tasks", permission="kinds.view")
async def list_tasks(
    *,
    q: str = "",
    sort: str = "",
    cursor: int = 0,
    limit: int = 50,
    stage: Stage | None = None,
    done: bool | None = None,
) -> Page[Task]:
    """List the tasks."""
    found = [t for t in TASKS.values() if q.lower() in t.title.lower() and stage in (None, t.stage)]
    found = [t for t in found if done in (None, t.done)]
    key = sort.removeprefix("-")
    if key:
        found.sort(key=lambda t: str(getattr(t, key)), reverse=sort.startswith("-"))
    end = cursor + limit
    return Page(found[cursor:end], str(end) if end < len(found) else None)


@post("/tasks", permission="kinds.edit", summary="Add task")
async def create_task(data: TaskIn) -> Task:
    """Add a task."""
    if data.title == "forbidden":
        raise Problem(422, "invalid", "No.", errors=[FieldError("/title", "This title is not possible.")])
    return _add(**msgspec.structs.asdict(data))


@get("/tasks/{task_id:str}", permission="kinds.view")
async def read_task(task_id: str) -> Task:
    """Read a task."""
    return _task(task_id)


@patch("/tasks/{task_id:str}", permission="kinds.edit")
async def update_task(task_id: str, data: TaskChange) -> Task:
    """Change a task."""
    task = _task(task_id)
    for name, value in msgspec.structs.asdict(data).items():
        if value is not UNSET:
            setattr(task, name, value)
    return task


@delete("/tasks/{task_id:str}", permission="kinds.edit", summary="Delete")
async def delete_task(task_id: str) -> None:
    """Delete a task."""
    _task(task_id)
    del TASKS[task_id]


@post("/tasks/{task_id:str}/finish", permission="kinds.edit", status_code=200)
async def finish_task(task_id: str) -> Task:
    """Finish a task."""
    task = _task(task_id)
    task.stage = Stage.FINISHED
    return task


@post("/tasks/{task_id:str}/postpone", permission="kinds.edit", status_code=200)
async def postpone_task(task_id: str, data: Delay) -> Task:
    """Let a task wait."""
    task = _task(task_id)
    task.due = (task.due or dt.date(2026, 1, 1)) + dt.timedelta(days=data.days)
    return task


@post("/many", permission="kinds.edit", status_code=200)
async def add_many() -> dict[str, int]:
    """Add sixty tasks."""
    for number in range(60):
        _add(title=f"Task {number:02}")
    return {"added": 60}


@post("/reset", permission="public", status_code=200)
async def reset() -> None:
    """Begin anew: each test does."""
    _fill()


@hookimpl
def register_routes() -> list[Any]:
    """Answer below /api/kinds."""
    return [
        list_tasks,
        create_task,
        read_task,
        update_task,
        delete_task,
        finish_task,
        postpone_task,
        add_many,
        reset,
    ]
