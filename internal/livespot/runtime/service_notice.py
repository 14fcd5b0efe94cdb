"""Reports the state of the process to a service manager (systemd's notification protocol)."""

import contextlib
import socket
from collections.abc import Callable

import anyio

from livespot.contracts.vocabulary import SysMode
from livespot.runtime.clock import SystemClock

_LOOK_SECONDS = 0.5


class ServiceNotice:
    """Sends to the socket that `NOTIFY_SOCKET` names; with an empty address it does nothing.

    A leading `@` means the abstract namespace. Sending never waits: a manager that does not read
    must not hold up the loop or the watchdog's thread.
    """

    def __init__(self, address: str) -> None:
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address and hasattr(socket, "AF_UNIX"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.settimeout(0)

    def __enter__(self) -> "ServiceNotice":
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()

    def started(self, value: None = None) -> None:
        """Report that every actor runs; the manager's watchdog counts from here.

        The signature is that of a task status, so that a notice can be passed as one.
        """
        del value
        self._send("READY=1")

    def alive(self) -> None:
        """Send one watchdog beat; only called from the thread that watches the loop."""
        self._send("WATCHDOG=1")

    def mode(self, mode: SysMode) -> None:
        """Set the line that `systemctl status` shows."""
        self._send(f"STATUS={mode}")

    def stopping(self) -> None:
        """Report that the ordered end has begun; the manager's stop timeout counts from here."""
        self._send("STOPPING=1")

    async def follow(self, mode_now: Callable[[], SysMode], ending: anyio.Event) -> None:
        """Report every change of mode until the run ends, then the end."""
        told, clock = None, SystemClock()
        while not ending.is_set():
            mode = mode_now()
            if mode is not told:
                self.mode(mode)
                told = mode
            with clock.move_on_after(_LOOK_SECONDS):
                await ending.wait()
        self.mode(mode_now())
        self.stopping()

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        # A lost datagram at worst makes the manager restart us. Failing here would do that for
        # certain.
        with contextlib.suppress(OSError):
            self._socket.sendto(message.encode(), self._address)
