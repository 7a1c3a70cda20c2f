"""Building a plugin's application: what is refused at load, with which words, and what is handed to handlers."""

from __future__ import annotations

import logging
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from litestar import Controller, Litestar, Request, Router, WebSocket, get as bare_get, websocket_listener
from litestar.di import Provide
from litestar.enums import RequestEncodingType
from litestar.handlers import WebsocketListener, asgi
from litestar.params import Body, Parameter, QueryParameter
from litestar.static_files import create_static_files_router
from litestar.types import Receive, Scope, Send
from sqlalchemy.ext.asyncio import AsyncSession

from plugin_host.gateway.application import RouteInfo, build
from plugin_host.gateway.gate import NEED
from plugin_host.gateway.signatures import PROVIDERS
from plugin_host.gateway.walk import place_of
from plugin_host.sdk import Access, Actor, AsgiApp, Listing, Services, get, post, websocket
from plugin_host.sdk.errors import PluginFault, Reason
from plugin_host.sdk.manifest import PublicRoute

from .conftest import Stage, rules

pytestmark = pytest.mark.anyio

HERE = __file__


def refused(stage: Stage, *handlers: Any, public: tuple[PublicRoute, ...] = (), **options: Any) -> Reason:
    with pytest.raises(PluginFault) as fault:
        stage.build(*handlers, public=public, **options)
    return fault.value.reason


def public(method: Any, path: str) -> tuple[PublicRoute, ...]:
    return (PublicRoute(method=method, path=path, reason="test"),)


def route(path: str = "/x", **options: Any) -> Any:
    async def handler() -> None:
        """Do nothing."""

    return get(path, **options)(handler)


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    """Answer nothing."""


