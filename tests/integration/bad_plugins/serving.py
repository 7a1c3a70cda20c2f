"""Real servers for bad plugins: a process with a site folder of its own, and somebody who asks the healthy one."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from .making import Bad, build

NO_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Made once: making it takes longer than a request, and nothing here is encrypted."""
SHOWABLE: Final = 2000
"""Characters that a reason may have: somebody is to read it."""
PASSWORD: Final = "correct-horse-battery"

GOOD_HOOKS: Final = """
from plugin_host.sdk import get, hookimpl
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

@get("/", permission="good.view")
async def hello() -> dict[str, str]:
    return {"hello": "world"}

@get("/rows", permission="good.view")
async def rows(db: AsyncSession) -> dict[str, int]:
    return {"rows": (await db.execute(text("SELECT count(*) FROM good_note"))).scalar_one()}

@get("/thread", permission="good.view", sync_to_thread=True)
def thread() -> dict[str, str]:
    return {"hello": "thread"}

@hookimpl
def register_routes():
    return [hello, rows, thread]

@hookimpl
def shutdown():
    print("good was stopped", flush=True)
"""

PAGE: Final = """
export async function mount(element, host) {
  const answer = await host.api("/");
  const line = document.createElement("p");
  line.textContent = `Good says hello ${answer.hello}`;
  element.append(line);
  return () => line.remove();
}
"""

GOOD: Final = Bad(
    plugin="good",
    what="the healthy plugin",
    state="active",
    keys={
        "ui": {
            "screens": [
                {"id": "all", "title": "Good things", "kind": "module", "entry": "ui/all.js", "permission": "good.view"}
            ]
        }
    },
    permissions={"permissions": [{"name": "good.view", "title": "See"}]},
    menu={"items": [{"id": "good.all", "screen": "all"}]},
    hooks=GOOD_HOOKS,
    files={
        "ui/all.js": PAGE,
        "migrations/0001_note.py": "import sqlalchemy as sa\nfrom alembic import op\n\ndef upgrade() -> None:\n"
        "    op.create_table('good_note', sa.Column('id', sa.Integer, primary_key=True))\n",
    },
)

HEALTHY: Final = {
    "/api/good": {"hello": "world"},
    "/api/good/rows": {"rows": 0},
    "/api/good/thread": {"hello": "thread"},
}
"""What the healthy plugin answers."""


