"""What a replay prints: progress, and then the summary or one JSON document."""

import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

import msgspec
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from livespot.contracts.base import Message
from livespot.evidence.telling import Line, age
from livespot.runtime.clock import SystemClock
from livespot.runtime.console import LiveConsole
from livespot.runtime.replay_report import ReplayReport
from livespot.runtime.replay_request import moment
from livespot.runtime.replay_telling import told

# Shorter replays show no progress.
_QUIET_MS = 2000
_LIVE_MS, _PLAIN_MS = 200, 5000
_LABEL_WIDTH = 14


class Interruption:
    """The first Ctrl-C or SIGTERM asks for an ordered end, the second ends the process at once."""

    def __init__(self) -> None:
        self.asked = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Handle signals inside the block; main thread only."""
        names = (signal.SIGINT, signal.SIGTERM)
        before = [signal.signal(name, self._ask) for name in names]
        try:
            yield
        finally:
            for name, handler in zip(names, before, strict=True):
                signal.signal(name, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            signal.default_int_handler(number, frame)
        self.asked = True


class ReplayScreen:
    """Prints progress and messages on stderr, the result on stdout; `as_json` for programs."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._aside = Console(stderr=True, soft_wrap=True)
        self._live: Live | None = None
        self._wall = SystemClock()
        self._began_ms = self._shown_ms = 0

    @contextmanager
    def progress(self) -> Iterator[None]:
        """`show` may be called inside the block; its line is erased afterwards."""
        self._began_ms = self._shown_ms = self._wall.monotonic_ms()
        with Live(console=self._aside, auto_refresh=False, transient=True) as live:
            self._live = live
            yield
        self._live = None

    def show(self, start_ms: int, done_ms: int, span_ms: int) -> None:
        """Show the progress, as often as a person can read it."""
        now = self._wall.monotonic_ms()
        every = _LIVE_MS if self._aside.is_terminal else _PLAIN_MS
        took = now - self._began_ms
        if took < _QUIET_MS or now - self._shown_ms < every:
            return
        self._shown_ms = now
        done = min(done_ms, span_ms)
        left = took * (span_ms - done) // max(1, done)
        text = (
            f"{moment(start_ms + done)} UTC  {100 * done // span_ms:3d} %  "
            f"{done // took} times as fast  about {age(max(1, left // 1000) * 1000)} left"
        )
        if self._live is not None and self._aside.is_terminal:
            self._live.update(Text(text, style="dim"), refresh=True)
        else:
            self.say(text)

    def say(self, text: str) -> None:
        """Print one plain line on stderr."""
        self._aside.print(text, markup=False, highlight=False)

    def conclude(self, report: ReplayReport) -> None:
        """Print the run's summary and what the replay adds to it."""
        if self._as_json:
            print(msgspec.json.encode(report).decode())  # noqa: T201  a console
            return
        LiveConsole().summarise(report.summary)
        _list(told(report))

    def tell(self, report: Message, lines: Iterable[Line]) -> None:
        """Print a result other than a run's: its lines, or the document itself."""
        if self._as_json:
            print(msgspec.json.encode(report).decode())  # noqa: T201  a console
            return
        _list(lines)


def _list(lines: Iterable[Line]) -> None:
    """Print labels and texts, in two columns on a terminal."""
    out = Console()
    if not out.is_terminal:
        console = LiveConsole()
        for label, text, _ in lines:
            console.say(f"{label:<{_LABEL_WIDTH}}{text}".rstrip())
        return
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True, min_width=_LABEL_WIDTH - 2)
    table.add_column(overflow="fold")
    for label, text, style in lines:
        table.add_row(Text(f"  {label}"), Text(text, style=style))
    out.print(table)
