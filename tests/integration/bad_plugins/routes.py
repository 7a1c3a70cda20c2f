"""Routes that are refused before anybody can call them."""

from __future__ import annotations

from typing import Final

from .making import HEAD, Bad


def bad_route(plugin: str, what: str, text: str, code: str, says: str, way_out: str, **more: object) -> Bad:
    """Make a plugin whose routes are refused; `text` defines `routes`."""
    head = "" if text.startswith("from __future__") else HEAD
    hooks = f"{head}{text}\n\n@hookimpl\ndef register_routes():\n    return routes\n"
    culprits = more.pop("culprits", None)
    return Bad(
        plugin=plugin,
        what=what,
        hooks=hooks,
        state="refused",
        code=code,
        says=says,
        way_out=way_out,
        culprits=culprits,  # type: ignore[arg-type]
        **more,  # type: ignore[arg-type]
    )


ROUTE: Final = """
@get("/", permission="signed-in")
async def hello() -> str:
    return "hello"

routes = [hello]
"""


def _at(plugin: str, line: int) -> tuple[str, str]:
    """Name the culprits of a faulty handler: the plugin, and the file and line."""
    return plugin, f"{{site}}/host_{plugin}/hooks.py:{line}"


ROUTES: Final = (
    bad_route(
        "undeclared",
        "route without a permission",
        ROUTE.replace(', permission="signed-in"', ""),
        "permission_undeclared",
        "hooks.py:3 hello (GET /) declares no permission",
        'permission="<permission of this plugin',
        culprits=_at("undeclared", 3),
    ),
    bad_route(
        "unknown",
        "route with a permission that is not there",
        ROUTE.replace("signed-in", "unknown.nothing"),
        "permission_unknown",
        "'unknown.nothing', which nobody declares",
        "permission=",
        culprits=_at("unknown", 3),
    ),
    bad_route(
        "foreign",
        "route with a permission of a plugin that it does not require",
        ROUTE.replace("signed-in", "good.view"),
        "permission_foreign",
        "'good.view' of 'good', which 'foreign' does not require",
        "permission=",
        culprits=_at("foreign", 3),
    ),
    bad_route(
        "unlisted",
        "public route that permissions.json does not list",
        ROUTE.replace("signed-in", "public"),
        "public_unlisted",
        "is public, but permissions.json does not list it",
        "under public in permissions.json",
        culprits=_at("unlisted", 3),
    ),
    bad_route(
        "duplicate",
        "two handlers of one address",
        ROUTE
        + '\n@get("/", permission="signed-in")\nasync def again() -> str:\n    return "again"\n\nroutes += [again]\n',
        "hook_invalid",
        "two handlers answer GET /api/duplicate",
        "Correct what register_routes returns",
    ),
    bad_route(
        "shadow",
        "two addresses that differ in the parameter's name only",
        """
@get("/{one:str}", permission="signed-in")
async def first(one: str) -> str:
    return one

@get("/{other:str}", permission="signed-in")
async def second(other: str) -> str:
    return other

routes = [first, second]
""",
        "hook_invalid",
        "answers the same addresses as",
        "Correct the routes",
        culprits=_at("shadow", 7),
    ),
    bad_route(
        "mount",
        "mount that also answers what only begins alike",
        "from litestar import asgi\nfrom litestar.types import Receive, Scope, Send\n\n"
        "@asgi('/', is_mount=True, opt={'permission': 'signed-in'}, copy_scope=True)\n"
        "async def app(scope: Scope, receive: Receive, send: Send) -> None:\n    pass\n\nroutes = [app]\n",
        "hook_invalid",
        "is a mount",
        "Correct the routes",
        culprits=_at("mount", 5),
    ),
    bad_route(
        "opt",
        "key that would switch off a guard",
        ROUTE.replace('permission="signed-in"', 'permission="signed-in", exclude_from_auth=True'),
        "hook_invalid",
        "opt['exclude_from_auth'], which would weaken the host",
        "Correct the routes",
        culprits=_at("opt", 3),
    ),
    bad_route(
        "cached",
        "cache without a key for each person",
        ROUTE.replace('permission="signed-in"', 'permission="signed-in", cache=True'),
        "hook_invalid",
        "one person would get another's answer",
        "Correct the routes",
        culprits=_at("cached", 3),
    ),
    bad_route(
        "boundless",
        "route that takes bodies of any size",
        ROUTE.replace("get", "post")
        .replace('permission="signed-in"', 'permission="signed-in", request_max_body_size=None')
        .replace("\n@post", "\nfrom plugin_host.sdk import post\n@post", 1),
        "hook_invalid",
        "lifts the limit of the body",
        "Correct the routes",
        culprits=_at("boundless", 4),
    ),
    bad_route(
        "litestar",
        "application in place of routes",
        ROUTE + "\nfrom litestar import Litestar\nroutes = [Litestar([])]\n",
        "hook_invalid",
        "an object of Litestar",
        "AsgiApp(app, path=..., permission=...)",
    ),
    bad_route(
        "bare",
        "function without a decorator",
        "async def hello() -> str:\n    return 'hello'\n\nroutes = [hello]\n",
        "hook_invalid",
        "the bare function hello",
        "functions decorated with get",
    ),
    bad_route(
        "typechecking",
        "annotation that is there for type checkers only",
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING\n\nif TYPE_CHECKING:\n"
        "    from decimal import Decimal\n\nfrom plugin_host.sdk import get, hookimpl\n\n"
        "@get('/', permission='signed-in')\nasync def price(amount: Decimal) -> str:\n    return str(amount)\n\n"
        "routes = [price]\n",
        "hook_invalid",
        "name 'Decimal' is not defined",
        "not under TYPE_CHECKING",
    ),
    bad_route(
        "noreturn",
        "handler that says not what it returns",
        ROUTE.replace(" -> str", ""),
        "hook_invalid",
        "at {site}/host_noreturn/hooks.py:3",
        "Correct what register_routes returns",
    ),
    bad_route(
        "misuse",
        "dependency under a name of the host's",
        ROUTE.replace("async def hello()", "async def hello(db: str)")
        .replace(
            'permission="signed-in"',
            'permission="signed-in", dependencies={"db": Provide(lambda: "x", sync_to_thread=False)}',
        )
        .replace("\n@get", "\nfrom litestar.di import Provide\n@get", 1),
        "hook_invalid",
        "declares 'db' in its dependencies",
        "Correct the routes",
        culprits=_at("misuse", 4),
    ),
    bad_route(
        "dbtext",
        "name of the host's with another type",
        ROUTE.replace("async def hello()", "async def hello(db: int)"),
        "hook_invalid",
        "takes 'db' as int",
        "Correct the routes",
        culprits=_at("dbtext", 3),
    ),
    bad_route(
        "capitals",
        "path in capitals",
        ROUTE.replace('"/"', '"/Hello"'),
        "hook_invalid",
        "'Hello' in its path: use lower-case",
        "Correct the routes",
        culprits=_at("capitals", 3),
    ),
    bad_route(
        "paramtype",
        "path parameter of a type that is none",
        ROUTE.replace('"/"', '"/{id:colour}"'),
        "hook_invalid",
        "colour",
        "Correct what register_routes returns",
    ),
)
