"""The program's log of a replay, written synchronously and stamped with market time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from structlog.typing import EventDict, WrappedLogger

from livespot.contracts.ports import Clock
from livespot.contracts.redaction import Redactor
from livespot.runtime.logs import masking
from livespot.runtime.replay_loop import LIFE


@contextmanager
def inline_logs(path: Path, *, clock: Clock, redactor: Redactor) -> Iterator[None]:
    """Send the program's own log lines to one file; the previous configuration is restored."""

    def stamp(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        del logger, name
        event["ts_ms"] = clock.now_ms()
        event["life"] = LIFE.get()
        return event

    with path.open("w", encoding="utf-8") as file:
        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                stamp,
                structlog.processors.format_exc_info,
                masking(redactor),
                structlog.processors.JSONRenderer(default=lambda it: redactor.text(repr(it))),
            ],
            wrapper_class=structlog.BoundLogger,
            logger_factory=structlog.WriteLoggerFactory(file),
            cache_logger_on_first_use=False,
        )
        try:
            yield
        finally:
            structlog.reset_defaults()
