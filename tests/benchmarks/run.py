"""Measure, as ratios in one run, and write the table into docs/explanation/speed.md.

`python tests/benchmarks/run.py [--write docs/explanation/speed.md]`: nothing here passes or fails; the
machine's speed drifts, so both sides are measured in turn and the medians of the pairs are shown.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import access
import auth
import data
import discovery
import events
import psycopg
import starts
from distributions import host_plugins

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROUNDS = 7
MANY = 100
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"


@contextmanager
def server(*arguments: str) -> Iterator[dict[str, Any]]:
    """Run one of the servers in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, str(HERE / "servers.py"), *arguments], stdout=subprocess.PIPE, text=True
    )
    try:
        line = process.stdout.readline() if process.stdout else ""
        yield json.loads(line)
    finally:
        process.terminate()
        process.wait(20)


def load(said: dict[str, Any], seconds: float = 2.0) -> float:
    """Drive a server; gives requests per second."""
    headers = [f"cookie: {said['cookie']}"] if "cookie" in said else []
    job = {"port": said["port"], "path": "/api/bench/r0/7", "headers": headers, "connections": 16, "seconds": seconds}
    out = subprocess.run(
        [sys.executable, str(HERE / "load.py"), json.dumps(job)], capture_output=True, text=True, check=True
    )
    result = json.loads(out.stdout)
    if result["wrong"]:
        message = f"{result['wrong']} of {result['answered']} answers were not 200"
        raise SystemExit(message)
    return float(result["per_second"])


def over_http(database: str = "") -> tuple[float, float, float]:
    """Compare the host's checked route with bare Litestar: median of the pairs, and both rates."""
    with server("bare") as peer, server("hosted", database) as ours:
        load(peer, 1), load(ours, 1)
        pairs = [(load(ours), load(peer)) for _ in range(ROUNDS)]
    return (
        statistics.median(a / b for a, b in pairs),
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
    )


