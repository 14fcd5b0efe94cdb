"""The output of drills: a line as each one ends, and the table of all."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from livespot.rules.drills import DrillRecord, DrillRow

_HEADINGS = (
    "drill",
    "injected",
    "SysMode path",
    "duplicates",
    "lost fills",
    "max unprotected ms",
    "verdict",
)
_STYLES = {"PASS": "green", "FAIL": "bold red"}


def verdict(row: DrillRow) -> str:
    return "PASS" if row.passed else "FAIL"


def cells(row: DrillRow) -> tuple[str, ...]:
    """One row of the table."""
    return (
        row.name,
        row.injected,
        " > ".join(row.modes) or "-",
        str(row.duplicates),
        str(row.lost_fills),
        str(row.max_unprotected_ms),
        verdict(row),
    )


def show(record: DrillRecord, console: Console) -> None:
    """A table on a terminal, else lines divided by bars; then why anything failed."""
    if console.is_terminal:
        table = Table(show_edge=False)
        for heading in _HEADINGS:
            table.add_column(heading, overflow="fold")
        for row in record.rows:
            *most, last = (Text(cell) for cell in cells(row))
            table.add_row(*most, Text(last.plain, style=_STYLES[last.plain]))
        console.print(table)
    else:
        for texts in (_HEADINGS, *(cells(row) for row in record.rows)):
            console.print(" | ".join(texts), markup=False, highlight=False, soft_wrap=True)
    for line in remarks(record):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def remarks(record: DrillRecord) -> Iterator[str]:
    """What the table does not show."""
    for row in record.rows:
        for problem in row.problems:
            yield f"{row.name}: {problem}"
    if record.replaced:
        yield (
            "Not from your configuration, so that something is bought and nothing waits long: "
            + ", ".join(record.replaced)
        )
