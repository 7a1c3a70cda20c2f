"""How the code behaves towards everybody else: it does not block, commit, work at import, or end the process."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final

from plugin_host.core.checking.finding import Finding, finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from plugin_host.core.checking.sources import Module
    from plugin_host.core.checking.subject import Subject

_BLOCKING: Final = frozenset(
    "open input time.sleep os.system os.popen os.waitpid socket.create_connection urllib.request.urlopen "
    "subprocess.run subprocess.call subprocess.check_call subprocess.check_output subprocess.getoutput "
    "sqlite3.connect shutil.copytree shutil.rmtree".split()
)
_BLOCKING_CLIENTS: Final = ("requests.", "httpx.")
_VERBS: Final = frozenset("get post put patch delete head options request stream".split())
_ENDING: Final = frozenset({"os._exit", "os.abort"})
_WORK: Final = frozenset(
    "sys.exit exit quit os.fork os.system os.popen time.sleep asyncio.run threading.Thread threading.Timer "
    "multiprocessing.Process multiprocessing.Pool signal.signal signal.alarm subprocess.Popen subprocess.run "
    "subprocess.call subprocess.check_call subprocess.check_output urllib.request.urlopen os.chdir "
    "socket.create_connection sqlite3.connect".split()
)
_SESSIONS: Final = ("db", "session")
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def find(subject: Subject) -> Iterator[Finding]:
    """Find calls that harm others."""
    for module in subject.sources:
        for node in module.nodes:
            if isinstance(node, ast.AsyncFunctionDef) or _stays_on_the_loop(node):
                yield from _blocking(module, node)
            elif isinstance(node, ast.Call):
                yield from _harmful(module, node)
        yield from _at_import(module, module.tree.body)


def _stays_on_the_loop(node: ast.AST) -> bool:
    """Tell whether a plain function is a handler that asked not to be run in a thread."""
    return isinstance(node, ast.FunctionDef) and any(
        keyword.arg == "sync_to_thread" and isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        for keyword in decorator.keywords
    )


def _blocking(module: Module, function: ast.AST) -> Iterator[Finding]:
    name = getattr(function, "name", "")
    for call in _calls(getattr(function, "body", [])):
        spelled = module.dotted(call.func)
        if spelled in _BLOCKING or (spelled.startswith(_BLOCKING_CLIENTS) and spelled.split(".")[-1] in _VERBS):
            text = f"{name} waits in {spelled}() on the event loop, and everybody waits with it"
            way_out = "Await an asynchronous call, or hand it to a thread: await asyncio.to_thread(…)."
            yield finding("PH306", text, way_out, module.label, call.lineno)


def _harmful(module: Module, call: ast.Call) -> Iterator[Finding]:
    spelled = module.dotted(call.func)
    own = spelled == "os.kill" and any(isinstance(each, ast.Call) and _is_own(module, each) for each in call.args[:1])
    if spelled in _ENDING or own:
        way_out = "Raise an exception: the host parks the plugin and goes on."
        yield finding("PH309", f"{spelled}() ends the host's process", way_out, module.label, call.lineno)
    owner, _, verb = spelled.rpartition(".")
    if verb in ("commit", "rollback") and owner.rpartition(".")[2] in _SESSIONS:
        text = f"{owner}.{verb}(): plugins never commit"
        way_out = "Take it out; `await db.flush()` if you need keys. Raise an exception to roll back."
        yield finding("PH307", text, way_out, module.label, call.lineno)


def _is_own(module: Module, call: ast.Call) -> bool:
    return module.dotted(call.func) == "os.getpid"


def _at_import(module: Module, body: Iterable[ast.stmt]) -> Iterator[Finding]:
    for statement in body:
        if isinstance(statement, ast.If) and _is_main(statement.test):
            continue
        for call in _calls([statement]):
            spelled = module.dotted(call.func)
            if spelled in _WORK or (spelled.startswith("requests.") and spelled.split(".")[-1] in _VERBS):
                text = f"{spelled}() is called while the module is imported"
                way_out = "Move it into `startup`, and end it in `shutdown`."
                yield finding("PH308", text, way_out, module.label, call.lineno)


def _is_main(test: ast.expr) -> bool:
    return isinstance(test, ast.Compare) and isinstance(test.left, ast.Name) and test.left.id == "__name__"


def _calls(body: Iterable[ast.AST]) -> Iterator[ast.Call]:
    """Give the calls that are made when these statements run: not those in functions defined there."""
    for node in body:
        if isinstance(node, _FUNCTIONS):
            if not isinstance(node, ast.Lambda):
                yield from _calls(node.decorator_list)
            continue
        if isinstance(node, ast.Call):
            yield node
        yield from _calls(ast.iter_child_nodes(node))
