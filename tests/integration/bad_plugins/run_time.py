"""Run time: handlers that raise, hang, block, flood, and answer what is no answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from .making import Bad

HEAD: Final = """
import asyncio, time
from collections.abc import AsyncIterator
from litestar import Request, Response
from litestar.background_tasks import BackgroundTask
from litestar.exceptions import HTTPException
from litestar.response import Stream
from plugin_host.sdk import AsgiApp, get, hookimpl

class Doom(BaseException):
    pass

class Unspeakable(Exception):
    def __str__(self):
        raise SystemExit(4)
    __repr__ = __str__

def fail(*args, **named):
    raise RuntimeError("no luck")

def leave(*args, **named):
    raise SystemExit(3)

async def wait_and_leave():
    raise SystemExit(3)

async def half() -> AsyncIterator[bytes]:
    yield b"half"
    raise OSError("disc")

def start(**more):
    return {"type": "http.response.start", "status": 200, "headers": [], **more}

def body(**more):
    return {"type": "http.response.body", "body": b"x", **more}
"""

BROKEN: Final = 0
"""In place of a status: the connection was cut."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request that a plugin answers badly: it gets one of these statuses, and nobody else notices."""

    plugin: str
    what: str
    hooks: str
    answers: tuple[int, ...] = (500,)

    @property
    def bad(self) -> Bad:
        """The plugin, which is sound until it is called."""
        return Bad(plugin=self.plugin, what=self.what, state="active", hooks=f"{HEAD}{self.hooks}")


def route(plugin: str, what: str, text: str, *answers: int, options: str = "", word: str = "async def") -> Call:
    """Make a plugin whose one handler has this body."""
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    hooks = f'\n@get("/", permission="signed-in"{options})\n{word} handler() -> object:\n{lines}'
    hooks += "\n@hookimpl\ndef register_routes():\n    return [handler]\n"
    return Call(plugin=plugin, what=what, hooks=hooks, answers=answers or (500,))


def application(plugin: str, what: str, text: str, *answers: int) -> Call:
    """Make a plugin with a foreign application that has this body for HTTP."""
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    hooks = f"\nasync def app(scope, receive, send):\n    assert scope['type'] == 'http'\n{lines}"
    hooks += "\n@hookimpl\ndef register_routes():\n    return [AsgiApp(app, permission='signed-in')]\n"
    return Call(plugin=plugin, what=what, hooks=hooks, answers=answers or (500,))


THREAD: Final = ", sync_to_thread=True"

