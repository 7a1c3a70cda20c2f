"""`plugin-host plan --with`: what installing a wheel would do, without installing, importing or writing anything."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

BOOM: Final = "raise SystemExit('a plan imported the plugin')\n"
REVISION: Final = "from alembic import op\n\ndef upgrade() -> None:\n    op.execute('CREATE TABLE {0} (id INTEGER)')\n"


def build(
    folder: Path,
    plugin: str,
    release: str = "1.0",
    files: Mapping[str, str] | None = None,
    *,
    name: str | None = None,
    metadata: str = "",
    permissions: Any = None,
    **keys: Any,
) -> Path:
    """Write a wheel whose code must never run."""
    name = name or f"host_{plugin}"
    package = f"host_{plugin}"
    manifest = {"id": plugin, "name": plugin.title(), "requires": {"core": ">=1.0,<2"}, **keys}
    info = f"{name}-{release}.dist-info"
    members = {
        f"{package}/__init__.py": BOOM,
        f"{package}/hooks.py": BOOM,
        f"{package}/plugin.json": json.dumps(manifest),
        **({f"{package}/permissions.json": json.dumps(permissions)} if permissions is not None else {}),
        **{f"{package}/{path}": text for path, text in (files or {}).items()},
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {release}\n{metadata}",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[plugin_host.plugins]\n{plugin} = {package}.hooks\n",
        f"{info}/RECORD": "",
    }
    wheel = folder / f"{name}-{release}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for path, text in members.items():
            file.writestr(path, text)
    return wheel


class Desk:
    """An operator's folder: a site where wheels are installed, a temporary folder, and the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.site = folder / "site"
        self.temp = folder / "temp"
        for each in (self.site, self.temp):
            each.mkdir()

    def install(self, wheel: Path) -> None:
        with zipfile.ZipFile(wheel) as file:
            file.extractall(self.site)

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("PLUGIN_HOST_")}
        path = os.pathsep.join(filter(None, (str(self.site), kept.get("PYTHONPATH"))))
        return subprocess.run(
            [sys.executable, "-m", "plugin_host", *words],
            cwd=self.folder,
            env={**kept, "PYTHONPATH": path, "TMPDIR": str(self.temp), **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def plan(self, *places: Path, code: int = 0, **variables: str) -> dict[str, Any]:
        """Plan with wheels or folders, and check that nothing is left behind; gives the document."""
        before = digest(self.folder)
        words = [word for place in places for word in ("--with", str(place))]
        done = self.run("plan", "--json", *words, **variables)
        assert done.returncode == code, done.stdout + done.stderr
        assert digest(self.folder) == before
        document: dict[str, Any] = json.loads(done.stdout)
        document["warnings"] = done.stderr
        return document


def digest(folder: Path) -> str:
    """Give a hash of everything in a folder; what Python compiled for itself is not looked at."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if "__pycache__" not in path.parts:
            whole.update(str(path).encode() + (path.read_bytes() if path.is_file() else b""))
    return whole.hexdigest()


def item(document: dict[str, Any], plugin: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in document["items"] if each["id"] == plugin)
    return found


def change(document: dict[str, Any], plugin: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in document["difference"]["plugins"] if each["id"] == plugin)
    return found


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def shop(tmp_path: Path, desk: Desk) -> Path:
    """Give the folder where wheels are that are not installed."""
    (tmp_path / "shop").mkdir()
    return tmp_path / "shop"


# -- what is planned ---------------------------------------------------------------------------------------------


def test_a_new_plugin_is_planned_with_all_that_it_brings(desk: Desk, shop: Path) -> None:
    wheel = build(
        shop,
        "hello",
        files={"migrations/0001_first.py": REVISION.format("hello_thing")},
        permissions={
            "permissions": [{"name": "hello.view", "title": "See"}],
            "public": [{"method": "GET", "path": "/hi", "reason": "a greeting"}],
        },
        events={"publishes": ["hello.said"], "subscribes": ["core.user.created"]},
    )
    document = desk.plan(wheel)
    assert document["difference"]["starts"] == ["hello"]
    told = change(document, "hello")
    assert told["permissions"]["new"] == ["hello.view"]
    assert told["public"]["new"] == ["GET /hi"]
    assert told["publishes"]["new"] == ["hello.said"]
    assert told["subscribes"]["new"] == ["core.user.created"]
    assert told["migrations"] == ["hello_0001"]
    assert (item(document, "hello")["state"], item(document, "hello")["place"]) == ("active", str(wheel))


def test_an_upgrade_takes_the_place_of_what_is_installed(desk: Desk, shop: Path) -> None:
    desk.install(build(shop, "hello", "1.0", permissions={"permissions": [{"name": "hello.view", "title": "See"}]}))
    newer = build(shop, "hello", "2.0", permissions={"permissions": [{"name": "hello.edit", "title": "Change"}]})
    told = change(desk.plan(newer), "hello")
    assert (told["before"]["version"], told["after"]["version"]) == ("1.0", "2.0")
    assert told["permissions"] == {"new": ["hello.edit"], "gone": ["hello.view"], "changed": []}


def test_only_the_revisions_that_are_not_applied_would_run(desk: Desk, shop: Path) -> None:
    files = {"migrations/0001_first.py": REVISION.format("hello_one"), "__init__.py": "", "hooks.py": ""}
    desk.install(build(shop, "hello", "1.0", files=files))
    assert desk.run("migrate").returncode == 0
    more = {**files, "migrations/0002_second.py": REVISION.format("hello_two"), "hooks.py": BOOM}
    document = desk.plan(build(shop, "hello", "2.0", files=more))
    assert change(document, "hello")["migrations"] == ["hello_0002"]


def test_an_older_wheel_does_not_run_on_newer_tables(desk: Desk, shop: Path) -> None:
    files = {"migrations/0001_first.py": REVISION.format("hello_one"), "__init__.py": "", "hooks.py": ""}
    desk.install(build(shop, "hello", "2.0", files=files))
    assert desk.run("migrate").returncode == 0
    document = desk.plan(build(shop, "hello", "1.0"), code=1)
    assert item(document, "hello")["reason"]["code"] == "schema_newer"
    assert document["difference"]["stops"] == ["hello"]


def test_several_wheels_are_planned_together(desk: Desk, shop: Path) -> None:
    base = build(shop, "base", "2.0")
    child = build(shop, "child", requires={"core": ">=1", "base": ">=2"}, metadata="Requires-Dist: host-base>=2\n")
    assert desk.plan(child, code=1)["difference"]["starts"] == []
    both = desk.plan(child, base)
    assert both["difference"]["starts"] == ["base", "child"]
    assert both["warnings"] == ""


def test_a_folder_is_planned_too(desk: Desk, folder_plugin: Callable[..., Path]) -> None:
    folder = folder_plugin("hello", BOOM) / "hello"
    assert desk.plan(folder)["difference"]["starts"] == ["hello"]


# -- what would not run ------------------------------------------------------------------------------------------


def test_what_depends_on_an_older_version_would_stop(desk: Desk, shop: Path) -> None:
    desk.install(build(shop, "base", "1.0"))
    desk.install(build(shop, "child", requires={"core": ">=1", "base": "<2"}))
    document = desk.plan(build(shop, "base", "2.0"), code=1)
    assert document["difference"]["stops"] == ["child"]
    assert change(document, "child")["after"]["reason"]["code"] == "dependency_incompatible"


@pytest.mark.security
def test_another_distribution_of_an_id_is_a_clash_not_an_upgrade(desk: Desk, shop: Path) -> None:
    desk.install(build(shop, "hello"))
    document = desk.plan(build(shop, "hello", "2.0", name="host_evil"), code=1)
    reason = item(document, "hello")["reason"]
    assert (reason["code"], len(reason["culprits"])) == ("duplicate_id", 2)
    assert document["difference"]["stops"] == ["hello"]


@pytest.mark.security
def test_an_imitation_of_an_installed_plugin_would_not_run(desk: Desk, shop: Path) -> None:
    desk.install(build(shop, "desk"))
    document = desk.plan(build(shop, "d0sk", id="d0sk"), build(shop, "o0ps"), build(shop, "oops"), code=1)
    assert [(each["id"], each["state"]) for each in document["items"][-1:]] == [("o0ps@host_o0ps", "refused")]
    assert {"desk", "d0sk", "oops"} <= {each["id"] for each in document["items"] if each["state"] == "active"}


@pytest.mark.parametrize(
    ("metadata", "keys", "code"),
    [
        ("Requires-Python: >=99\n", {}, "dependency_incompatible"),
        ("Requires-Dist: plugin-host>=99\n", {}, "core_incompatible"),
        ("", {"requires": {"core": ">=9"}}, "core_incompatible"),
        ("", {"requires": {"core": ">=1", "nobody": ""}}, "dependency_missing"),
        ("", {"version": "3.0"}, "version_mismatch"),
        ("", {"isolation": ["remote"]}, "remote_not_supported"),
        ("", {"colour": "red"}, "manifest_invalid"),
    ],
)
def test_a_wheel_that_would_not_run_says_why(
    desk: Desk, shop: Path, metadata: str, keys: dict[str, Any], code: str
) -> None:
    document = desk.plan(build(shop, "hello", metadata=metadata, **keys), code=1)
    assert (item(document, "hello")["state"], item(document, "hello")["reason"]["code"]) == ("refused", code)


def test_a_library_that_is_missing_is_a_warning(desk: Desk, shop: Path) -> None:
    document = desk.plan(build(shop, "hello", metadata="Requires-Dist: no-such-thing>=2\n"))
    assert "requires no-such-thing>=2, which is not installed: install that with it." in document["warnings"]


def test_a_disabled_plugin_would_not_run(desk: Desk, shop: Path) -> None:
    document = desk.plan(build(shop, "hello"), code=1, PLUGIN_HOST_LOADER__DISABLED='["hello"]')
    assert item(document, "hello")["reason"]["code"] == "disabled_by_settings"


def test_a_plugin_that_nobody_consented_to_would_not_run_yet(desk: Desk, shop: Path) -> None:
    document = desk.plan(build(shop, "hello"), code=1, PLUGIN_HOST_LOADER__DEFAULT="ask")
    assert item(document, "hello")["state"] == "consent"


# A revision is read, not run: one that cannot be read is a fault of its plugin, whatever Python says about it.
BROKEN: Final = {
    "syntax": "def",
    "deep": f"x = {'-' * 100_000}1\ndef upgrade() -> None: ...\n",
    "long": f"x = {'+'.join(['1'] * 100_000)}\ndef upgrade() -> None: ...\n",
    "no key": "needs = {[1]: 2}\ndef upgrade() -> None: ...\n",
}


@pytest.mark.security
@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_revision_that_cannot_be_read_is_a_fault(desk: Desk, shop: Path, text: str) -> None:
    document = desk.plan(build(shop, "hello", files={"migrations/0001_x.py": text}), code=1)
    reason = item(document, "hello")["reason"]
    assert reason["code"] == "migration_failed"
    assert "host_hello-1.0-py3-none-any.whl/host_hello/migrations/0001_x.py" in reason["text"]


# -- what is no plugin -------------------------------------------------------------------------------------------


def garbage(folder: Path) -> Iterator[Path]:
    """Write things that are no plugins."""
    (folder / "empty.whl").touch()
    (folder / "text.whl").write_text("no zip at all")
    (folder / "cut.whl").write_bytes(build(folder, "cut").read_bytes()[:-40])
    with zipfile.ZipFile(folder / "link.whl", "w") as file:
        link = zipfile.ZipInfo("a.py")
        link.external_attr = 0o120777 << 16
        file.writestr(link, "/etc/passwd")
    with zipfile.ZipFile(folder / "out.whl", "w") as file:
        file.writestr("../out.py", "")
    with zipfile.ZipFile(folder / "bomb.whl", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a.py", "0" * 10_000_000)
    with zipfile.ZipFile(folder / "library.whl", "w") as file:
        file.writestr("library-1.0.dist-info/METADATA", "Name: library\nVersion: 1.0\n")
    (folder / "nothing").mkdir()
    os.mkfifo(folder / "pipe.whl")
    for name in ("empty", "text", "cut", "link", "out", "bomb", "library", "pipe", "gone"):
        yield folder / f"{name}.whl"
    yield folder / "nothing"


@pytest.mark.security
def test_what_is_no_plugin_is_one_line(desk: Desk, shop: Path) -> None:
    for path in garbage(shop):
        before = digest(desk.folder) if not path.name.startswith("pipe") else None
        done = desk.run("plan", "--with", str(path))
        assert (done.returncode, done.stdout, len(done.stderr.strip().splitlines())) == (1, "", 1), path
        assert path.name in done.stderr
        assert before is None or digest(desk.folder) == before
    assert list(desk.temp.iterdir()) == []


# -- how it is told ----------------------------------------------------------------------------------------------


def test_the_difference_is_told_in_lines(desk: Desk, shop: Path) -> None:
    desk.install(build(shop, "base", "1.0"))
    desk.install(build(shop, "child", requires={"core": ">=1", "base": "<2"}))
    done = desk.run("plan", "--with", str(build(shop, "base", "2.0")))
    assert done.returncode == 1
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert lines[0] == "base 1.0 → 2.0: active"
    assert "child 1.0: active → refused" in lines
    assert lines[-2:] == ["These run now and would stop: child.", "base would run."]


def test_nothing_new_is_told(desk: Desk, shop: Path) -> None:
    wheel = build(shop, "hello")
    desk.install(wheel)
    done = desk.run("plan", "--with", str(wheel))
    assert (done.returncode, done.stdout.splitlines()) == (0, ["Nothing would change.", "hello would run."])


def test_a_remote_plugin_is_shown_as_refused(desk: Desk) -> None:
    document = desk.run("plan", "--json", PLUGIN_HOST_REMOTE__MAIL__URL="https://apps.example.org")
    mail = item(json.loads(document.stdout), "mail")
    assert (mail["state"], mail["source"], mail["isolation"]) == ("refused", "remote", ["remote"])
    assert (mail["reason"]["code"], mail["place"]) == ("remote_not_supported", "remote https://apps.example.org")
    listed = json.loads(desk.run("plugins", "list", "--json", PLUGIN_HOST_REMOTE__MAIL__URL="https://x.org").stdout)
    assert item(listed, "mail")["reason"]["code"] == "remote_not_supported"


def test_a_plan_with_a_wheel_needs_no_web_stack(desk: Desk, shop: Path) -> None:
    code = (
        "import sys\nfrom plugin_host.cli.main import main\n"
        f"try:\n    main(['plan', '--with', {str(build(shop, 'hello'))!r}])\nexcept SystemExit as stop:\n"
        "    assert not stop.code\nassert 'litestar' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=desk.folder)
    assert done.returncode == 0, done.stderr
