"""Tells a service manager how the process stands, in the datagrams that systemd listens for."""

import contextlib
import socket
from collections.abc import Callable

import anyio

from livespot.contracts.vocabulary import SysMode
from livespot.runtime.clock import SystemClock

_LOOK_SECONDS = 0.5


class ServiceNotice:
    """Sends to the socket that `NOTIFY_SOCKET` names; with an empty address it is silent.

    A leading `@` means the abstract name space. Sending never waits: a manager that does not read
    must not hold up the loop, nor the thread that watches it.
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
        """Every actor runs; from here on the manager counts the beats.

        Named so that a notice can be passed as the status of a task that starts.
        """
        del value
        self._send("READY=1")

    def alive(self) -> None:
        """One beat of the manager's watchdog; only the thread that watches the loop says it."""
        self._send("WATCHDOG=1")

    def mode(self, mode: SysMode) -> None:
        """The line that `systemctl status` shows."""
        self._send(f"STATUS={mode}")

    def stopping(self) -> None:
        """The ordered end has begun; the manager's stop deadline counts from here."""
        self._send("STOPPING=1")

    async def follow(self, mode_now: Callable[[], SysMode], ending: anyio.Event) -> None:
        """Say every change of mode, and at last that the end has begun."""
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
        # Lost news only make the manager think worse of us; to fail over them would prove it right.
        with contextlib.suppress(OSError):
            self._socket.sendto(message.encode(), self._address)