CALLS: Final = (
    route("callfails", "handler that raises", "fail()"),
    route("callexits", "handler that exits", "raise SystemExit(3)"),
    route("callstops", "handler with Ctrl+C", "raise KeyboardInterrupt"),
    route("calldoom", "handler with an exception of its own kind", "raise Doom"),
    route("callcancel", "handler that raises CancelledError", "raise asyncio.CancelledError"),
    route("callself", "handler that cancels itself", "asyncio.current_task().cancel()\nawait asyncio.sleep(9)"),
    route("callgen", "handler that raises GeneratorExit", "raise GeneratorExit"),
    route("callstopit", "handler that raises StopAsyncIteration", "raise StopAsyncIteration"),
    route("callsilent", "exception whose text exits", "raise Unspeakable"),
    route("plainfails", "plain handler that raises", "fail()", options=THREAD, word="def"),
    route("plainexits", "plain handler that exits", "raise SystemExit(3)", options=THREAD, word="def"),
    route("plainstops", "plain handler with Ctrl+C", "raise KeyboardInterrupt", options=THREAD, word="def"),
    route("plaindoom", "plain handler with its own kind", "raise Doom", options=THREAD, word="def"),
    route("plainstopit", "plain handler that raises StopIteration", "raise StopIteration", options=THREAD, word="def"),
    route("serial", "answer that is no JSON", "return {'x': object()}"),
    route("circular", "answer that holds itself", "x = []\nx.append(x)\nreturn {'x': x}"),
    route("statusless", "status that is none", "raise HTTPException(status_code=99)", 500),
    route("guarded", "guard that exits", "return {}", options=", guards=[leave]"),
    route(
        "handlerless", "exception handler that raises", "fail()", options=", exception_handlers={RuntimeError: fail}"
    ),
    route(
        "handlerexit", "exception handler that exits", "fail()", options=", exception_handlers={RuntimeError: leave}"
    ),
    route("after", "hook after the request that raises", "return {}", options=", after_request=fail"),
    route("afterall", "hook after the answer that raises", "return {}", 200, BROKEN, options=", after_response=fail"),
    route(
        "background",
        "task after the answer that exits",
        "return Response({}, background=BackgroundTask(leave))",
        200,
        BROKEN,
    ),
    route("halfstream", "stream that breaks half-way", "return Stream(half())", 200, BROKEN, 500),
    route(
        "ownway",
        "task of its own that exits",
        "asyncio.create_task(wait_and_leave())\nawait asyncio.sleep(0.1)\nreturn {}",
        200,
    ),
    route(
        "callback",
        "callback of the loop that exits",
        "asyncio.get_running_loop().call_soon(leave)\nawait asyncio.sleep(0.1)\nreturn {}",
        200,
    ),
    route(
        "headers",
        "header with a line end",
        "return Response({}, headers={'x-bad': 'a\\r\\nset-cookie: b=c'})",
        500,
        BROKEN,
    ),
    application("appfails", "application that raises", "fail()"),
    application("appexits", "application that exits", "leave()"),
    application("appsilent", "application that answers nothing", "return", 500),
    application("appwords", "message that is no message", "await send('hello')"),
    application("apptypes", "message of a type that is none", "await send({'type': 'http.response.hello'})"),
    application("appbody", "body before the start", "await send(body())"),
    application("apptwice", "two starts", "await send(start())\nawait send(start())", 500, 200, BROKEN),
    application(
        "appafter", "body after the end", "await send(start())\nawait send(body())\nawait send(body())", 200, BROKEN
    ),
    application("apphalf", "application that raises after the start", "await send(start())\nfail()", 500, 200, BROKEN),
    application(
        "appends",
        "application that never ends its answer",
        "await send(start())\nawait send(body(more_body=True))",
        200,
        500,
        BROKEN,
    ),
    application(
        "appstatus", "status that is a word", "await send(start(status='fine'))\nawait send(body())", 500, BROKEN
    ),
    application(
        "apptext", "headers as text", "await send(start(headers=[('a', 'b')]))\nawait send(body())", 500, BROKEN
    ),
    application(
        "appinject",
        "application with a line end in a header",
        "await send(start(headers=[(b'a', b'b\\r\\nc: d')]))\nawait send(body())",
        500,
        BROKEN,
    ),
    application(
        "apphuge",
        "header of a megabyte",
        "await send(start(headers=[(b'a', b'x' * 1_000_000)]))\nawait send(body())",
        200,
        500,
        BROKEN,
    ),
    application(
        "applength",
        "less than it announced",
        "await send(start(headers=[(b'content-length', b'99')]))\nawait send(body())",
        200,
        500,
        BROKEN,
    ),
    application(
        "appscope",
        "application that empties the scope",
        "scope.clear()\nawait send(start())\nawait send(body())",
        200,
        500,
    ),
)

HANGS: Final = route("hanging", "handler that never answers", "await asyncio.sleep(3600)", 503)
DEAF: Final = route(
    "hangdeaf",
    "handler that never answers and will not be cancelled",
    "while True:\n    try:\n        await asyncio.sleep(3600)\n    except asyncio.CancelledError:\n        pass",
    503,
)
SLEEPS: Final = route(
    "sleeping", "plain handler that never answers", "time.sleep(3600)", 503, options=THREAD, word="def"
)
BLOCKS: Final = route("blocking", "asynchronous handler that blocks everybody", "time.sleep(0.7)\nreturn {}", 200)
LEAKS: Final = Call(
    plugin="leaking",
    what="handler that fails more often than not",
    hooks="""
@get("/", permission="signed-in")
async def handler() -> object:
    fail()

@get("/fine", permission="signed-in")
async def fine() -> object:
    return {}

@hookimpl
def register_routes():
    return [handler, fine]
""",
)
CROWDED: Final = route(
    "crowded", "handler of which many are under way", "await asyncio.sleep(0.8)\nreturn {}", 200, 503
)
THREADS: Final = route(
    "threading", "plain handlers that take every thread", "time.sleep(0.8)\nreturn {}", 200, options=THREAD, word="def"
)
SOCKETS: Final = Call(
    plugin="sockets",
    what="WebSockets that exit, raise and hang up twice",
    hooks="""
from litestar import WebSocket
from plugin_host.sdk import websocket

@websocket("/exits", permission="signed-in")
async def exits(socket: WebSocket) -> None:
    await socket.accept()
    raise SystemExit(3)

@websocket("/raises", permission="signed-in")
async def raises(socket: WebSocket) -> None:
    await socket.accept()
    fail()

@websocket("/twice", permission="signed-in")
async def twice(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close()
    await socket.close()

@websocket("/early", permission="signed-in")
async def early(socket: WebSocket) -> None:
    await socket.send_text("before it was accepted")

@hookimpl
def register_routes():
    return [exits, raises, twice, early]
""",
)
OTHERS: Final = (HANGS, DEAF, SLEEPS, BLOCKS, LEAKS, CROWDED, THREADS, SOCKETS)