async def _annotated(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nothing."""


async def talk(socket: WebSocket) -> None:
    await socket.accept()


# -- permissions ------------------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.parametrize(
    ("permission", "code", "words"),
    [
        (None, "permission_undeclared", "declares no permission"),
        ("", "permission_undeclared", "declares no permission"),
        ("shop.veiw", "permission_unknown", "did you mean 'shop.view'?"),
        ("zzz", "permission_unknown", "which nobody declares"),
        ("billing.view", "permission_foreign", "of 'billing', which 'shop' does not require"),
        ("public", "public_unlisted", "permissions.json does not list it"),
    ],
)
def test_a_route_must_name_a_permission_that_it_may_name(
    stage: Stage, permission: str | None, code: str, words: str
) -> None:
    reason = refused(stage, route(permission=permission))
    assert reason.code == code
    assert words in reason.text
    assert "(GET /x)" in reason.text
    assert reason.culprits[0] == "shop"
    assert "permission=" in reason.way_out


def test_the_place_is_file_and_line(stage: Stage) -> None:
    reason = refused(stage, route())
    line = next(n for n, text in enumerate(Path(HERE).read_text().splitlines(), 1) if "async def handler" in text)
    assert f"{HERE}:{line} handler" in reason.text
    assert reason.culprits == ("shop", f"{HERE}:{line}")


def test_all_faulty_handlers_are_named_at_once(stage: Stage) -> None:
    reason = refused(stage, route("/a"), route("/b", permission="shop.view"), route("/c", permission="shop.nope"))
    assert "2 faults" in reason.text
    assert "/a" in reason.text
    assert "/c" in reason.text
    assert "/b" not in reason.text


@pytest.mark.parametrize("permission", ["shop.view", "shop.item.edit", "contacts.view", "signed-in"])
def test_own_and_required_permissions_are_taken(stage: Stage, permission: str) -> None:
    assert stage.build(route(permission=permission)).routes[0].permission == permission


def test_a_misspelled_keyword_is_shown(stage: Stage) -> None:
    handler = bare_get("/x", permision="shop.view")(route().fn)
    assert "(but 'permision'?)" in refused(stage, handler).text


def test_the_innermost_permission_wins(stage: Stage) -> None:
    router = Router(
        "/r", route_handlers=[route("/a"), route("/b", permission="shop.create")], opt={"permission": "shop.view"}
    )
    assert [(info.path, info.permission) for info in stage.build(router).routes] == [
        ("/api/shop/r/a", "shop.view"),
        ("/api/shop/r/b", "shop.create"),
    ]


def test_a_controller_declares_for_its_handlers(stage: Stage) -> None:
    class Things(Controller):
        path = "/things"
        opt = {"permission": "shop.view"}  # noqa: RUF012 - Litestar's way

        @get()
        async def all_things(self, actor: Actor) -> str:
            return actor.id

    assert stage.build(Things).routes[0].handler == "all_things"


@pytest.mark.security
@pytest.mark.parametrize(
    ("handler", "words"),
    [
        (websocket("/ws")(talk), "(WS /ws)"),
        (bare_get("/x")(route().fn), "(GET /x)"),
        (AsgiApp(nothing, path="/app"), "AsgiApp(nothing)"),
        (asgi("/raw")(_annotated), "(* /raw)"),
        (create_static_files_router(path="/files", directories=["/tmp"]), "(GET /files/{file_path:path})"),
    ],
    ids=["websocket", "litestar", "AsgiApp", "asgi", "static"],
)
def test_every_kind_of_handler_must_declare(stage: Stage, handler: Any, words: str) -> None:
    reason = refused(stage, handler)
    assert reason.code == "permission_undeclared"
    assert words in reason.text


@pytest.mark.parametrize(
    ("listed", "path"),
    [
        (public("GET", "/hello"), "/hello"),
        (public("*", "/hello"), "/hello"),
        (public("GET", "/docs/*"), "/docs/{page:str}"),
        (public("GET", "/docs/*"), "/docs"),
        (public("GET", "/*"), "/"),
        (public("GET", "/{page:str}"), "/{page:str}"),
    ],
)
def test_a_listed_public_route_is_taken(stage: Stage, listed: tuple[PublicRoute, ...], path: str) -> None:
    def handler(page: str = "") -> None:
        """Do nothing."""

    assert stage.build(get(path, permission="public")(handler), public=listed).routes[0].permission == "public"


@pytest.mark.security
@pytest.mark.parametrize(
    ("listed", "path"),
    [
        (public("POST", "/hello"), "/hello"),
        (public("WS", "/hello"), "/hello"),
        (public("GET", "/hell"), "/hello"),
        (public("GET", "/hell/*"), "/hello"),
        (public("GET", "/hello"), "/hello/there"),
    ],
)
def test_a_public_route_that_is_listed_otherwise_is_refused(
    stage: Stage, listed: tuple[PublicRoute, ...], path: str
) -> None:
    assert refused(stage, route(path, permission="public"), public=listed).code == "public_unlisted"


@pytest.mark.security
def test_a_public_application_needs_all_of_its_paths_listed(stage: Stage) -> None:
    app = AsgiApp(nothing, path="/app", permission="public")
    assert refused(stage, app, public=public("*", "/app")).code == "public_unlisted"
    assert stage.build(app, public=public("*", "/app/*")).routes[0].path == "/api/shop/app/*"


# -- what weakens the host --------------------------------------------------------------------------------


@pytest.mark.security
@pytest.mark.parametrize("key", ["exclude_from_auth", "exclude_from_csrf", "skip_validation", "plugin_host.need"])
def test_keys_that_weaken_the_host_are_refused(stage: Stage, key: str) -> None:
    reason = refused(stage, route(permission="shop.view", opt={key: True}))
    assert reason.code == "hook_invalid"
    assert key in reason.text


@pytest.mark.security
def test_such_a_key_is_found_on_a_router_too(stage: Stage) -> None:
    router = Router("/r", route_handlers=[route(permission="shop.view")], opt={"exclude_from_auth": True})
    assert "exclude_from_auth" in refused(stage, router).text


@pytest.mark.security
def test_a_mount_is_refused_with_the_way_out(stage: Stage) -> None:
    mount = asgi("/m", is_mount=True, copy_scope=True, opt={"permission": "shop.view"})(_annotated)
    assert "use AsgiApp(" in refused(stage, mount).text


@pytest.mark.security
def test_a_cache_that_ignores_who_asks_is_refused(stage: Stage) -> None:
    handler = bare_get("/x", cache=60, opt={"permission": "shop.view"})(route().fn)
    assert "one person would get another's answer" in refused(stage, handler).text


def test_a_cache_with_a_key_of_its_own_is_taken(stage: Stage) -> None:
    def by_user(request: Request[Any, Any, Any]) -> str:
        return str(request.user.id)

    handler = bare_get("/x", cache=60, cache_key_builder=by_user, opt={"permission": "shop.view"})(route().fn)
    assert len(stage.build(handler).routes) == 1


@pytest.mark.security
def test_an_unlimited_body_is_refused(stage: Stage) -> None:
    assert "limit of the body" in refused(stage, route(permission="shop.view", request_max_body_size=None)).text


@pytest.mark.security
@pytest.mark.parametrize("path", ["/UPPER", "/a%2e", "/..", "/./x", "/a;b", "/ä", "/a b"])
def test_paths_with_a_second_spelling_are_refused(stage: Stage, path: str) -> None:
    assert "in its path" in refused(stage, route(path, permission="shop.view")).text


@pytest.mark.parametrize("path", ["/", "//x//", "/a-b_c.d~e", "/{ID:str}", "/.hidden", "/{rest:path}"])
def test_other_paths_are_taken(stage: Stage, path: str) -> None:
    def handler(ID: str = "", rest: str = "") -> None:  # noqa: N803 - parameters may be spelled as they like
        """Do nothing."""

    assert stage.build(get(path, permission="shop.view")(handler)).routes[0].path.startswith("/api/shop")


def test_an_application_with_a_parameter_in_its_path_is_refused(stage: Stage) -> None:
    assert "in its path" in refused(stage, AsgiApp(nothing, path="/{x:str}", permission="shop.view")).text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Litestar([], openapi_config=None, logging_config=None), "an object of Litestar"),
        (_annotated, f"the bare function _annotated ({HERE}"),
        (None, "None"),
        ("/x", "'/x'"),
        (dict, "an object of type"),
    ],
)
def test_what_is_no_handler_is_refused(stage: Stage, value: Any, words: str) -> None:
    reason = refused(stage, value)
    assert reason.code == "hook_invalid"
    assert words in reason.text
    assert "AsgiApp" in reason.way_out


def test_two_handlers_of_one_address_are_refused(stage: Stage) -> None:
    reason = refused(stage, route(permission="shop.view"), route(permission="shop.view"))
    assert reason.code == "hook_invalid"
    assert "two handlers answer GET /api/shop/x" in reason.text


@pytest.mark.security
def test_two_handlers_whose_addresses_only_look_different_are_refused(stage: Stage) -> None:
    async def one(first: str) -> None:
        """Do nothing."""

    async def other(second: int) -> None:
        """Do nothing."""

    reason = refused(
        stage,
        get("/{first:str}", permission="shop.view")(one),
        get("/{second:int}", permission="shop.create")(other),
    )
    assert "answers the same addresses as" in reason.text


def test_a_handler_may_have_several_paths(stage: Stage) -> None:
    handler = bare_get(["/a", "/b"], opt={"permission": "shop.view"})(route().fn)
    assert {info.path for info in stage.build(handler).routes} == {"/api/shop/a", "/api/shop/b"}


def test_what_litestar_refuses_is_told_in_its_words_and_with_the_place(stage: Stage) -> None:
    async def untyped(data: int):  # type: ignore[no-untyped-def]  # noqa: ANN202 - the point
        """Do nothing."""

    reason = refused(stage, post("/x", permission="shop.view")(untyped))
    assert reason.code == "hook_invalid"
    assert "should be type annotated" in reason.text
    assert place_of(untyped) in reason.text


def test_an_annotation_that_is_not_there_at_run_time_is_explained(stage: Stage) -> None:
    async def handler(thing: Missing) -> None:  # type: ignore[name-defined]  # noqa: F821 - the point
        """Do nothing."""

    reason = refused(stage, get("/x", permission="shop.view")(handler))
    assert "Missing" in reason.text
    assert "TYPE_CHECKING" in reason.way_out


# -- names ------------------------------------------------------------------------------------------------


class Repo:
    def __init__(self, db: AsyncSession) -> None:
        self.db = db


def make_repo(db: AsyncSession, actor: Actor) -> Repo:
    return Repo(db)


async def test_every_name_can_be_asked_for(stage: Stage) -> None:
    seen: dict[str, Any] = {}

    @get("/x", permission="shop.view")
    async def handler(
        actor: Actor,
        access: Access,
        db: AsyncSession,
        services: Services,
        settings: dict[str, str],
        log: logging.Logger,
        listing: Listing,
    ) -> None:
        seen.update(locals())

    async with stage.client(handler) as browser:
        await browser.get("/api/shop/x?q=lamp&limit=5&colour=red")
    work = stage.works[-1]
    assert (seen["actor"], seen["access"], seen["services"]) == (work.actor, work.access, work.services)
    assert isinstance(seen["db"], AsyncSession)
    assert seen["settings"] == {"colour": "red"}
    assert seen["log"].name == "plugin_host.plugins.shop"
    assert (seen["listing"].q, seen["listing"].limit, seen["listing"].filters) == ("lamp", 5, {"colour": "red"})


async def test_a_listing_leaves_out_what_the_handler_takes_itself(stage: Stage) -> None:
    seen: list[Any] = []

    @get("/x", permission="shop.view")
    async def handler(
        listing: Listing, colour: str, size: Annotated[int, QueryParameter(name="s")], shop_id: str = ""
    ) -> None:
        seen.append(listing.filters)

    async with stage.client(handler) as browser:
        await browser.get("/api/shop/x?colour=red&s=4&weight=2&shop_id=1")
    assert seen == [{"weight": "2"}]


async def test_a_wrong_listing_is_the_callers_fault(stage: Stage) -> None:
    @get("/x", permission="shop.view")
    async def handler(listing: Listing) -> None:
        """Do nothing."""

    async with stage.client(handler) as browser:
        wrong = await browser.get("/api/shop/x?limit=zero")
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["pointer"] == "/limit"


async def test_a_plugins_own_dependency_may_build_on_the_names(stage: Stage) -> None:
    dependencies = {"repo": Provide(make_repo, sync_to_thread=False)}

    @bare_get("/x", opt={"permission": "shop.view"}, dependencies=dependencies)
    async def handler(repo: Repo, log: logging.Logger) -> str:
        return type(repo.db).__name__

    async with stage.client(handler) as browser:
        assert (await browser.get("/api/shop/x")).text == "AsyncSession"


async def test_names_are_read_without_a_task_for_each(stage: Stage) -> None:
    @get("/x", permission="shop.view")
    async def handler(actor: Actor, access: Access, services: Services) -> None:
        """Do nothing."""

    (app_route,) = stage.build(handler).app.routes
    _, model = app_route.route_handler_map["GET"]  # type: ignore[union-attr] # an HTTP route
    assert model.dependency_batches == []


def test_a_sync_handler_may_ask_too(stage: Stage) -> None:
    def handler(actor: Actor) -> str:
        return actor.id

    assert stage.build(get("/x", permission="shop.view")(handler)).routes[0].place.startswith(HERE)


@pytest.mark.security
@pytest.mark.parametrize(
    ("annotation", "name", "words"),
    [
        (str, "actor", "takes 'actor' as str: under that name the host gives Actor"),
        (dict, "db", "takes 'db' as dict"),
        (int | None, "access", "takes 'access'"),
        (list[str], "events", "takes 'events'"),
        (str, "jobs", "takes 'jobs' as str: under that name the host gives Jobs"),
    ],
)
def test_a_parameter_that_misuses_a_name_is_refused(stage: Stage, annotation: Any, name: str, words: str) -> None:
    namespace: dict[str, Any] = {"__name__": __name__}
    exec(f"async def handler({name}): return None", namespace)  # noqa: S102 - the name is the parameter of the test
    handler = namespace["handler"]
    handler.__annotations__.update({name: annotation, "return": None})
    reason = refused(stage, get("/x", permission="shop.view")(handler))
    assert reason.code == "hook_invalid"
    assert words in reason.text


@pytest.mark.parametrize("annotation", [Actor, Any, object, Actor | None, Annotated[Actor, "the one who asks"]])
def test_a_parameter_that_takes_what_is_given_is_fine(stage: Stage, annotation: Any) -> None:
    async def handler(actor: Any) -> None:
        """Do nothing."""

    handler.__annotations__.update({"actor": annotation})
    assert len(stage.build(get("/x", permission="shop.view")(handler)).routes) == 1


def fake_actor() -> str:
    return "admin"


@pytest.mark.security
def test_a_dependency_that_shadows_a_name_is_refused(stage: Stage) -> None:
    dependencies = {"actor": Provide(fake_actor, sync_to_thread=False)}
    router = Router("/r", route_handlers=[route(permission="shop.view")], dependencies=dependencies)
    assert "declares 'actor' in its dependencies" in refused(stage, router).text


@pytest.mark.security
def test_a_layered_parameter_that_shadows_a_name_is_refused(stage: Stage) -> None:
    router = Router(
        "/r", route_handlers=[route(permission="shop.view")], parameters={"jobs": Parameter(str, required=False)}
    )
    assert "the following keys: jobs" in refused(stage, router).text  # Litestar's own refusal


def wrong_repo(actor: int) -> int:
    return actor


@pytest.mark.security
def test_a_dependency_that_misuses_a_name_is_refused(stage: Stage) -> None:
    dependencies = {"repo": Provide(wrong_repo, sync_to_thread=False)}

    @bare_get("/x", opt={"permission": "shop.view"}, dependencies=dependencies)
    async def handler(repo: int) -> None:
        """Do nothing."""

    assert "takes 'actor' as int" in refused(stage, handler).text


# -- building ---------------------------------------------------------------------------------------------


def test_routes_are_listed_for_operators(stage: Stage) -> None:
    @post("/items", permission="shop.create")
    async def add_item() -> None:
        """Add."""

    (info,) = stage.build(add_item).routes
    assert msgspec.structs.asdict(info) == {
        "method": "POST",
        "path": "/api/shop/items",
        "permission": "shop.create",
        "handler": "add_item",
        "place": place_of(add_item.fn),
        "operation": "add_item",
    }


def test_one_path_may_have_several_methods(stage: Stage) -> None:
    async def handler() -> None:
        """Do nothing."""

    built = stage.build(get("/x", permission="shop.view")(handler), post("/x", permission="shop.create")(handler))
    assert {(info.method, info.permission) for info in built.routes} == {("GET", "shop.view"), ("POST", "shop.create")}


def test_a_static_router_shows_its_get_only(stage: Stage, tmp_path: Path) -> None:
    files = create_static_files_router(path="/files", directories=[tmp_path], opt={"permission": "shop.view"})
    assert [info.method for info in stage.build(files).routes] == ["GET"]


def test_listeners_are_handlers_too(stage: Stage) -> None:
    @websocket_listener("/ears", opt={"permission": "shop.view"})
    async def ears(data: str) -> str:
        return data

    class Ears(WebsocketListener):
        path = "/more-ears"
        opt = {"permission": "shop.view"}  # noqa: RUF012 - Litestar's way

        async def on_receive(self, data: str) -> str:  # type: ignore[override] # narrower on purpose
            return data

    assert [info.method for info in stage.build(ears, Ears).routes] == ["WS", "WS"]


def test_the_same_handlers_can_be_built_again_and_for_another_host(stage: Stage) -> None:
    handlers = [route("/a", permission="shop.view"), route("/b", permission="signed-in")]
    first, second = stage.build(*handlers), stage.build(*handlers)
    assert first.routes == second.routes


def test_what_handlers_are_bound_to_is_not_copied(stage: Stage) -> None:
    class Shop:
        async def count(self) -> int:
            return 1

    shop = Shop()
    built = stage.build(get("/x", permission="shop.view")(shop.count))
    handler, _ = built.app.routes[0].route_handler_map["GET"]  # type: ignore[union-attr] # an HTTP route
    assert handler.fn.__self__ is shop  # type: ignore[attr-defined] # a bound method


def calls_to_build(stage: Stage, routes: int) -> int:
    handlers = [route(f"/r{n}", permission="shop.view") for n in range(routes)]
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        stage.build(*handlers)
    finally:
        sys.setprofile(None)
    return calls


def test_building_is_linear_in_the_routes(stage: Stage) -> None:
    calls_to_build(stage, 1)
    twenty, forty, eighty = (calls_to_build(stage, n) for n in (20, 40, 80))
    assert eighty - forty <= 2 * (forty - twenty) * 1.05


def test_an_empty_plugin_has_an_application_too(stage: Stage) -> None:
    assert build("shop", [], names=rules(), gate=stage.gate(), body_limit=1).routes == ()


def test_the_place_is_found_behind_what_wraps_a_function() -> None:
    from functools import wraps

    def inner() -> None:
        """Do nothing."""

    @wraps(inner)
    def outer() -> None:
        """Do nothing."""

    assert place_of(partial(outer)) == f"{HERE}:{inner.__code__.co_firstlineno}"


def test_what_has_no_line_has_a_module() -> None:
    assert place_of(len) == "builtins"


def test_form_routes_may_take_forms(stage: Stage) -> None:
    @post("/form", permission="shop.view")
    async def take(data: Annotated[dict[str, str], Body(media_type=RequestEncodingType.URL_ENCODED)]) -> None:
        """Take a form."""

    handlers = stage.build(take).app.routes[0].route_handlers  # type: ignore[union-attr] # an HTTP route
    assert [handler.opt[NEED].json for handler in handlers] == [False, False]


def test_the_providers_serve_those_who_ask_litestar(stage: Stage) -> None:
    assert set(PROVIDERS) == {"actor", "access", "db", "events", "jobs", "services", "settings", "log", "listing"}


def test_route_info_is_frozen() -> None:
    with pytest.raises(AttributeError):
        RouteInfo("GET", "/", "public", "f", "f.py:1").method = "POST"  # type: ignore[misc] # the point
