"""Imports that fail, hang, or try to take the process along."""

from __future__ import annotations

from typing import Final

from .making import FIX, GET, Bad


def broken_import(plugin: str, what: str, code: str, says: str, way_out: str = FIX, **more: object) -> Bad:
    return Bad(
        plugin=plugin,
        what=what,
        hooks=code,
        state="quarantined",
        code="import_failed",
        says=says,
        way_out=way_out,
        **more,  # type: ignore[arg-type]
    )


IMPORTS: Final = (
    broken_import("syntax", "syntax error", "def hello(:\n    pass\n", "SyntaxError", culprits=("syntax",)),
    broken_import(
        "library",
        "library that is not installed",
        "import no_such_library\n",
        "No module named 'no_such_library' (host_library/hooks.py:1)",
        way_out="Install what brings 'no_such_library'",
        culprits=("library", "no_such_library"),
    ),
    broken_import(
        "attribute",
        "entry that names what is not there",
        "class Plugin:\n    pass\n",
        "has no attribute 'Plugni'",
        way_out="Did you mean 'Plugin'?",
        entry="host_attribute.hooks:Plugni",
    ),
    broken_import(
        "class",
        "class that cannot be made",
        "class Plugin:\n    def __init__(self, host):\n        pass\n",
        "missing 1 required positional argument: 'host'",
        entry="host_class.hooks:Plugin",
    ),
    broken_import(
        "raises", "error", "raise RuntimeError('no luck')\n", "RuntimeError: no luck (host_raises/hooks.py:1)"
    ),
    broken_import("exits", "sys.exit", "import sys\nsys.exit(3)\n", "SystemExit: 3"),
    broken_import("interrupts", "KeyboardInterrupt", "raise KeyboardInterrupt\n", "KeyboardInterrupt"),
    broken_import("generator", "GeneratorExit", "raise GeneratorExit\n", "GeneratorExit"),
    broken_import("cancels", "CancelledError", "import asyncio\nraise asyncio.CancelledError\n", "CancelledError"),
    broken_import("stops", "StopIteration", "raise StopIteration\n", "StopIteration"),
    broken_import("timeout", "TimeoutError of its own", "raise TimeoutError('no answer')\n", "TimeoutError: no answer"),
    broken_import("memory", "MemoryError", "raise MemoryError\n", "MemoryError"),
    broken_import("recursion", "endless recursion", "def f():\n    return f()\n\nf()\n", "RecursionError"),
    broken_import(
        "baseexc",
        "exception of its own kind",
        "class Doom(BaseException):\n    pass\n\nraise Doom('dark')\n",
        "Doom: dark",
    ),
    broken_import(
        "unspeakable",
        "exception whose text raises",
        "class Doom(Exception):\n    def __str__(self):\n        raise ValueError\n\nraise Doom\n",
        "Doom",
    ),
    broken_import("colours", "message for the terminal", "raise ValueError('\\x1b[2J\\x1b[31mall red')\n", "all red"),
    broken_import("novel", "message of a megabyte", "raise ValueError('x' * 1_000_000)\n", "ValueError: xxx"),
    broken_import("vanishes", "module that takes itself away", "import sys\ndel sys.modules[__name__]\n", "KeyError"),
    broken_import(
        "impostor",
        "module that puts an object in its place on which all raises",
        "import sys\n\nclass No:\n    def __getattribute__(self, name):\n        raise RuntimeError(name)\n"
        "    def __dir__(self):\n        raise RuntimeError('dir')\n\nsys.modules[__name__] = No()\n",
        "RuntimeError",
    ),
    broken_import(
        "signals",
        "handler for a signal of the process",
        "import signal\n\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n",
        "ValueError: signal only works in main thread",
    ),
    Bad(
        plugin="hangs",
        what="import that never ends",
        hooks="import time\n\nwhile True:\n    time.sleep(0.05)\n",
        state="quarantined",
        code="time_limit",
        says="importing it took more than",
        way_out="limits.import_timeout",
        restart_needed=True,
    ),
    Bad(
        plugin="slow",
        what="import of a second: slow, but sound",
        hooks=f"import time\n\ntime.sleep(1)\n{GET}",
        state="active",
    ),
)
