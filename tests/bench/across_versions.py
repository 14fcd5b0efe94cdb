"""Replays the same minutes under several Pythons and says whether every hash is the same.

`python -m tests.bench.across_versions [--seeds 20] [--times 2] PYTHON...` from the root of the
repository; each PYTHON is an interpreter with the locked packages. Exits with 1 on a difference.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import msgspec
from tests.bench.rounds import write

from livespot.runtime.replay_report import ReplayReport

_ROOT = Path(__file__).resolve().parents[2]
_SPAN = ("--from", "2021-04-22T00:04", "--for", "3m", "--symbols", "SOLUSDT,ETHUSDT")


class Seen(NamedTuple):
    """What a replay can be held against: the end of its chain, and the exchange's journal."""

    audit: str
    journal: str
    events: int
    orders: int


def main(arguments: Sequence[str]) -> int:
    """The exit code; the table goes to standard output."""
    reader = argparse.ArgumentParser(prog="across_versions", description=__doc__)
    reader.add_argument("pythons", nargs="+", metavar="PYTHON")
    reader.add_argument("--seeds", type=int, default=20)
    reader.add_argument("--times", type=int, default=2)
    asked = reader.parse_args(arguments)
    # Not resolved: the link into an environment is what finds its packages.
    pythons = [os.path.abspath(python) for python in asked.pythons]
    versions = {python: _version(python) for python in pythons}
    began, different, events, orders = time.monotonic(), 0, 0, 0
    for seed in range(1, asked.seeds + 1):
        seen = {
            f"{versions[python]} {number}": _replayed(python, seed, number)
            for python in pythons
            for number in range(asked.times)
        }
        first, *_ = seen.values()
        events, orders = events + first.events, orders + first.orders
        alike = len(set(seen.values())) == 1
        different += not alike
        write(f"seed {seed:>3}  {first.events:>4} events  {first.orders:>3} orders  {first.audit}")
        write(*(() if alike else _parted(seen)))
    count = asked.seeds * asked.times * len(pythons)
    write(
        f"{count} replays under {', '.join(versions.values())}: {asked.seeds} seeds, {different} "
        f"differ; {events} events and {orders} orders each time, {time.monotonic() - began:.0f} s"
    )
    return 1 if different else 0


def _parted(seen: dict[str, Seen]) -> Iterator[str]:
    for name, one in seen.items():
        yield f"  {name}: audit {one.audit} journal {one.journal}"


def _version(python: str) -> str:
    said = subprocess.run(
        [python, "-c", "import platform; print(platform.python_version())"],
        capture_output=True,
        text=True,
        check=True,
    )
    return said.stdout.strip()


def _replayed(python: str, seed: int, number: int) -> Seen:
    """One replay in a process of its own, with an order of string hashes of its own."""
    with TemporaryDirectory() as place:
        command = [
            *(python, "-P", "-m", "livespot_cmd.main", "replay", "--json", *_SPAN),
            *("--seed", str(seed), "--var", f"{place}/var"),
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": f"{_ROOT / 'internal'}:{_ROOT / 'cmd'}",
            "PYTHONHASHSEED": str(1 + 4241 * number),
        }
        done = subprocess.run(command, capture_output=True, check=False, env=environment, cwd=place)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)}:\n{done.stderr.decode(errors='replace')}")
        report = msgspec.json.decode(done.stdout, type=ReplayReport)
    summary = report.summary
    return Seen(
        audit=report.audit_hash,
        journal=report.journal_sha256,
        events=summary.counts.events,
        orders=sum(count.count for count in summary.orders),
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
