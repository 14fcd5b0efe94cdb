"""The lines of the live console: plain, harmless, and audible only where somebody listens."""

import errno
import io
import sys
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from livespot.contracts.codes import ReasonCode
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity
from livespot.runtime.clock import SystemClock
from livespot.runtime.console import LiveConsole
from livespot.runtime.paths import Paths


class _FullDisk(io.StringIO):
    """A file that standard output was sent to, on a disk without room."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, f"no room for {len(text)} letters")


@dataclass
class _Running:
    paths: Paths
    clock: SystemClock
    panel_url: str = ""


def _alert(text: str = "x", severity: Severity = Severity.WARN) -> Alert:
    return Alert(
        severity=severity, code=ReasonCode.ALERT_RAISED, reasons=(), text=text, symbol="SOLUSDT"
    )


def test_an_alert_is_one_plain_line_whatever_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    LiveConsole().announce(_alert("[red]one[/red]\ntwo\x1b[2J"))

    assert capsys.readouterr().out == (
        "ALERT WARN ALERT_RAISED SOLUSDT [red]one[/red] two\N{REPLACEMENT CHARACTER}[2J\n"
    )


@pytest.mark.parametrize(
    ("sound", "severity", "terminal", "rings"),
    [
        (True, Severity.WARN, True, True),
        (True, Severity.CRIT, True, True),
        (True, Severity.INFO, True, False),
        (True, Severity.CRIT, False, False),
        (False, Severity.CRIT, True, False),
    ],
)
def test_the_bell_rings_only_for_who_asked_and_listens(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    sound: bool,
    severity: Severity,
    terminal: bool,
    rings: bool,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    LiveConsole(sound=sound).announce(_alert(severity=severity))

    assert ("\x07" in capsys.readouterr().out) is rings


def test_no_color_is_obeyed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    LiveConsole().announce(_alert("NORMAL 12 s"))

    assert "\x1b[3" not in capsys.readouterr().out


async def test_a_console_that_takes_nothing_ends_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = _Running(Paths(var=tmp_path), SystemClock())
    monkeypatch.setattr(sys, "stdout", _FullDisk())

    with anyio.move_on_after(0.2) as watched:
        await LiveConsole().watch(running)

    assert watched.cancelled_caught
