"""The one shared value: whether an entry may leave right now.

Tightening closes it before anything is audited or broadcast, so that an entry decided in NORMAL and
overtaken by a DEGRADE is not sent. Read it synchronously, with no await before the first byte.
"""

from collections.abc import Callable

from livespot.contracts.vocabulary import SysMode


class SendGate:
    """Written by the governor, sealed by the system at the very end; others only read.

    Entries may also be closed by whoever notices that nobody governs; only the governor opens them.
    """

    def __init__(self, mode: SysMode = SysMode.DEGRADE) -> None:
        self._mode = mode
        self._sealed = False
        self._told: Callable[[], object] = _nobody_asked

    @property
    def mode(self) -> SysMode:
        return self._mode

    @property
    def entries_open(self) -> bool:
        return self._mode is SysMode.NORMAL and not self._sealed

    @property
    def mutations_open(self) -> bool:
        """Risk-reducing mutations stay possible in every mode, also while the process leaves.

        An ordered end has to cancel working entries and to protect or sell what is bare.
        """
        return not self._sealed

    def tell(self, told: Callable[[], object]) -> None:
        """Call `told` in the loop at each change made there, before anybody hears of it by mail."""
        self._told = told

    def set(self, mode: SysMode) -> None:
        self._mode = mode
        self._told()

    def close_entries(self) -> None:
        """No entry leaves until the governor sets a mode that allows it."""
        if self._mode is SysMode.NORMAL:
            self.set(SysMode.DEGRADE)

    def pause_from_outside(self) -> None:
        """For a thread beside the loop, where nothing may be called that belongs to it."""
        self._mode = SysMode.PAUSE

    def seal(self) -> None:
        """Trading has been wound down; from here on nothing leaves this process any more."""
        self._sealed = True


def _nobody_asked() -> None:
    """Until somebody wants to be told."""
