"""The out-of-loop watchdog: a thread that notices a blocked event loop while it is blocked."""

import contextlib
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import ExitCode
from livespot.contracts.ports import Clock
from livespot.runtime.send_gate import SendGate

_CHECK_SECONDS = 0.1
_NAME = "watchdog"
# A manager that waits minutes needs no more than a word a second.
_CHECKS_PER_WORD = 10


class Heartbeats:
    """When each part of the runtime was last seen alive, in market milliseconds.

    Written by the loop, read by the watchdog's thread, which leaves only its own beat; a dictionary
    of integers needs no lock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[str, int] = {}

    def beat_of(self, name: str) -> Callable[[], None]:
        """The function an actor calls on each pass of its loop."""
        self._last[name] = self._clock.monotonic_ms()

        def beat() -> None:
            self._last[name] = self._clock.monotonic_ms()

        return beat

    def forget(self, name: str) -> None:
        """Stop watching a part that has ended on purpose."""
        self._last.pop(name, None)

    def overdue_ms(self) -> dict[str, int]:
        """How long ago each part was last seen."""
        now = self._clock.monotonic_ms()
        return {name: now - last for name, last in list(self._last.items())}


@dataclass(slots=True, kw_only=True)
class Watchdog:
    """Watches two heartbeats, the loop's own tick and the governor's; whoever else runs watches it.

    Past `pause_ms` it closes the send gate from outside; past `kill_ms` of a blocked loop it writes
    a crash note with every thread's stack and ends the process, so that the service manager
    restarts it. While the loop is in time, `alive` is called about once a second. Its own beat
    stands beside the others' under `watchdog`.
    """

    heartbeats: Heartbeats
    gate: SendGate
    pause_ms: int
    kill_ms: int
    note: Path
    alive: Callable[[], None] = lambda: None
    worst_ms: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None
    _ungoverned: bool = False

    def start(self) -> None:
        # The first beat is here: a thread that never comes to run is missed as well.
        self.heartbeats.beat_of(_NAME)
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.heartbeats.forget(_NAME)
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)

    def take_worst_ms(self) -> int:
        """The longest the loop was overdue since the last call."""
        worst, self.worst_ms = self.worst_ms, 0
        return worst

    def _watch(self) -> None:
        shouted = False
        checks = 0
        beat = self.heartbeats.beat_of(_NAME)
        while not self._stop.wait(_CHECK_SECONDS):
            beat()
            ages = self.heartbeats.overdue_ms()
            overdue = ages.get("loop", 0)
            self.worst_ms = max(self.worst_ms, overdue)
            self._look_after_governor(ages.get("governor", 0))
            if overdue < self.pause_ms:
                shouted = False
                checks += 1
                if checks % _CHECKS_PER_WORD == 0:
                    self.alive()
                continue
            self._close_entries()
            if not shouted:
                shouted = True
                _shout(
                    f"ALERT CRIT {ReasonCode.LOOP_STUCK_PAUSE} "
                    f"the event loop has not run for {overdue} ms"
                )
            if overdue >= self.kill_ms:
                self._kill(overdue)

    def _look_after_governor(self, overdue: int) -> None:
        """A loop that runs without a governor is closed like one that stands, but not ended."""
        if overdue < self.pause_ms:
            self._ungoverned = False
        elif not self._ungoverned and self.gate.mutations_open:
            self._ungoverned = True
            self._close_entries()
            _shout(
                f"ALERT CRIT {ReasonCode.LOOP_STUCK_PAUSE} "
                f"the governor has not answered for {overdue} ms; entries are closed"
            )

    def _close_entries(self) -> None:
        if self.gate.entries_open:
            self.gate.pause_from_outside()

    def _kill(self, overdue: int) -> None:
        try:
            self._write_note(overdue)
        except OSError as error:
            _shout(
                f"ALERT CRIT {ReasonCode.WATCHDOG_KILL} "
                f"the crash note could not be written: {error}"
            )
        finally:
            os._exit(ExitCode.WATCHDOG)

    def _write_note(self, overdue: int) -> None:
        with self.note.open("a", encoding="utf-8") as out:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            out.write(
                f"{stamp} {ReasonCode.WATCHDOG_KILL} the event loop was blocked for {overdue} ms\n"
            )
            out.flush()
            faulthandler.dump_traceback(file=out, all_threads=True)


def _shout(line: str) -> None:
    """Straight to stderr: the loop is blocked, and the log's writer may be, too."""
    # Nobody may be reading; a watchdog that dies of it would guard nothing.
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)  # noqa: T201
