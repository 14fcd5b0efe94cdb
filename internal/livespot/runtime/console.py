"""The live console: the panel's first screen on a terminal, plain lines elsewhere."""

import contextlib
import sys
from collections.abc import Callable
from typing import Protocol

from rich.console import Console
from rich.live import Live

from livespot.contracts.ports import Clock
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity
from livespot.evidence.summary import RunSummary
from livespot.evidence.telling import lines, render
from livespot.panel.console import plain_line, render_live
from livespot.panel.dashboard import Dashboard
from livespot.panel.database import PanelDatabase, PanelUnreadable, opened
from livespot.panel.snapshot import Vantage, read_dashboard
from livespot.panel.survival_queries import SurvivalCount
from livespot.rules.words import printable
from livespot.runtime.clock import SystemClock
from livespot.runtime.paths import Paths

_LIVE_SECONDS = 1.0
_PLAIN_SECONDS = 5.0


class Watched(Protocol):
    """A run that can be shown. `panel_url` is empty while the panel is not listening."""

    @property
    def paths(self) -> Paths: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def panel_url(self) -> str: ...


class _Console(Console):
    """A console that falls silent on a broken pipe, where the library would end the process."""

    def on_broken_pipe(self) -> None:
        with contextlib.suppress(SystemExit):
            super().on_broken_pipe()


class LiveConsole:
    """Shows one run to a person; machine-readable output goes elsewhere."""

    def __init__(self, *, sound: bool = False) -> None:
        self._console = _Console(stderr=False, soft_wrap=False)
        self._sound = sound
        self._told_panel = False

    def say(self, text: str) -> None:
        """Print one plain line."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def announce(self, alert: Alert) -> None:
        """Print one `ALERT` line; it scrolls past above the live view."""
        # A terminal that is gone, or a full disk behind standard output, must not end the run.
        with contextlib.suppress(OSError):
            self._announce(alert)

    def _announce(self, alert: Alert) -> None:
        symbol = f" {alert.symbol}" if alert.symbol else ""
        self._console.print(
            printable(f"ALERT {alert.severity} {alert.code}{symbol} {alert.text}"),
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        if self._sound and alert.severity is not Severity.INFO and self._console.is_terminal:
            self._console.bell()

    def summarise(self, summary: RunSummary) -> None:
        """Print a run's summary."""
        if self._console.is_terminal:
            self._console.print(render(summary))
            return
        for line in lines(summary):
            self.say(line)

    async def watch(self, running: Watched) -> None:
        """Refresh the view until cancelled. No error of the console ends the run.

        While the database cannot be read the last view stays; opening it is tried again.
        """
        while True:
            try:
                await self._show(running)
            except PanelUnreadable as error:
                with contextlib.suppress(OSError):
                    self.say(f"the view is behind: {error}")
            await SystemClock().sleep(_PLAIN_SECONDS)

    async def _show(self, running: Watched) -> None:
        async with opened(running.paths.database) as database:
            if self._console.is_terminal:
                with Live(console=self._console, auto_refresh=False, transient=True) as live:
                    await self._refresh(
                        database,
                        running,
                        lambda board: live.update(
                            render_live(board, running.panel_url), refresh=True
                        ),
                        _LIVE_SECONDS,
                    )
            else:
                await self._refresh(database, running, self._line(running), _PLAIN_SECONDS)

    def _line(self, running: Watched) -> Callable[[Dashboard], None]:
        def show(board: Dashboard) -> None:
            if running.panel_url and not self._told_panel:
                self._told_panel = True
                print(f"panel: {running.panel_url}", file=sys.stderr)  # noqa: T201  a console
            self._console.print(plain_line(board), markup=False, soft_wrap=True)

        return show

    async def _refresh(
        self,
        database: PanelDatabase,
        running: Watched,
        show: Callable[[Dashboard], None],
        seconds: float,
    ) -> None:
        wall = SystemClock()
        survival = SurvivalCount(wall)
        while True:
            await wall.sleep(seconds)
            board = await _read(database, running, survival)
            if board is not None:
                with contextlib.suppress(OSError):
                    show(board)


async def _read(
    database: PanelDatabase, running: Watched, survival: SurvivalCount
) -> Dashboard | None:
    now_ms = running.clock.now_ms()
    try:
        counted = await survival.lately(database, now_ms)
        return await read_dashboard(database, Vantage(now_ms=now_ms, survival=counted))
    except PanelUnreadable:
        return None