@contextmanager
def postgres() -> Iterator[str | None]:
    """Make a throw-away PostgreSQL database, if a server answers."""
    server = os.environ.get("PLUGIN_HOST_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")
    name = f"plugin_host_bench_{secrets.token_hex(6)}"
    try:
        connection = psycopg.connect(server, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError:
        yield None
        return
    with connection:
        connection.execute(f"CREATE DATABASE {name}")
        try:
            yield f"{server.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def in_process(code: str, *arguments: str, site: Path | None = None) -> list[float]:
    """Run a measurement in a fresh process, with the plugins in `site`; it prints its figures as JSON."""
    out = subprocess.run(
        [sys.executable, str(HERE / "inside.py"), code, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=starts.compiled(site),
    )
    return list(json.loads(out.stdout))


def switched_off() -> tuple[float, float]:
    """Compare what a plugin adds to a start, switched off and active: milliseconds of CPU time for each of many."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty, full = host_plugins(folder / "empty", 0), host_plugins(folder / "full", MANY)
        sides = {"none": (empty, 0), "off": (full, MANY), "active": (full, 0)}
        figures: dict[str, list[float]] = {side: [] for side in sides}
        for number in range(ROUNDS):
            for side, (site, off) in sides.items():
                (spent,) = in_process("start", str(folder / side), str(off), site=site)
                if number:  # the first start makes the tables, and compiles
                    figures[side].append(spent * 1000 / MANY)
    medians = {side: statistics.median(spent) for side, spent in figures.items()}
    return medians["off"] - medians["none"], medians["active"] - medians["none"]


def rows() -> Iterator[tuple[str, str, str]]:
    """Measure everything: what, the ratio, and how it was got."""
    ratio, ours, peer = over_http()
    yield (
        "signed-in, permission-checked route without database, SQLite: requests/s beside bare Litestar",
        f"{ratio:.2f}",
        f"{ours:,.0f} and {peer:,.0f} requests/s, 16 connections, {ROUNDS} pairs in turn",
    )
    with postgres() as database:
        if database is not None:
            ratio, ours, peer = over_http(database)
            yield (
                "the same on PostgreSQL: one combined query a request, for session, person and revision",
                f"{ratio:.2f}",
                f"{ours:,.0f} and {peer:,.0f} requests/s",
            )
    small, large = in_process("hundred")
    yield (
        "the same request with 100 more plugins of 10 routes, CPU time in process",
        f"{large / small:.3f}",
        f"{small:.1f} and {large:.1f} µs, medians of interleaved rounds",
    )
    hundred = statistics.median(in_process("build", "100")[0] for _ in range(3))
    three = statistics.median(in_process("build", "300")[0] for _ in range(3))
    yield (
        "building 300 plugins of 10 routes beside 100",
        f"{three / hundred:.2f}",
        f"{three:.2f} and {hundred:.2f} s of CPU time, medians of 3 processes",
    )
    yield from life_cycle()
    yield from starting()
    yield from permissions()
    yield from signing_in()
    yield from data_reads()
    yield from events_and_jobs()
    times = {}
    for name, words in (("version", ["-m", "plugin_host", "--version"]), ("python", ["-c", "pass"])):
        times[name] = statistics.median(_took(words) for _ in range(7))
    yield (
        "`plugin-host --version` beside an empty Python",
        f"{times['version'] / times['python']:.2f}",
        f"{times['version'] * 1000:.0f} and {times['python'] * 1000:.0f} ms",
    )


def life_cycle() -> Iterator[tuple[str, str, str]]:
    """Measure what plugins cost that come, and that are off."""
    whole, database, bare = in_process("enable")
    yield (
        "enabling a plugin of 10 routes in a running host beside building them as a bare Litestar application",
        f"{whole / bare:.2f}",
        f"{whole:.1f} and {bare:.1f} ms; {(whole - database) / bare:.2f} without the {database:.1f} ms of the database",
    )
    off, active = switched_off()
    yield (
        "what a plugin that is switched off adds to a start, beside an active one of one route",
        f"{off / active:.3f}",
        f"{off:.2f} and {active:.2f} ms of CPU time, {MANY} of them beside none",
    )
    cold, warm = discovery.scans()
    yield (
        f"looking for plugins among {discovery.DISTRIBUTIONS:,} installed distributions again, beside the first time",
        f"{warm / cold:.3f}",
        f"{warm:.2f} and {cold:.1f} ms, medians in turn",
    )


def permissions() -> Iterator[tuple[str, str, str]]:
    """Measure what permissions cost, beside those who do the same."""
    with postgres() as database:
        yield from access.rows(database)


def starting() -> Iterator[tuple[str, str, str]]:
    """Measure whole processes, from their start until they answer."""
    pairs, first = starts.ready_beside_imports(10, ROUNDS)
    ours, libraries = starts.middle(pairs)
    yield (
        "ready with 10 plugins beside the import of the libraries alone, each a process of its own",
        f"{starts.ratio(pairs):.2f}",
        f"{ours * 1000:.0f} and {libraries * 1000:.0f} ms; {statistics.median(first) * 1000:.0f} ms on a new database",
    )
    if starts.has_datasette():
        for count in (30, 100, 300):
            pairs = starts.beside_datasette(count, 5)
            ours, theirs = starts.middle(pairs)
            yield (
                f"ready with {count} plugins beside Datasette with as many",
                f"{starts.ratio(pairs):.2f}",
                f"{ours * 1000:.0f} and {theirs * 1000:.0f} ms until the first answer, 5 pairs in turn",
            )


def _took(words: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL, cwd=tempfile.gettempdir())
    return time.perf_counter() - start


def signing_in() -> Iterator[tuple[str, str, str]]:
    """Measure what knowing who asks costs."""
    with postgres() as database:
        yield from auth.rows(database)


def data_reads() -> Iterator[tuple[str, str, str]]:
    """Measure what reads of the database cost."""
    yield from data.on_sqlite(2.0, ROUNDS)
    with postgres() as database:
        if database is not None:
            yield from data.on_postgresql(database, 2.0, ROUNDS)


def events_and_jobs() -> Iterator[tuple[str, str, str]]:
    """Measure what events cost, and how soon and how fast they are handled."""
    with postgres() as database:
        yield from events.rows(database, ROUNDS)


SECTIONS = {
    "events": events_and_jobs,
    "life-cycle": life_cycle,
    "starting": starting,
    "permissions": permissions,
    "signing-in": signing_in,
    "data": data_reads,
}


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--only", choices=sorted(SECTIONS), help="measure one section, and write nothing")
    options = parser.parse_args()
    lines = ["| what | ratio | figures of this run |", "|---|---|---|"]
    for what, ratio, how in SECTIONS[options.only]() if options.only else rows():
        lines.append(f"| {what} | **{ratio}** | {how} |")
        sys.stdout.write(lines[-1] + "\n")
        sys.stdout.flush()
    if options.write and not options.only:
        text = options.write.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        options.write.write_text(f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
