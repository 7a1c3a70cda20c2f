"""The suite for the migrations of a plugin: what installations do to them sooner or later, on SQLite and PostgreSQL.

PostgreSQL is left out with a sentence where none is at hand (see `testing.postgres`); in CI that is a failure.
"""

from __future__ import annotations

import asyncio
import importlib.util
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import pytest

from plugin_host.testing.postgres import do_without

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import sqlalchemy as sa

    from plugin_host import Settings
    from plugin_host.core.migrating.sources import Home
    from plugin_host.database import Database
    from plugin_host.migrations.runner import Source

    MakeDatabase = Callable[[], Database]


class MigrationSuite:
    """Derive a class from this one whose name begins with `Test`, and say whose migrations they are in `plugin`.

    `fill` may be overridden: it is called with a connection whenever a database stands at a revision, and may write
    rows for the next ones to work on.
    """

    plugin: ClassVar[str] = ""

    def fill(self, connection: sa.Connection, revision: int) -> None:
        """Write rows into the tables as they are at a revision; nothing, unless it is overridden."""

    # -- what the tests are given ------------------------------------------------------------------------------

    @pytest.fixture(params=["sqlite", "postgresql"])
    def make_database(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MakeDatabase]:
        """Make empty databases: files, or schemas in one database that goes after the test."""
        from plugin_host.database import Database  # noqa: PLC0415 - with the first test, not with pytest

        made: list[Database] = []
        url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None

        def make() -> Database:
            number = len(made)
            schema = f"s{number}" if url is not None else None
            made.append(Database(url or f"sqlite:///{tmp_path / f'{number}.db'}", schema=schema))
            made[-1].prepare()
            return made[-1]

        yield make
        for database in made:
            asyncio.run(database.close())

    @pytest.fixture
    def home(self, host_settings: Settings) -> Home:
        """Find the revisions of the plugin, and of those that it requires."""
        from plugin_host.core.databases import host_database  # noqa: PLC0415 - as above
        from plugin_host.core.migrating.sources import home  # noqa: PLC0415 - as above
        from plugin_host.core.planner import Planner  # noqa: PLC0415 - as above

        assert self.plugin, 'say whose migrations they are: plugin = "contacts"'  # noqa: S101 - a test
        return asyncio.run(home(Planner(host_settings, host_database(host_settings)), self.plugin))

    @pytest.fixture
    def sources(self, home: Home) -> list[Source]:
        """Give the sources of the plugin, of those that it requires, and of core."""
        known = {source.plugin: source for source in home.sources}
        wanted, todo = {"core", self.plugin}, [self.plugin]
        while todo:
            for other in known[todo.pop()].requires:
                if other in known and other not in wanted:
                    wanted.add(other)
                    todo.append(other)
        return [known[name] for name in sorted(wanted) if name in known]

    # -- the tests ---------------------------------------------------------------------------------------------

    def test_up_from_empty(self, make_database: MakeDatabase, sources: list[Source]) -> None:
        """All revisions run on an empty database."""
        _upgrade(make_database(), sources)

    def test_up_from_each_head(self, make_database: MakeDatabase, sources: list[Source]) -> None:
        """Whatever revision an installation stands at, it comes to the same tables."""
        straight = make_database()
        _upgrade(straight, sources)
        for number in range(1, self._count(sources)):
            database = make_database()
            _upgrade(database, sources, self.plugin, number)
            self._fill(database, number)
            _upgrade(database, sources)
            assert _shape(database, self.plugin) == _shape(straight, self.plugin), f"from revision {number}"  # noqa: S101 - a test

    def test_down_and_up(self, make_database: MakeDatabase, sources: list[Source], home: Home) -> None:
        """Every revision that has a `downgrade()` can be taken back, and applied again."""
        from plugin_host.migrations.resolving import descend  # noqa: PLC0415 - as above
        from plugin_host.migrations.revisions import revision_files  # noqa: PLC0415 - as above

        texts = [path.read_text("utf-8") for path in revision_files(home.source)]
        lowest = next((n for n in range(len(texts), 0, -1) if "def downgrade" not in texts[n - 1]), 0)
        if lowest == len(texts):
            pytest.skip(f"the last revision of {self.plugin} has no downgrade(), so that none can be taken back")
        database = make_database()
        _upgrade(database, sources)
        self._fill(database, len(texts))
        before = _shape(database, self.plugin)
        for number in range(len(texts) - 1, lowest - 1, -1):
            descend(database, home.source, str(number), progress=_silent)
            _upgrade(database, sources)
            assert _shape(database, self.plugin) == before, f"down to {number} and up again"  # noqa: S101 - a test
            descend(database, home.source, str(number), progress=_silent)

    def test_killed_between_statements(self, make_database: MakeDatabase, sources: list[Source]) -> None:
        """A process that is killed at any statement leaves whole revisions, and the next one completes."""
        _needs_fork()
        straight, database = make_database(), make_database()
        _upgrade(straight, sources)
        _upgrade(database, [source for source in sources if source.plugin != self.plugin])
        assert _run(database, sources, self.plugin) > 0  # noqa: S101 - a test
        assert _shape(database, self.plugin) == _shape(straight, self.plugin)  # noqa: S101 - a test

    def test_two_processes_at_once(self, make_database: MakeDatabase, sources: list[Source]) -> None:
        """Two processes that start at once on an empty database apply each revision once."""
        import sqlalchemy as sa  # noqa: PLC0415 - as above

        from plugin_host.migrations import ledger  # noqa: PLC0415 - as above

        _needs_fork()
        database = make_database()
        _run(database, sources, self.plugin, times=2)
        with database.migration_engine() as engine, engine.connect() as connection:
            table = ledger.HISTORY
            rows = connection.execute(sa.select(table.c.state).where(table.c.plugin == self.plugin)).scalars().all()
        assert list(rows) == ["ok"] * self._count(sources)  # noqa: S101 - a test

    def test_late_install(self, make_database: MakeDatabase, sources: list[Source]) -> None:
        """It can be installed where everything that it requires has stood at its last revision for long."""
        database = make_database()
        _upgrade(database, [source for source in sources if source.plugin != self.plugin])
        _upgrade(database, sources)

    def test_models_and_tables_agree(self, sources: list[Source], home: Home, host_settings: Settings) -> None:
        """The models say what the revisions make: `plugin-host makemigration` has nothing to write."""
        from plugin_host.core.databases import host_database  # noqa: PLC0415 - as above
        from plugin_host.core.migrating.making import import_models  # noqa: PLC0415 - as above
        from plugin_host.core.planner import Planner  # noqa: PLC0415 - as above
        from plugin_host.migrations.drafting import draft  # noqa: PLC0415 - as above

        plan = asyncio.run(Planner(host_settings, host_database(host_settings)).plan())
        import_models([plan.found[each.plugin] for each in sources if each.plugin not in ("core", self.plugin)])
        import_models([plan.found[self.plugin]])
        missing = draft(home.source, sources, "drift").operations
        assert not missing, f"plugin-host makemigration would write: {', '.join(missing)}"  # noqa: S101 - a test

    def test_wheel_contains_the_files(self, request: pytest.FixtureRequest, home: Home, tmp_path: Path) -> None:
        """The wheel that is built of the project has every revision, and the three JSON files."""
        package = home.source.folder.parent if home.source.folder is not None else tmp_path
        # An installed package lies somewhere below an environment: its project is where its tests are.
        above = [*package.parents, *request.path.parents]
        project = next((folder for folder in above if _is_project_of(folder, package.name)), None)
        if project is None or not project.is_relative_to(request.config.rootpath):
            pytest.skip(f"{self.plugin} lies in {package}, and is not built from {request.config.rootpath}")
        if importlib.util.find_spec("pip") is None:
            do_without("pip is not installed: the wheel cannot be built")
        words = ["wheel", str(project), "--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(tmp_path)]
        built = subprocess.run([sys.executable, "-m", "pip", *words], check=False, capture_output=True, text=True)  # noqa: S603 - pip
        if "BackendUnavailable" in built.stderr or "No module named" in built.stderr:
            do_without(f"what builds the wheel is not installed: {built.stderr.strip().splitlines()[-1]}")
        assert built.returncode == 0, built.stderr  # noqa: S101 - a test
        (wheel,) = tmp_path.glob("*.whl")
        with zipfile.ZipFile(wheel) as opened:
            there = set(opened.namelist())
        files = [*package.glob("*.json"), *package.glob("migrations/[0-9]*.py")]
        missing = [
            path
            for path in files
            if not any(name.endswith(f"{package.name}/{path.relative_to(package)}") for name in there)
        ]
        assert missing == [], "the wheel lacks them: see PH5 in what `plugin-host check` says"  # noqa: S101 - a test

    # -- how ---------------------------------------------------------------------------------------------------

    def _count(self, sources: list[Source]) -> int:
        from plugin_host.migrations.revisions import revision_files  # noqa: PLC0415 - as above

        return len(revision_files(next(source for source in sources if source.plugin == self.plugin)))

    def _fill(self, database: Database, revision: int) -> None:
        with database.migration_engine() as engine, engine.begin() as connection:
            self.fill(connection, revision)


def _upgrade(database: Database, sources: list[Source], plugin: str | None = None, to: int | None = None) -> None:
    from plugin_host.migrations.runner import Runner  # noqa: PLC0415 - as above

    outcome = Runner(database, backups=False).upgrade(sources, plugin=plugin, to=str(to) if to is not None else None)
    told = [f"{reason.text} {reason.way_out}" for reason in outcome.faults.values()]
    assert not told, "\n".join(told)  # noqa: S101 - a test


def _shape(database: Database, plugin: str) -> Any:
    from plugin_host.migrations.shape import shape_of  # noqa: PLC0415 - as above

    with database.migration_engine() as engine, engine.connect() as connection:
        return shape_of(connection, plugin)


def _run(database: Database, sources: list[Source], plugin: str, *, times: int = 0) -> int:
    """Migrate in processes of their own, see `testing.process`; give how many were killed."""
    task = {
        "url": database.url.render_as_string(hide_password=False),
        "schema": database.schema,
        "sources": [
            (source.plugin, str(source.folder) if source.folder is not None else None, source.requires, source.version)
            for source in sources
        ],
        "plugin": plugin,
        "times": times,
    }
    done = subprocess.run(
        [sys.executable, "-m", "plugin_host.testing.process"],
        input=msgspec.json.encode(task),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()  # noqa: S101 - a test
    assert not done.stderr, done.stderr.decode()  # noqa: S101 - a test
    return int(done.stdout)


def _is_project_of(folder: Path, package: str) -> bool:
    """Tell whether a folder is the project that the package is built from."""
    inside = (folder / package).is_dir() or (folder / "src" / package).is_dir()
    return inside and _is_built(folder / "pyproject.toml")


def _is_built(file: Path) -> bool:
    """Tell whether a file is the pyproject.toml of a distribution, not only of tools."""
    return file.is_file() and "[project]" in file.read_text("utf-8")


def _needs_fork() -> None:
    if sys.platform == "win32":
        pytest.skip("processes are made by fork, which Windows has not")


def _silent(_line: str) -> None:
    pass
