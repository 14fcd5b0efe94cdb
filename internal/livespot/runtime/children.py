"""Ends child processes without holding up the event loop."""

from typing import Protocol

from livespot.contracts.ports import Clock

_LOOK_SECONDS = 0.02
_LONGEST_SECONDS = 5.0


class Child(Protocol):
    """What is needed of a `subprocess.Popen`."""

    def poll(self) -> int | None: ...

    def kill(self) -> None: ...


async def ended(child: Child, wall: Clock) -> int | None:
    """Kill the child if it still runs, and return its exit code, also while being cancelled.

    None when it has not ended after five seconds: the kernel holds a process that waits for a disk.
    Python reaps it later.
    """
    if child.poll() is None:
        child.kill()
        with wall.move_on_after(_LONGEST_SECONDS, shield=True):
            while child.poll() is None:
                await wall.sleep(_LOOK_SECONDS)
    return child.poll()
