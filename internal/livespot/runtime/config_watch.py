"""Says when the configuration file is no longer the one that this run was started with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from livespot.contracts.codes import ReasonCode
from livespot.contracts.ports import Clock
from livespot.contracts.system import Alert
from livespot.contracts.vocabulary import Severity

_EVERY_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigWatch:
    """Looks by the `wall` clock and dates its alerts by the `market` one; `path` may not exist.

    The run itself never reads the file again: what is told is only that the next one will differ.
    """

    path: Path
    config_hash: str
    wall: Clock
    market: Clock
    tell: Callable[[Alert], object]

    async def run(self) -> None:
        """Look until cancelled; each new content is told once."""
        begun = seen = self._content()
        while True:
            await self.wall.sleep(_EVERY_SECONDS)
            now = self._content()
            if now != seen:
                seen = now
                self.tell(self._changed() if now != begun else self._restored())

    def _content(self) -> bytes | None:
        """None for a file that is not there, or that cannot be read."""
        try:
            return self.path.read_bytes()
        except OSError:
            return None

    def _changed(self) -> Alert:
        return self._alert(
            Severity.WARN,
            f"{self.path} has changed since this run began: the run goes on with configuration "
            f"{self.config_hash[:12]}, the next start reads the file",
        )

    def _restored(self) -> Alert:
        text = f"{self.path} is again what this run was started with"
        return self._alert(Severity.INFO, text)

    def _alert(self, severity: Severity, text: str) -> Alert:
        return Alert(
            severity=severity,
            code=ReasonCode.STRAT_CONFIG_INVALID,
            reasons=(),
            text=text,
            at_ms=self.market.now_ms(),
        )
