"""Handles the signals that ask the process to end, so that none of them cuts the end short."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def ended_by_signals(asked: Callable[[str], object]) -> Iterator[None]:
    """Inside the block, pass the name of each such signal to `asked`, on the event loop.

    Main thread only. Once a signal has come, later ones are ignored for the rest of the process:
    what is left to do after the block is short, and must not be left half done. Handlers are
    replaced without a gap in which a signal would kill the process.
    """
    if sys.platform == "win32":
        # On Windows Ctrl-C arrives as KeyboardInterrupt and cancels the main task.
        yield
        return
    loop, came = asyncio.get_running_loop(), False

    def heard(number: int, frame: FrameType | None) -> None:
        del frame
        nonlocal came
        came = True
        loop.call_soon_threadsafe(asked, signal.Signals(number).name)

    # A closed terminal (SIGHUP) must end the run in the same order as a stopped service.
    before = {
        number: signal.signal(number, heard) for number in map(signal.Signals.__getitem__, _NAMES)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if came else handler)
