"""The watchdog: a thread that notices a blocked event loop while it is blocked."""

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
# One beat a second is enough for a manager whose timeout is minutes.
_CHECKS_PER_WORD = 10


class Heartbeats:
    """When each part of the runtime last showed that it is alive, in monotonic market ms.

    The loop writes and the watchdog's thread reads; the thread writes only its own beat. A
    dictionary of integers needs no lock for that.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: dict[str, int] = {}

    def beat_of(self, name: str) -> Callable[[], None]:
        """Return the function that an actor calls on each pass of its loop; beats once itself."""
        self._last[name] = self._clock.monotonic_ms()

        def beat() -> None:
            self._last[name] = self._clock.monotonic_ms()

        return beat

    def forget(self, name: str) -> None:
        """Stop watching a part that has ended on purpose."""
        self._last.pop(name, None)

    def overdue_ms(self) -> dict[str, int]:
        """Return how many ms ago each part last beat."""
        now = self._clock.monotonic_ms()
        return {name: now - last for name, last in list(self._last.items())}


@dataclass(slots=True, kw_only=True)
class Watchdog:
    """Watches the loop's tick and the governor's beat from a thread of its own.

    When either is overdue by `pause_ms`, it closes the send gate from outside. When the loop is
    blocked for `kill_ms`, it writes a crash note with every thread's stack and ends the process, so
    that the service manager restarts it. While the loop is in time, `alive` is called about once a
    second. Its own beat, under `watchdog`, is watched by the health actor.
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
        # Beat before the thread starts, so that a thread that never runs is missed as well.
        self.heartbeats.beat_of(_NAME)
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.heartbeats.forget(_NAME)
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2)

    def take_worst_ms(self) -> int:
        """Return by how many ms the loop was overdue at most since the last call."""
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
                _write_to_stderr(
                    f"ALERT CRIT {ReasonCode.LOOP_STUCK_PAUSE} "
                    f"the event loop has not run for {overdue} ms"
                )
            if overdue >= self.kill_ms:
                self._kill(overdue)

    def _look_after_governor(self, overdue: int) -> None:
        """Close entries when only the governor hangs; that does not end the process."""
        if overdue < self.pause_ms:
            self._ungoverned = False
        elif not self._ungoverned and self.gate.mutations_open:
            self._ungoverned = True
            self._close_entries()
            _write_to_stderr(
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
            _write_to_stderr(
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


def _write_to_stderr(line: str) -> None:
    """Write straight to stderr: the loop is blocked, and the log's writer may be as well."""
    # stderr may be closed; an error here would end the watchdog.
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)  # noqa: T201
