"""The program's logs: one masked JSON line per record, in rotating files."""

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
from livespot.contracts.redaction import Redactor
from livespot.contracts.secret import Secret

_MAX_BYTES = 20_000_000
_KEEP = 5
_QUIET = ("httpx", "httpcore", "websockets", "uvicorn", "asyncio")


def configure_logs(
    directory: Path, *, clock: Clock, secrets: Sequence[Secret], run_id: str
) -> Callable[[], None]:
    """Send every log line to `livespot.log`, errors also to `livespot.error.log`.

    A separate thread writes, so that a slow disk never holds up the loop. Returns the function that
    writes what is queued and ends the thread.
    """
    directory.mkdir(parents=True, exist_ok=True)
    handlers = [
        _file_handler(directory / "livespot.log", logging.INFO),
        _file_handler(directory / "livespot.error.log", logging.ERROR),
    ]
    lines: queue.Queue[Any] = queue.Queue(10_000)
    listener = LineWriter(lines, *handlers)
    root = logging.getLogger()
    root.handlers = [_line_handler(lines, clock=clock, secrets=secrets, run_id=run_id)]
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            *_common(clock, run_id),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
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


def masking(redactor: Redactor) -> Processor:
    """Return a processor that masks an event's fields at every depth, by key, shape and value."""

    def mask(logger: WrappedLogger, name: str, event: EventDict) -> EventDict:
        del logger, name
        masked: EventDict = redactor.data(dict(event))
        return masked

    return mask


class LineWriter(logging.handlers.QueueListener):
    """Writes queued lines on a thread of its own; stopping waits until all of them are written."""

    def __init__(self, lines: queue.Queue[Any], *handlers: logging.Handler) -> None:
        super().__init__(lines, *handlers, respect_handler_level=True)
        self._lines = lines

    def stop(self) -> None:
        # Stopping needs a free place in the queue; behind a slow disk there may be none yet.
        self._lines.join()
        super().stop()


class _LineHandler(logging.handlers.QueueHandler):
    """Reports a line that cannot be queued, without quoting it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        cause = type(sys.exc_info()[1]).__name__
        sys.stderr.write(f"a log line of level {record.levelname} was lost: {cause}\n")


def _line_handler(
    lines: queue.Queue[Any], *, clock: Clock, secrets: Sequence[Secret], run_id: str
) -> logging.Handler:
    """Return a handler that queues each record, ours or a library's, as one masked JSON line."""
    redactor = Redactor(secret.reveal() for secret in secrets)
    handler = _LineHandler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_common(clock, run_id),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                masking(redactor),
                # Values that JSON cannot hold are shown by their `repr`, which may quote anything.
                structlog.processors.JSONRenderer(default=lambda it: redactor.text(repr(it))),
            ],
        )
    )
    return handler


def _common(clock: Clock, run_id: str) -> list[Processor]:
    return [
        structlog.processors.add_log_level,
        _stamper(clock, run_id),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]


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
