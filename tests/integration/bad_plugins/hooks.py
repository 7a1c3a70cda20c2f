"""Hooks that do not fit, fail, hang, or return what they should not."""

from __future__ import annotations

from typing import Final

from .making import FIX, GET, HEAD, Bad


def broken_hook(plugin: str, what: str, body: str, says: str, **more: object) -> Bad:
    """Make a plugin whose `register_routes` has this body."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    given = {"state": "quarantined", "code": "hook_failed", "way_out": FIX, **more}
    hooks = f"{HEAD}\n@hookimpl\ndef register_routes():\n{lines}"
    return Bad(plugin=plugin, what=what, hooks=hooks, says=says, **given)  # type: ignore[arg-type]


HOOKS: Final = (
    Bad(
        plugin="typo",
        what="hook that does not exist",
        hooks=f"{GET}\n@hookimpl\ndef register_route():\n    return []\n",
        state="refused",
        code="hook_unknown",
        says="'register_route' is no hook",
        way_out="Did you mean 'register_routes'?",
    ),
    Bad(
        plugin="unmarked",
        what="hook without its mark",
        hooks=GET.replace("@hookimpl\n", ""),
        state="refused",
        code="hook_unknown",
        says="has no @hookimpl",
        way_out="Put @hookimpl above it",
    ),
    Bad(
        plugin="arguments",
        what="hook with an argument of its own",
        hooks=f"{HEAD}\n@hookimpl\ndef register_routes(app):\n    return []\n",
        state="refused",
        code="hook_invalid",
        says="hook 'register_routes'",
        way_out="def register_routes(context)",
    ),
    Bad(
        plugin="wrapper",
        what="wrapper of a hook",
        hooks=f"{HEAD}\n@hookimpl(wrapper=True)\ndef register_routes():\n    return (yield)\n",
        state="refused",
        code="hook_invalid",
        says="is a wrapper",
        way_out="plain @hookimpl",
    ),
    Bad(
        plugin="asynchook",
        what="asynchronous hook where none may be",
        hooks=f"{HEAD}\n@hookimpl\nasync def register_routes():\n    return []\n",
        state="refused",
        code="hook_invalid",
        says="is asynchronous",
        way_out="Write `def`",
    ),
    Bad(
        plugin="doorkeeper",
        what="authenticator that is not asynchronous",
        hooks=f"{HEAD}\n@hookimpl\ndef register_authenticators():\n    return [lambda connection: None]\n",
        state="refused",
        code="hook_invalid",
        says="not asynchronous",
        way_out="async def",
    ),
    Bad(
        plugin="elsewhere",
        what="hooks.py that is never looked at",
        entry="host_elsewhere",
        state="refused",
        code="hook_unknown",
        says="implements no hook",
        way_out="host_elsewhere.hooks",
    ),
    Bad(
        plugin="strings",
        what="permissions that are words",
        hooks=f"{HEAD}\n@hookimpl\ndef register_permissions():\n    return ['strings.view']\n",
        state="refused",
        code="hook_invalid",
        says="'strings.view' (item 0), which is not a Permission",
        way_out="each item is a Permission",
    ),
    Bad(
        plugin="twowords",
        what="permission that files and hook say differently",
        permissions={"permissions": [{"name": "twowords.view", "title": "See"}]},
        hooks=f"{HEAD}\n@hookimpl\ndef register_permissions():\n"
        "    return [Permission(name='twowords.view', title='Look')]\n",
        state="refused",
        code="hook_invalid",
        says="said in two ways",
        way_out="Say it in one of the two places",
    ),
    Bad(
        plugin="grabs",
        what="hook that adds another plugin's permission",
        hooks=f"{HEAD}\n@hookimpl\ndef register_permissions():\n"
        "    return [Permission(name='good.all', title='All')]\n",
        state="refused",
        code="manifest_invalid",
        says="'good.all' is no name of a permission",
        way_out="Name it grabs.<action>",
        culprits=("grabs", "register_permissions"),
    ),
    Bad(
        plugin="notype",
        what="settings that are no type",
        hooks=f"{HEAD}\n@hookimpl\ndef register_settings():\n    return {{'size': 3}}\n",
        state="refused",
        code="hook_invalid",
        says="which is not a msgspec Struct type",
        way_out="msgspec Struct type",
    ),
    broken_hook(
        "hookraises", "hook that raises", "raise ValueError('boom')", "hook register_routes failed: ValueError: boom"
    ),
    broken_hook("hookexits", "hook that exits", "raise SystemExit(3)", "hook register_routes failed: SystemExit: 3"),
    broken_hook(
        "hookstops", "hook with Ctrl+C", "raise KeyboardInterrupt", "hook register_routes failed: KeyboardInterrupt"
    ),
    broken_hook(
        "hookdoom", "hook with an exception of its own kind", "raise type('Doom', (BaseException,), {})", "Doom"
    ),
    broken_hook(
        "halfway",
        "generator that raises half-way",
        "yield get('/', permission='public')\nraise OSError('disc')",
        "OSError: disc",
    ),
    broken_hook(
        "nonsense",
        "iterator that cannot be iterated",
        "return type('X', (), {'__iter__': lambda self: 1 / 0})()",
        "ZeroDivisionError",
    ),
    broken_hook("foreignservice", "asks for a service that nobody offers", "return HELLO", "NameError"),
    broken_hook(
        "million",
        "returns a million things",
        "return range(1_000_000)",
        "register_routes returns more than 10,000 things",
        state="refused",
        code="hook_invalid",
        way_out="Return what the plugin brings",
    ),
    broken_hook(
        "endless",
        "generator that never ends",
        "import time\nwhile True:\n    time.sleep(0.05)\n    yield 1",
        "calling its hooks took more than",
        code="time_limit",
        way_out="limits.import_timeout",
        restart_needed=True,
    ),
)
