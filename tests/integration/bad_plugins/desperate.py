"""Plugins that try to take the process along: when it starts, while it runs, and when it should end."""

from __future__ import annotations

from textwrap import indent
from typing import Final

from .imports import broken_import
from .life import bad_lifespan, bad_start
from .making import FIX, GET, HEAD, Bad

UNSPEAKABLE: Final = """
class Doom(Exception):
    def __str__(self):
        raise {0}

    __repr__ = __str__
"""

DEAF: Final = """
import asyncio
while True:
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        pass
"""
"""What a coroutine does that will not be cancelled."""

TAKES: Final = (
    broken_import(
        "unspeakable2",
        "exception whose text exits",
        f"{UNSPEAKABLE.format('SystemExit(4)')}\nraise Doom\n",
        "Doom",
    ),
    Bad(
        plugin="norepr",
        what="menu item whose repr exits",
        hooks=f"{HEAD}\nclass Sly:\n    def __repr__(self):\n        raise SystemExit(5)\n\n"
        "@hookimpl\ndef register_menu():\n    return [Sly()]\n",
        state="refused",
        code="hook_invalid",
        says="which is not a MenuItem",
        way_out="each item is a MenuItem",
    ),
    Bad(
        plugin="notext",
        what="start-up that raises an exception whose text is Ctrl+C",
        hooks=f"{GET}\n{UNSPEAKABLE.format('KeyboardInterrupt')}\n@hookimpl\nasync def startup():\n    raise Doom\n",
        state="quarantined",
        code="startup_failed",
        says="Doom",
        way_out=FIX,
    ),
    bad_lifespan("lifeexits", "lifespan that exits", "raise SystemExit(3)", "SystemExit"),
    bad_lifespan("lifestops", "lifespan with Ctrl+C", "raise KeyboardInterrupt", "KeyboardInterrupt"),
    bad_start(
        "startdeaf",
        "start-up that will not be cancelled",
        DEAF,
        "took more than",
        code="time_limit",
        way_out="limits.startup_timeout",
    ),
    Bad(
        plugin="zspins",
        what="import that never ends and takes all the time there is",
        hooks="while True:\n    pass\n",
        state="quarantined",
        code="time_limit",
        says="importing it took more than",
        way_out="limits.import_timeout",
        restart_needed=True,
    ),
)
"""Parked, one and all, and the process lives on."""


def vandal(plugin: str, what: str, at_import: str = "", at_start: str = "pass") -> Bad:
    """Make a plugin that runs, and does something to the process."""
    lines = "".join(f"    {line}\n" for line in at_start.splitlines())
    hooks = f"{at_import}\n{GET}\n@hookimpl\nasync def startup():\n{lines}"
    return Bad(plugin=plugin, what=what, hooks=hooks, state="active")


VANDALS: Final = (
    vandal("moves", "changes the working folder", "import os, tempfile\n\nos.chdir(tempfile.gettempdir())"),
    vandal("deafens", "ignores signals", "", "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)"),
    vandal(
        "policy", "changes the policy of asyncio", "import asyncio\n\nasyncio.set_event_loop(asyncio.new_event_loop())"
    ),
    vandal(
        "shadows",
        "puts its folder first on the path",
        "import os, sys\n\nsys.path.insert(0, os.path.dirname(__file__))",
    ),
    vandal(
        "rubbish",
        "prints what is no text",
        "import os\n\nos.write(1, bytes(range(256)) * 10)\nos.write(2, b'\\xff\\x00' * 999)",
    ),
    vandal(
        "threads",
        "thread that raises",
        "import threading\n\nthreading.Thread(target=lambda: 1 / 0).start()\n"
        "threading.Thread(target=exit, daemon=True).start()",
    ),
    vandal(
        "silences", "switches the log off", "import logging\n\nlogging.disable(logging.CRITICAL)\nlogging.shutdown()"
    ),
    vandal("strict", "makes warnings errors", "import warnings\n\nwarnings.simplefilter('error')"),
    vandal(
        "excepthook",
        "ends the process at any error of a thread",
        "import os, sys\n\nsys.excepthook = lambda *a: os._exit(9)",
    ),
    vandal("environs", "forgets the environment", "import os\n\nos.environ.clear()"),
    vandal(
        "task",
        "task that raises",
        "",
        "import asyncio\n\nasync def boom():\n    raise RuntimeError('nobody waits')\n\nasyncio.create_task(boom())",
    ),
)
"""Active: code in the process can do such things, and the host has to live with them."""


def sick(plugin: str, what: str, body: str) -> Bad:
    """Make a plugin that runs, and whose health check has this body."""
    lines = "".join(f"        {line}\n" for line in body.splitlines())
    hooks = f"{GET}\n@hookimpl\ndef register_health():\n    async def check():\n{lines}    return [check]\n"
    return Bad(plugin=plugin, what=what, hooks=hooks, state="active")


SICK: Final = (
    sick(
        "sick",
        "health check that says it is not well",
        "from plugin_host.sdk import Health\nreturn Health('failed', 'no paper')",
    ),
    sick("sickraises", "health check that raises", "raise OSError('no disc')"),
    sick("sickhangs", "health check that never ends", "import asyncio\nawait asyncio.sleep(3600)"),
    sick("sickwords", "health check that answers something else", "return 'fine'"),
    sick("sickexits", "health check that exits", "raise SystemExit(3)"),
    sick("sickstops", "health check with Ctrl+C", "raise KeyboardInterrupt"),
    sick("sickcancels", "health check that raises CancelledError", "import asyncio\nraise asyncio.CancelledError"),
)


def bad_end(plugin: str, what: str, body: str) -> Bad:
    """Make a plugin that runs, and whose `shutdown` has this body."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return Bad(plugin=plugin, what=what, hooks=f"{GET}\n@hookimpl\nasync def shutdown():\n{lines}", state="active")


ENDS: Final = (
    bad_end("endraises", "shutdown that raises", "raise ValueError('no rest')"),
    bad_end("endexits", "shutdown that exits", "raise SystemExit(3)"),
    bad_end("endstops", "shutdown with Ctrl+C", "raise KeyboardInterrupt"),
    bad_end("endhangs", "shutdown that never ends", "import asyncio\nawait asyncio.sleep(3600)"),
    bad_end(
        "endcancels",
        "shutdown that cancels itself",
        "import asyncio\nasyncio.current_task().cancel()\nawait asyncio.sleep(9)",
    ),
)

STAYS: Final = (
    vandal(
        "thread",
        "thread of its own that never ends",
        "import threading, time\n\nthreading.Thread(target=time.sleep, args=(3600,)).start()",
    ),
    vandal("atexit", "farewell that never ends", "import atexit, time\n\natexit.register(time.sleep, 3600)"),
    vandal(
        "pool",
        "work in the loop's pool that never ends",
        "",
        "import asyncio, time\nasyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)",
    ),
    vandal(
        "deaf",
        "task that will not be cancelled",
        "",
        "async def stay():\n"
        + indent(DEAF, "    ")
        + "import asyncio\nglobal kept\nkept = asyncio.create_task(stay())\nawait asyncio.sleep(0)",
    ),
    *(bad for bad in ENDS if bad.plugin in ("endhangs", "endexits")),
)
"""Active, and at the end they will not go."""
