"""Twenty-four planted secrets, in eight encodings each, leave the process through no sink."""

import base64
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import anyio
import msgspec
import pytest
import structlog

from livespot.contracts.canonical import canonical_json
from livespot.contracts.chain import Place, SealedEvent, seal
from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import Unreachable
from livespot.contracts.records import AlertRow, OperatorCommandRow, Record, RunEnded
from livespot.contracts.redaction import Redactor
from livespot.contracts.secret import Secret
from livespot.contracts.system import Alert, OperatorCommand
from livespot.contracts.vocabulary import Mode, OperatorAction, Severity
from livespot.evidence.run_folder import Whereabouts, complete
from livespot.gate.client import GateClient, GateFailed
from livespot.panel.database import opened
from livespot.panel.snapshot import Vantage, read_dashboard
from livespot.runtime.disk import RealDisk
from livespot.runtime.logs import configure_logs
from livespot.store.reader import ReadOnlyDatabase
from livespot.store.trail import JsonlTrail
from livespot.testing import ledger_rows as rows
from livespot.testing.clock import ManualClock
from livespot.testing.scripted_http import ScriptedHttp, answer

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"
_ODD = _LETTERS + '+/=&?%"\\-_. '


def _canaries() -> tuple[str, ...]:
    """Keys of 64 letters, tokens with odd signs, and texts of several lines; always the same."""
    draw = random.Random(24)  # noqa: S311  canaries, no keys
    plain = ["".join(draw.choices(_LETTERS, k=64)) for _ in range(12)]
    odd = ["".join(draw.choices(_ODD, k=40)).strip() for _ in range(10)]
    pem = ["\n".join("".join(draw.choices(_LETTERS, k=48)) for _ in range(3)) for _ in range(2)]
    return (*plain, *odd, *pem)


CANARIES = _canaries()


def written(secret: str) -> dict[str, str]:
    """The eight encodings, each as somebody would meet it in a text."""
    raw = secret.encode()
    return {
        "raw": secret,
        "url": quote(secret, safe=""),
        "base64 at 0": base64.b64encode(raw).decode(),
        "base64 at 1": base64.b64encode(b"x" + raw).decode(),
        "base64 at 2": base64.b64encode(b"xy" + raw).decode(),
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
        "json": json.dumps(secret)[1:-1],
        "reversed": secret[::-1],
    }


def traces(secret: str) -> Iterator[bytes]:
    """What must not be found: of base64, the part that does not depend on the neighbours."""
    for name, text in written(secret).items():
        if name.startswith("base64"):
            shift = int(name[-1])
            yield text.rstrip("=")[(0, 2, 3)[shift] : -1].encode()
        else:
            yield text.encode()


TRACES = {(number, trace) for number, secret in enumerate(CANARIES) for trace in traces(secret)}


def found_in(content: bytes) -> set[int]:
    """The numbers of the canaries that can be read in it."""
    return {number for number, trace in TRACES if trace in content}


def found_below(var: Path) -> dict[str, set[int]]:
    """The same for every file, database pages and WAL included."""
    found = {str(path): found_in(path.read_bytes()) for path in var.rglob("*") if path.is_file()}
    return {path: numbers for path, numbers in found.items() if numbers}


def planted() -> list[str]:
    return [
        f"the exchange said {text} of {name}"
        for secret in CANARIES
        for name, text in written(secret).items()
    ]


async def write_planted(var: Path, redactor: Redactor) -> list[SealedEvent]:
    """Every planted text through the audit: event data, alert, operator's reason."""
    path = rows.fresh(var)
    database = await rows.opened(path, redactor)
    events: list[SealedEvent] = []
    try:
        for number, text in enumerate(planted(), start=1):
            records: list[Record] = [rows.run_started()] if number == 1 else []
            records += [_alert(text), _command(number, text)]
            data = redactor.event_data({"said": text, "inner": {"list": [text]}}, 4096)
            place = Place(
                run_id=rows.RUN,
                mode=Mode.SIM,
                seq=number,
                ts_ms=rows.NOW_MS + number,
                prev_hash=events[-1].hash if events else "",
            )
            events.append(seal(rows.draft(number), data, place))
            await database.transaction([events[-1], *records])
        await database.transaction(
            [
                RunEnded(
                    run_id=rows.RUN,
                    ended_at_ms=rows.NOW_MS + 999,
                    exit_code=0,
                    reasons=(),
                    clean=True,
                )
            ]
        )
        # Before closing, while most of it is still in the WAL.
        assert (var / "data" / "audit.sqlite-wal").stat().st_size > 0
        assert found_below(var) == {}
    finally:
        await database.close()
    return events


