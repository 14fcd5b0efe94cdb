"""Runs a program's main coroutine on the fastest loop the platform has."""

import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar, TypeVarTuple

import anyio

T = TypeVar("T")
Args = TypeVarTuple("Args")


def run_loop(main: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
    """Run `main` to its end.

    Before the program's own handler is set, Ctrl-C cancels it as usual.
    """
    fast = sys.platform != "win32"
    return anyio.run(main, *args, backend_options={"use_uvloop": fast})
