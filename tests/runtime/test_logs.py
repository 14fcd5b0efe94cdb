"""No line of any log file shows a secret, whatever carried it there."""

import json
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from livespot.contracts.secret import Secret
from livespot.runtime.logs import LineWriter, configure_logs
from livespot.testing.clock import ManualClock

CANARY = "canary5f1d0c7e93abT2wQ"
PEM = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQ" + CANARY + "\n-----END PRIVATE KEY-----\n"
_QUIETED = ("httpx", "httpcore", "websockets", "uvicorn", "asyncio")


@dataclass
class _Logs:
    directory: Path
    close: Callable[[], None]

    def text(self) -> str:
        """Everything in both files once the last line is written."""
        self.close()
        return "".join(path.read_text(encoding="utf-8") for path in self.directory.iterdir())

    def lines(self, name: str = "livespot.log") -> list[dict[str, Any]]:
        self.close()
        text = (self.directory / name).read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[_Logs]:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    levels = {name: logging.getLogger(name).level for name in _QUIETED}
    close = configure_logs(
        tmp_path / "logs",
        clock=ManualClock(now_ms=42),
        secrets=[Secret(CANARY), Secret(PEM), Secret("")],
        run_id="run_one",
    )
    ended: list[bool] = []

    def close_once() -> None:
        if not ended:
            ended.append(True)
            close()

    yield _Logs(tmp_path / "logs", close_once)
    close_once()
    root.handlers = before
    root.setLevel(level)
    for name, former in levels.items():
        logging.getLogger(name).setLevel(former)


class _Holder:
    """Something only its `repr` can show."""

    def __repr__(self) -> str:
        return f"<holder of {CANARY} and {PEM!r}>"


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(f"before {CANARY} after", id="text"),
        pytest.param({"inner": {"deep": f"x{CANARY}"}}, id="nested-dict"),
        pytest.param([{"a": [CANARY]}, (CANARY,)], id="nested-list"),
        pytest.param({CANARY: 1}, id="key-of-a-dict"),
        pytest.param({f"x{CANARY}"}, id="set"),
        pytest.param(CANARY.encode(), id="bytes"),
        pytest.param(ValueError(CANARY), id="error-object"),
        pytest.param(_Holder(), id="repr"),
        pytest.param(PEM, id="several-lines"),
        pytest.param(CANARY.encode().hex(), id="hex"),
        pytest.param(Secret(CANARY), id="wrapped"),
        pytest.param("/api/v3/order?symbol=BTCUSDT&signature=" + "ab" * 32, id="signed-query"),
    ],
)
def test_a_secret_in_a_field_is_not_shown(logs: _Logs, value: object) -> None:
    structlog.get_logger("test").error("order_refused", detail=value)

    text = logs.text()

    assert text.count("order_refused") == 2
    assert CANARY not in text
    assert CANARY.encode().hex() not in text
    assert "MC4CAQAwBQ" not in text
    assert "ab" * 32 not in text


def test_a_secret_in_the_event_itself_or_its_context_is_not_shown(logs: _Logs) -> None:
    with structlog.contextvars.bound_contextvars(context=[CANARY]):
        structlog.get_logger("test").bind(bound={"a": CANARY}).error(f"refused {CANARY}")

    text = logs.text()

    assert "refused" in text
    assert CANARY not in text


def test_a_field_with_a_sensitive_name_is_not_shown(logs: _Logs) -> None:
    structlog.get_logger("test").info("request_sent", headers={"X-MBX-APIKEY": "another-key-of-us"})

    assert logs.lines()[0]["headers"] == {"X-MBX-APIKEY": "<REDACTED>"}


def _cause() -> None:
    raise ValueError(f"inner {CANARY}")


def _fail() -> None:
    try:
        _cause()
    except ValueError as error:
        error.add_note(f"note {CANARY}")
        raise RuntimeError([CANARY]) from error


def test_a_secret_in_an_exceptions_text_cause_or_note_is_not_shown(logs: _Logs) -> None:
    try:
        _fail()
    except RuntimeError:
        structlog.get_logger("test").exception("run_broke")

    (line,) = logs.lines("livespot.error.log")

    assert "RuntimeError" in line["exception"]
    assert "The above exception was the direct cause" in line["exception"]
    assert CANARY not in logs.text()


def test_a_librarys_own_line_is_masked_too(logs: _Logs) -> None:
    foreign = logging.getLogger("asyncio")
    try:
        _fail()
    except RuntimeError:
        foreign.error("task failed with %s", {"key": CANARY}, exc_info=True, stack_info=True)

    (line,) = logs.lines("livespot.error.log")

    assert line["event"].startswith("task failed with")
    assert "RuntimeError" in line["exception"]
    assert CANARY not in logs.text()


def test_every_line_is_json_with_its_time_run_and_level(logs: _Logs) -> None:
    structlog.get_logger("test").info("ours", amount=3)
    logging.getLogger("a.library").warning("theirs\nin two lines")

    ours, theirs = logs.lines()

    assert ours == {"event": "ours", "amount": 3, "level": "info", "ts_ms": 42, "run_id": "run_one"}
    assert theirs["event"] == "theirs\nin two lines"
    assert (theirs["level"], theirs["ts_ms"], theirs["run_id"]) == ("warning", 42, "run_one")


def test_only_errors_reach_the_error_log(logs: _Logs) -> None:
    log = structlog.get_logger("test")
    log.debug("noise")
    log.warning("mild")
    log.error("bad")

    assert [line["event"] for line in logs.lines()] == ["mild", "bad"]
    assert [line["event"] for line in logs.lines("livespot.error.log")] == ["bad"]


def test_chatty_libraries_are_kept_quiet(logs: _Logs) -> None:
    logging.getLogger("httpx").info("HTTP Request: GET /api/v3/time")

    assert logs.lines() == []


def test_a_line_that_cannot_be_written_is_named_and_not_quoted(
    logs: _Logs, capsys: pytest.CaptureFixture[str]
) -> None:
    circle: list[object] = [CANARY]
    circle.append(circle)

    structlog.get_logger("test").error("round_and_round", detail=circle)

    assert logs.text() == ""
    assert capsys.readouterr().err == "a log line of level ERROR was lost: RecursionError\n"


def test_logs_that_are_closed_while_the_queue_is_full_lose_no_line() -> None:
    disk_answers = threading.Event()
    lines: queue.Queue[Any] = queue.Queue(2)
    written: list[str] = []

    class SlowFile(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            disk_answers.wait(5)
            written.append(record.getMessage())

    listener = LineWriter(lines, SlowFile())
    listener.start()
    for number in range(3):
        lines.put(logging.makeLogRecord({"msg": f"line {number}", "levelno": logging.INFO}))
    closing = threading.Thread(target=listener.stop)
    closing.start()

    disk_answers.set()
    closing.join(5)

    assert written == ["line 0", "line 1", "line 2"]