def _alert(text: str) -> AlertRow:
    return AlertRow(
        alert=Alert(
            severity=Severity.INFO, code=ReasonCode.ALERT_RAISED, reasons=(), text=text, at_ms=1
        )
    )


def _command(number: int, text: str) -> OperatorCommandRow:
    command = OperatorCommand(
        action=OperatorAction.PAUSE, reason=text, nonce=f"n{number}", at_ms=rows.NOW_MS
    )
    return OperatorCommandRow(command=command, outcome=text)


async def test_neither_database_nor_trail_nor_report_nor_panel_holds_a_secret(
    tmp_path: Path,
) -> None:
    events = await write_planted(tmp_path, Redactor(CANARIES))
    (tmp_path / "logs").mkdir()
    database = tmp_path / "data" / "audit.sqlite"
    reader = ReadOnlyDatabase(database)
    JsonlTrail(RealDisk(), tmp_path / "logs", reader).append(events)
    where = Whereabouts(
        reader=reader,
        database=database,
        logs=tmp_path / "logs",
        runs=tmp_path / "runs",
        checkout=tmp_path,
    )
    await complete(RealDisk(), where, rows.RUN, None)
    async with opened(database) as panel:
        board = await read_dashboard(panel, Vantage(now_ms=rows.NOW_MS))

    assert (tmp_path / "runs" / rows.RUN / "report.html").is_file()
    assert found_below(tmp_path) == {}
    assert found_in(msgspec.json.encode(board)) == set()


def test_the_search_finds_what_is_not_masked(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"audit\.sqlite"):
        anyio.run(write_planted, tmp_path, Redactor())


def test_no_log_line_and_no_logged_exception_holds_a_secret(tmp_path: Path) -> None:
    close = configure_logs(
        tmp_path,
        clock=ManualClock(),
        secrets=[Secret(secret) for secret in CANARIES],
        run_id=rows.RUN,
    )
    log = structlog.get_logger("canaries")
    try:
        for text in planted():
            log.warning(text, said=text, deep={"list": [text]})
            try:
                int(text)
            except ValueError:
                log.exception("it_broke")
    finally:
        close()

    assert (tmp_path / "livespot.error.log").stat().st_size > 0
    assert found_below(tmp_path) == {}


@pytest.mark.parametrize("secret", CANARIES, ids=range(len(CANARIES)))
async def test_no_failure_of_the_gate_quotes_its_key_or_its_answer(secret: str) -> None:
    said = canonical_json({"error": {"message": f"Incorrect API key: {secret}"}})
    wire = ScriptedHttp(answer(said, 401), answer(said), Unreachable(f"sent {secret}"))
    client = GateClient(
        transport=wire, base_url="http://127.0.0.1:1/v1", key=Secret(secret), timeout_seconds=1.0
    )
    for _ in range(3):
        with pytest.raises(GateFailed) as failed:
            await client.complete(b"{}")
        assert found_in(f"{failed.value!r} {failed.value}".encode()) == set()
    assert found_in(repr(client).encode()) == set()
    assert found_in("".join(asked.url for asked in wire.asked).encode()) == set()


def test_a_process_of_ours_shows_no_secret_in_title_or_environment(tmp_path: Path) -> None:
    """What other users of the machine can see of the process and of what it starts."""
    program = (
        "import subprocess, sys, psutil\n"
        "from pathlib import Path\n"
        "from livespot.runtime.environment import environment_of_a_child, read_secrets\n"
        "found = read_secrets(Path('no.env'))\n"
        "assert len(found.all()) >= 3\n"
        "child = subprocess.run([sys.executable, '-c', 'import os; print(dict(os.environ))'],\n"
        "                       env=environment_of_a_child(), capture_output=True, text=True)\n"
        "print(psutil.Process().cmdline(), repr(found), child.stdout)\n"
    )
    names = ("BINANCE_API_KEY", "BINANCE_API_SECRET", "OPENAI_API_KEY")
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **dict(zip(names, CANARIES[:3], strict=True))},
        cwd=tmp_path,
        capture_output=True,
        check=True,
    )

    assert b"PATH" in shown.stdout
    assert found_in(shown.stdout + shown.stderr) == set()


def test_there_are_as_many_as_promised() -> None:
    assert len(set(CANARIES)) == 24
    assert len(written(CANARIES[0])) >= 8
