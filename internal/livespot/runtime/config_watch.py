"""Raises an alert when the configuration file no longer is what the run was started with."""

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
    """Checks the file by the `wall` clock; its alerts bear `market` time. `path` may not exist.

    The run itself never reads the file again; the alert says that the next start will.
    """

    path: Path
    config_hash: str
    wall: Clock
    market: Clock
    tell: Callable[[Alert], object]

    async def run(self) -> None:
        """Check until cancelled; each new content raises one alert."""
        begun = seen = self._content()
        while True:
            await self.wall.sleep(_EVERY_SECONDS)
            now = self._content()
            if now != seen:
                seen = now
                self.tell(self._changed() if now != begun else self._restored())

    def _content(self) -> bytes | None:
        """Return the file's bytes; None when it is missing or cannot be read."""
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
