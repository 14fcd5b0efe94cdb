"""The one shared value of a run: whether an entry may be sent right now.

Tightening closes the gate before anything is audited or broadcast, so that an entry that was
decided in NORMAL is not sent when a DEGRADE overtakes it. Check the gate with no await before the
first byte of the request.
"""

from collections.abc import Callable

from livespot.contracts.vocabulary import SysMode


class SendGate:
    """Written by the governor, sealed by the system at the very end, read by all others.

    Whoever notices that the governor hangs may close entries, too; only the governor opens them.
    """

    def __init__(self, mode: SysMode = SysMode.DEGRADE) -> None:
        self._mode = mode
        self._sealed = False
        self._listener: Callable[[], object] = _no_listener

    @property
    def mode(self) -> SysMode:
        return self._mode

    @property
    def entries_open(self) -> bool:
        return self._mode is SysMode.NORMAL and not self._sealed

    @property
    def mutations_open(self) -> bool:
        """Whether anything may be sent at all: true in every mode until the gate is sealed.

        An ordered end still has to cancel working entries and to protect or sell bare positions.
        """
        return not self._sealed

    def tell(self, told: Callable[[], object]) -> None:
        """Call `told` on each change made on the loop, before the change is sent to any mailbox."""
        self._listener = told

    def set(self, mode: SysMode) -> None:
        self._mode = mode
        self._listener()

    def close_entries(self) -> None:
        """Send no entry until the governor sets a mode that allows entries."""
        if self._mode is SysMode.NORMAL:
            self.set(SysMode.DEGRADE)

    def pause_from_outside(self) -> None:
        """Set PAUSE from another thread; calls no listener, since those belong to the loop."""
        self._mode = SysMode.PAUSE

    def seal(self) -> None:
        """Let nothing leave this process any more: trading has been wound down."""
        self._sealed = True


def _no_listener() -> None:
    """The listener until `tell` sets one."""