@dataclass
class Host:
    """A server process beside its folders; `printed` is what it wrote until now."""

    root: Path
    process: subprocess.Popen[bytes] | None = None
    address: str = ""
    cookies: httpx.Cookies = field(default_factory=httpx.Cookies)

    @property
    def site(self) -> Path:
        """Where its wheels are installed."""
        return self.root / "site"

    @property
    def folders(self) -> Path:
        """Where its folder plugins lie."""
        return self.root / "folders"

    @property
    def printed(self) -> str:
        """What it wrote until now; a plugin may have written anything."""
        return (self.root / "printed").read_text(errors="replace") if (self.root / "printed").exists() else ""

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its processes: the wheels are found on the path, as in a site-packages."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PLUGIN_HOST_")}
        return {**kept, "PYTHONPATH": str(self.site), "PYTHONDONTWRITEBYTECODE": "1"}

    def install(self, plugins: Iterable[Bad], **limits: float) -> None:
        """Build and install plugins and the healthy one, and write the settings."""
        plugins = (GOOD, *plugins)
        self.folders.mkdir(parents=True)
        build(plugins, self.site, self.folders)
        tables = "".join(f"[plugins.{bad.plugin}]\n{bad.settings}\n" for bad in plugins if bad.settings)
        said = "".join(f"{key} = {value}\n" for key, value in limits.items())
        loader = f'[loader]\nfolders = ["{self.folders}"]\ndisabled = ["contacts", "invoicing"]\n'
        absent = '[plugins.absent]\ncolour = "red"\n'  # of a plugin that is not there: kept, and no fault
        (self.root / "plugin-host.toml").write_text(
            f"{loader}[server]\ngraceful_timeout = 2\n[limits]\n{said}\n{tables}\n{absent}"
        )

    def start(self, *words: str) -> bool:
        """Start the server; False if it ended before it listened."""
        output = (self.root / "printed").open("ab")
        begun = output.tell()
        with output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "plugin_host", "serve", "--port", "0", *words],
                cwd=self.root,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        until = time.monotonic() + 120
        while self.process.poll() is None:
            if found := re.search(r"running at (http://\S+)", self.printed[begun:]):
                self.address = found[1]
                return True
            assert time.monotonic() < until, f"did not listen:\n{self.printed}"
            time.sleep(0.05)
        return False

    def sign_in(self) -> None:
        """Make the administrator, the first time; sign in."""
        if code := re.search(r"Set-up code: (\S+)", self.printed):
            said = {"code": code[1], "username": "root", "password": PASSWORD}
            self.post("/api/core/setup", json=said)
        answer = self.post("/api/core/auth/login", json={"username": "root", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        self.cookies = answer.cookies

    def client(self) -> httpx.Client:
        """Make a browser-like client that has signed in."""
        headers = {"sec-fetch-site": "same-origin"}
        return httpx.Client(base_url=self.address, headers=headers, cookies=self.cookies, timeout=10, verify=NO_TLS)

    def get(self, path: str) -> httpx.Response:
        """Ask for something as the administrator, over a connection of its own."""
        with self.client() as client:
            return client.get(path)

    def post(self, path: str, **said: Any) -> httpx.Response:
        """Do something as the administrator."""
        with self.client() as client:
            return client.post(path, **said)

    def plugins(self) -> dict[str, dict[str, Any]]:
        """Give every plugin by its id, as the API shows it."""
        return {item["id"]: item for item in self.get("/api/core/plugins").json()["items"]}

    def verdict(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Give what is shown of a plugin, in the shape of `expected`."""
        reason = entry["reason"] or {"code": None, "text": "", "way_out": "", "culprits": []}
        return {"state": entry["state"], **reason, "restart_needed": entry["restart_needed"]}

    def expected(self, bad: Bad, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Give what should be shown: the whole text and way out where they hold the words that they should."""
        shown = self.verdict(entry)
        words = {"text": self.here(bad.says), "way_out": self.here(bad.way_out)}
        culprits = (bad.culprits or (bad.plugin,)) if bad.code is not None else ()
        return {
            "state": bad.state,
            "code": bad.code,
            **{
                key: shown[key] if word in shown[key] and len(shown[key]) < SHOWABLE else word
                for key, word in words.items()
            },
            "culprits": [self.here(each) for each in culprits],
            "restart_needed": bad.restart_needed,
        }

    def here(self, text: str) -> str:
        """Put this host's folders into a text."""
        return text.replace("{site}", str(self.site)).replace("{folders}", str(self.folders))

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the server."""
        return subprocess.run(
            [sys.executable, "-m", "plugin_host", *words],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def end(self) -> int:
        """Ask the server to end, and give its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """End the server, whatever it does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)


@dataclass
class Asker:
    """Asks the healthy plugin again and again; `failures` are the answers that were not what they should be."""

    host: Host
    asked: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Ask in a thread until the end of the block."""
        enough = threading.Event()
        thread = threading.Thread(target=self._ask, args=(enough,))
        thread.start()
        try:
            yield
        finally:
            enough.set()
            thread.join(60)

    def _ask(self, enough: threading.Event) -> None:
        with self.host.client() as client:
            while not enough.is_set():
                for path, expected in HEALTHY.items():
                    begun = time.monotonic()
                    try:
                        said = expect(client.get(path), expected)
                    except httpx.HTTPError as error:
                        said = f"{path}: {error!r}"
                    self.slowest = max(self.slowest, time.monotonic() - begun)
                    self.asked += 1
                    if said:
                        self.failures.append(said)
                enough.wait(0.05)


def expect(answer: httpx.Response, expected: Mapping[str, Any]) -> str:
    """Say what is wrong with an answer; nothing if it is as it should be."""
    if answer.status_code == 200 and answer.json() == expected:
        return ""
    return f"{answer.url}: {answer.status_code} {answer.text[:300]}"


def healthy(host: Host) -> list[str]:
    """Ask the healthy plugin once for everything, with its page and its module; give what is wrong."""
    with host.client() as client:
        wrong = [expect(client.get(path), expected) for path, expected in HEALTHY.items()]
        page = client.get("/good", headers={"accept": "text/html"})
        if page.status_code != 200 or "<html" not in page.text:
            wrong.append(f"its page: {page.status_code}")
        shell = client.get("/api/core/shell").json()
        entry = next((screen["entry"] for screen in shell["screens"] if screen["plugin"] == "good"), "")
        module = client.get(entry)
        if module.status_code != 200 or "Good says" not in module.text:
            wrong.append(f"its module {entry!r}: {module.status_code}")
        if "good.all" not in json.dumps(shell["menu"]):
            wrong.append("its menu item is missing")
    return [each for each in wrong if each]
