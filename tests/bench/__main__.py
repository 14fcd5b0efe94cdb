"""Runs measurements and prints one table: what, figure, limit, verdict.

`python -m tests.bench [names]` from the root of the repository; all of them without a name. Exits
with 1 when a limit is missed or a measurement fails, with 2 for a name that is none.
"""

import os
import platform
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest
from tests.bench.report import REPORT_FILE, Report, amount, read_reports
from tests.bench.rounds import write

_HERE = Path(__file__).parent
_PREFIX = "bench_"
_COLUMNS = "{what:<64}{figure:>22}  {limit:<16}{verdict}"


def main(names: Sequence[str]) -> int:
    """The exit code; the table goes to standard output."""
    known = {path.stem.removeprefix(_PREFIX): path for path in sorted(_HERE.glob("bench_*.py"))}
    strange = [name for name in names if name not in known]
    if strange:
        write(f"no measurement is called {', '.join(strange)}; there are {', '.join(known)}")
        return 2
    with TemporaryDirectory() as place:
        kept = Path(place) / "reports"
        os.environ[REPORT_FILE] = str(kept)
        files = [str(known[name]) for name in names or known]
        # Some take minutes by design; nobody needs their stack then.
        quiet = ("-p", "no:cacheprovider", "-o", "faulthandler_timeout=0")
        failed = pytest.main(["-q", "-s", *quiet, *files]) != 0
        reports = read_reports(kept)
    write(f"\n{machine()}", *_table(reports))
    missed = not all(figure.holds for one in reports for figure in one.figures)
    if failed and not missed:
        write("a measurement did not come to its end; see above")
    return 1 if failed or missed else 0


def machine() -> str:
    """What the figures were taken on."""
    cores, load = psutil.cpu_count(), psutil.getloadavg()[0]
    return f"{cores} cores, Python {platform.python_version()}, load {load:.1f} at the end"


def _table(reports: Sequence[Report]) -> Iterator[str]:
    yield _COLUMNS.format(what="what", figure="figure", limit="limit", verdict="verdict")
    for one in reports:
        yield one.title
        for figure in one.figures:
            yield _COLUMNS.format(
                what=f"  {figure.what}",
                figure=f"{amount(figure.value)} {figure.unit}".rstrip(),
                limit=figure.limit,
                verdict=("ok" if figure.holds else "MISSED") if figure.limit else "",
            ).rstrip()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
