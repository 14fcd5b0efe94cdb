"""The one shared value: whether an entry may leave right now.

Tightening closes it before anything is audited or broadcast, so that an entry decided in NORMAL and
overtaken by a DEGRADE is not sent. Read it synchronously, with no await before the first byte.
"""

from livespot.contracts.vocabulary import SysMode


class SendGate:
    """Written by the governor alone; everybody else only reads."""

    def __init__(self, mode: SysMode = SysMode.DEGRADE) -> None:
        self._mode = mode

    @property
    def mode(self) -> SysMode:
        return self._mode

    @property
    def entries_open(self) -> bool:
        return self._mode is SysMode.NORMAL

    @property
    def mutations_open(self) -> bool:
        """Risk-reducing mutations stay possible until the process is leaving for good."""
        return self._mode is not SysMode.EXIT

    def set(self, mode: SysMode) -> None:
        self._mode = mode
