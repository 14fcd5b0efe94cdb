"""Program logs: JSON lines to files for machines, short lines to stderr for people."""

import logging
import logging.handlers
import queue
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from livespot.contracts.ports import Clock
from livespot.contracts.secret import Secret

_MAX_BYTES = 20_000_000
_KEEP = 5
_QUIET = ("httpx", "httpcore", "websockets", "uvicorn", "asyncio")


def configure_logs(
    directory: Path, *, clock: Clock, secrets: Sequence[Secret], run_id: str
) -> Callable[[], None]:
    """Send every log line to `livespot.log`, errors also to `livespot.error.log`.

    Writing happens on a thread of its own, so that a slow disk never stops the loop. Returns the
    function that flushes and ends it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    handlers = [
        _file_handler(directory / "livespot.log", logging.INFO),
        _file_handler(directory / "livespot.error.log", logging.ERROR),
    ]
    lines: queue.Queue[Any] = queue.Queue(10_000)
    listener = logging.handlers.QueueListener(lines, *handlers, respect_handler_level=True)
    root = logging.getLogger()
    root.handlers = [logging.handlers.QueueHandler(lines)]
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _stamper(clock, run_id),
            structlog.processors.format_exc_info,
            masking(secrets),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    listener.start()

    def close() -> None:
        listener.stop()
        for handler in handlers:
            handler.close()
        root.handlers = [logging.StreamHandler(sys.stderr)]
        structlog.reset_defaults()

    return close


def masking(secrets: Sequence[Secret]) -> Processor:
    """A processor that replaces every live secret value in any string of an event."""
    values = tuple(secret.reveal() for secret in secrets if len(secret.reveal()) >= 8)

    def mask(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        del logger, name
        return {key: _masked(value, values) for key, value in event.items()}

    return mask


def _masked(value: Any, values: tuple[str, ...]) -> Any:
    if not isinstance(value, str):
        return value
    for secret in values:
        value = value.replace(secret, "***")
    return value


def _stamper(clock: Clock, run_id: str) -> Processor:
    def stamp(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        del logger, name
        event["ts_ms"] = clock.now_ms()
        event["run_id"] = run_id
        return event

    return stamp


def _file_handler(path: Path, level: int) -> logging.Handler:
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=_MAX_BYTES, backupCount=_KEEP, encoding="utf-8"
    )
    handler.setLevel(level)
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler
