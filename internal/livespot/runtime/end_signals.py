"""Signals that ask the process to end: the first is heeded, and none cuts the end short."""

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


@contextmanager
def ended_by_signals(asked: Callable[[str], object]) -> Iterator[None]:
    """Meanwhile `asked` is told the name of each signal, on the running loop. Main thread only.

    Once one has come, later ones are ignored for the rest of the process: what is left to do is
    short, and half of it would be worse than none. A handler is only ever replaced by the next,
    so that there is no moment at which a signal kills.
    """
    if sys.platform == "win32":
        # There Ctrl-C arrives as KeyboardInterrupt and ends the loop by cancellation.
        yield
        return
    loop, came = asyncio.get_running_loop(), False

    def heard(number: int, frame: FrameType | None) -> None:
        del frame
        nonlocal came
        came = True
        loop.call_soon_threadsafe(asked, signal.Signals(number).name)

    # A closed terminal (SIGHUP) must end as orderly as a stopped service.
    before = {
        number: signal.signal(number, heard) for number in map(signal.Signals.__getitem__, _NAMES)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if came else handler)
