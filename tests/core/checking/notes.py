"""A sound plugin, `notes`, as a project: the tests break one thing of it at a time."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias

Change: TypeAlias = "str | Callable[[str], str] | None"

PYPROJECT: Final = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "host-notes"
version = "1.0"
description = "Notes"
license = "MIT"
readme = "README.md"
requires-python = ">=3.11"
dependencies = ["plugin-host"]

[project.entry-points."plugin_host.plugins"]
notes = "host_notes.hooks"
"""
PLUGIN: Final = """\
{
  "id": "notes",
  "name": "Notes",
  "requires": {"core": ">=1.0,<2"},
  "ui": {
    "screens": [
      {"id": "all", "title": "Notes", "kind": "module", "path": "all",
       "entry": "ui/notes.js", "permission": "notes.view"}
    ]
  }
}
"""
PERMISSIONS: Final = """\
{
  "permissions": [
    {"name": "notes.view", "title": "Open notes"},
    {"name": "notes.note.view", "title": "See a note", "scope": "object"},
    {"name": "notes.note.edit", "title": "Change a note", "scope": "object", "implies": ["notes.note.view"]}
  ],
  "roles": [
    {"name": "notes.editor", "title": "Editor", "grants": [
      {"permission": "notes.view"},
      {"permission": "notes.note.edit", "where": {"==": [{"row": "owner_id"}, {"actor": "id"}]}}
    ]}
  ]
}
"""
MENU: Final = """\
{
  "items": [
    {"id": "notes.all", "screen": "all"}
  ]
}
"""
MODELS: Final = """\
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from plugin_host.sdk import PluginBase, object_id


class Base(PluginBase, plugin="notes"):
    pass


class Note(Base):
    __tablename__ = "notes_note"
    __object__ = "notes.note"

    id: Mapped[str] = object_id()
    owner_id: Mapped[str] = mapped_column(String(64))
"""
ROUTES: Final = """\
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from host_notes.models import Note
from plugin_host.sdk import Access, get, patch

VIEW = "notes.view"
EDIT = "notes.note.edit"


@get("/notes", permission=VIEW)
async def list_notes(access: Access, db: AsyncSession) -> int:
    return len((await db.scalars(access.permitted(select(Note), "notes.note.view"))).all())


@patch("/notes/{note_id:str}", permission=EDIT)
async def change_note(note_id: str, access: Access) -> None:
    await access.get(Note, note_id, EDIT)
"""
HOOKS: Final = """\
from host_notes import routes
from plugin_host.sdk import hookimpl


@hookimpl
def register_routes():
    return [routes.list_notes, routes.change_note]
"""
REVISION: Final = """\
import sqlalchemy as sa
from alembic import op

phase = "expand"


def upgrade() -> None:
    op.create_table(
        "notes_note",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("owner_id", sa.String(64), nullable=False),
    )
"""
FILES: Final = {
    "pyproject.toml": PYPROJECT,
    "README.md": "# Notes\n",
    "host_notes/__init__.py": "",
    "host_notes/plugin.json": PLUGIN,
    "host_notes/permissions.json": PERMISSIONS,
    "host_notes/menu.json": MENU,
    "host_notes/models.py": MODELS,
    "host_notes/routes.py": ROUTES,
    "host_notes/hooks.py": HOOKS,
    "host_notes/migrations/0001_notes.py": REVISION,
    "host_notes/ui/notes.js": 'import { html } from "plugin-host/view";\nexport async function mount() {}\n',
}


def replace(old: str, new: str) -> Callable[[str], str]:
    """Change one place of a text, which must be there."""

    def change(text: str) -> str:
        assert old in text, old
        return text.replace(old, new)

    return change


def changed(changes: Mapping[str, Change]) -> dict[str, str]:
    """Give the files with changes: another text, None for a file that is gone, or a function of the text."""
    files = dict(FILES)
    for path, change in changes.items():
        if change is None:
            files.pop(path)
        else:
            files[path] = change if isinstance(change, str) else change(files.get(path, ""))
    return files


def write_project(folder: Path, changes: Mapping[str, Change] | None = None) -> Path:
    """Write the project; gives its folder."""
    for path, text in changed(changes or {}).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return folder


def write_wheel(
    folder: Path, changes: Mapping[str, Change] | None = None, *, without: str = "", recorded: str = ""
) -> Path:
    """Write a wheel as a build would, `without` a member, or with a file in RECORD that is not there."""
    files = changed(changes or {})
    members = {path: text for path, text in files.items() if path.startswith("host_notes/") and path != without}
    info = "host_notes-1.0.dist-info"
    members[f"{info}/METADATA"] = (
        "Metadata-Version: 2.4\nName: host-notes\nVersion: 1.0\nSummary: Notes\nLicense-Expression: MIT\n"
        "Requires-Python: >=3.11\nRequires-Dist: plugin-host\n\n# Notes\n"
    )
    members[f"{info}/entry_points.txt"] = "[plugin_host.plugins]\nnotes = host_notes.hooks\n"
    members[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*members, *filter(None, [recorded])])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "host_notes-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, text in members.items():
            wheel.writestr(member, text)
    return path
