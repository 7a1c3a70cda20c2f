"""Life: migrations, start-up, health, shutdown."""

from __future__ import annotations

from typing import Final

from .making import GET, Bad

CREATE: Final = """
import sqlalchemy as sa
from alembic import op

def upgrade() -> None:
    op.create_table("{0}", sa.Column("id", sa.Integer, primary_key=True))
"""


def bad_migration(plugin: str, what: str, text: str, says: str, way_out: str, **more: object) -> Bad:
    given = {"state": "quarantined", "code": "migration_failed", "files": {"migrations/0001_first.py": text}, **more}
    return Bad(plugin=plugin, what=what, says=says, way_out=way_out, **given)  # type: ignore[arg-type]


MIGRATIONS: Final = (
    bad_migration(
        "migraises", "revision that raises", "def upgrade():\n    raise ValueError('boom')\n", "boom", "orrect"
    ),
    bad_migration(
        "migexits", "revision that exits", "def upgrade():\n    raise SystemExit(3)\n", "SystemExit", "orrect"
    ),
    bad_migration(
        "migstops",
        "revision with Ctrl+C",
        "def upgrade():\n    raise KeyboardInterrupt\n",
        "KeyboardInterrupt",
        "orrect",
    ),
    bad_migration("migsyntax", "revision that is no Python", "def upgrade(:\n", "is no Python", "Correct the file"),
    bad_migration("migempty", "revision without upgrade", "x = 1\n", "no function upgrade()", "def upgrade()"),
    bad_migration(
        "migimport",
        "revision that imports what is not there",
        "import no_such_library\n\ndef upgrade():\n    pass\n",
        "no_such_library",
        "orrect",
    ),
    bad_migration(
        "migheads",
        "two revisions of one number",
        "",
        "are both number 0001",
        "Give the younger one the next number",
        code="migration_heads",
        files={
            "migrations/0001_a.py": CREATE.format("migheads_a"),
            "migrations/0001_b.py": CREATE.format("migheads_b"),
        },
    ),
    bad_migration(
        "miggap",
        "number left out",
        "",
        "number 0001 is not",
        "without gaps",
        code="migration_missing",
        files={"migrations/0002_b.py": CREATE.format("miggap_b")},
    ),
    bad_migration(
        "migforeign",
        "revision that makes another plugin's table",
        CREATE.format("good_stolen"),
        "changes good_stolen",
        "Change only tables of the plugin itself",
        culprits=("migforeign", "good"),
        code="migration_foreign",
    ),
    bad_migration(
        "migdrops",
        "revision that drops another plugin's table",
        "from alembic import op\n\ndef upgrade():\n    op.drop_table('good_note')\n",
        "changes good_note",
        "Change only tables of the plugin itself",
        culprits=("migdrops", "good"),
        code="migration_foreign",
    ),
    bad_migration(
        "migcommits",
        "revision that commits half-way",
        CREATE.format("migcommits_a").replace("    op.", "    op.get_bind().commit()\n    op.", 1),
        "transaction",
        "Correct it",
    ),
)

STARTS: Final = "from plugin_host.sdk import AsgiApp, Health, hookimpl\n"


def bad_start(plugin: str, what: str, body: str, says: str, **more: object) -> Bad:
    """Make a plugin whose `startup` has this body."""
    given = {"state": "quarantined", "code": "startup_failed", "way_out": "Correct the plugin", **more}
    word = "async def" if given.pop("coroutine", True) else "def"
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    hooks = f"{GET}\n@hookimpl\n{word} startup():\n{lines}"
    return Bad(plugin=plugin, what=what, hooks=hooks, says=says, **given)  # type: ignore[arg-type]


def bad_lifespan(plugin: str, what: str, body: str, says: str, **more: object) -> Bad:
    """Make a plugin with an application whose lifespan has this body."""
    given = {"state": "quarantined", "code": "startup_failed", "way_out": "Correct the plugin", **more}
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    hooks = (
        f"{STARTS}\nasync def app(scope, receive, send):\n    if scope['type'] == 'lifespan':\n"
        f"        await receive()\n{lines}\n"
        "@hookimpl\ndef register_routes():\n    return [AsgiApp(app, permission='signed-in')]\n"
    )
    return Bad(plugin=plugin, what=what, hooks=hooks, says=says, **given)  # type: ignore[arg-type]


START: Final = (
    bad_start(
        "noprinter", "start-up that raises", "raise ConnectionError('no printer')", "ConnectionError: no printer"
    ),
    bad_start(
        "startplain", "plain start-up that raises", "raise ConnectionError('no disc')", "no disc", coroutine=False
    ),
    bad_start("startexits", "start-up that exits", "raise SystemExit(3)", "SystemExit: 3"),
    bad_start("startstops", "start-up with Ctrl+C", "raise KeyboardInterrupt", "KeyboardInterrupt"),
    bad_start("startthread", "plain start-up that exits", "raise SystemExit(3)", "SystemExit: 3", coroutine=False),
    bad_start(
        "startdoom", "start-up with an exception of its own kind", "raise type('Doom', (BaseException,), {})", "Doom"
    ),
    bad_start(
        "startcancel",
        "start-up that raises CancelledError",
        "import asyncio\nraise asyncio.CancelledError",
        "CancelledError",
    ),
    bad_start(
        "startself",
        "start-up that cancels itself",
        "import asyncio\nasyncio.current_task().cancel()\nawait asyncio.sleep(9)",
        "CancelledError",
    ),
    bad_start(
        "starthangs",
        "start-up that never ends",
        "import asyncio\nawait asyncio.sleep(3600)",
        "took more than",
        code="time_limit",
        way_out="limits.startup_timeout",
    ),
    bad_start(
        "startsleeps",
        "plain start-up that never ends",
        "import time\nwhile True:\n    time.sleep(0.05)",
        "took more than",
        code="time_limit",
        way_out="limits.startup_timeout",
        coroutine=False,
    ),
    bad_lifespan(
        "lifefails",
        "lifespan that says it failed",
        "await send({'type': 'lifespan.startup.failed', 'message': 'no key'})",
        "no key",
    ),
    bad_lifespan(
        "lifehangs",
        "lifespan that never answers",
        "import asyncio\nawait asyncio.sleep(3600)",
        "took longer than",
        code="time_limit",
    ),
    bad_lifespan("lifegarbage", "lifespan that answers garbage", "await send({'kind': 'hello'})", "KeyError"),
)
