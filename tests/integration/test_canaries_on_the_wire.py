"""The same twenty-four secrets: in no answer of the panel, no request to the gate, no free page."""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import anyio
import httpx
import pytest
from tests.integration.test_canaries import CANARIES, found_below, found_in, write_planted, written

from livespot.contracts.redaction import Redactor
from livespot.contracts.secret import Secret
from livespot.gate.client import GateClient
from livespot.gate.prompts import chat_request, gate_input, load_prompt
from livespot.panel.app import ROUTES
from livespot.rules.retention import backup_name
from livespot.store.upkeep_process import BackupOrder, back_up
from livespot.testing import ledger_rows as rows
from livespot.testing.market_values import a_snapshot
from livespot.testing.risk_values import an_entry
from livespot.testing.scripted_http import ScriptedHttp, answer
from livespot.testing.served_panel import Served, panel, raw

_PROMPTS = Path(__file__).resolve().parents[2] / "prompts"
_PROMPT = load_prompt(lambda path: (_PROMPTS / path).read_bytes())
_WORD = re.compile(r"[A-Za-z0-9_.:-]+")
_STREAM = "/api/stream"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds everything the exchange, the operator and the alerts said, each with a secret in it."""
    var = tmp_path_factory.mktemp("var")
    anyio.run(write_planted, var, Redactor(CANARIES))
    return var / "data" / "audit.sqlite"


def _audited(served: Served) -> bytes:
    return repr(served.audited).encode()


async def _heads(port: int, requests: Iterable[bytes]) -> bytes:
    return b"".join([await raw(port, request) for request in requests])


@pytest.mark.slow
async def test_no_answer_of_the_panel_quotes_a_secret_of_the_database(database: Path) -> None:
    paths = [*sorted(ROUTES - {_STREAM}), f"/api/decisions/{rows.RUN}", "/api/intents/oi_a"]
    async with panel(database) as served, httpx.AsyncClient(base_url=served.base) as client:
        bodies = [(await client.get(path)).content for path in paths]
        async with client.stream("GET", _STREAM) as stream:
            lines = stream.aiter_lines()
            bodies += [(await anext(lines)).encode() for _ in range(12)]

    assert sum(len(body) > 0 for body in bodies) > len(paths) // 2
    assert [number for body in bodies for number in found_in(body)] == []


@pytest.mark.slow
async def test_what_a_client_says_is_neither_echoed_nor_audited(database: Path) -> None:
    async with panel(database) as served, httpx.AsyncClient(base_url=served.base) as client:
        for secret in CANARIES:
            said = quote(secret, safe="")
            answers = [
                await client.get(path, headers={"x-said": said, "cookie": f"a={said}"})
                for path in (f"/{said}", f"/api/orders?limit={said}", f"/dashboard?token={said}")
            ]
            if _WORD.fullmatch(secret):
                answers += [
                    await client.get(f"/api/decisions/{secret}"),
                    await client.get(f"/api/intents/{secret}"),
                ]
            shown = b"".join(answer.content + repr(answer.headers).encode() for answer in answers)
            assert found_in(shown) == set()
        head = f"GET /dashboard HTTP/1.1\r\nhost: {CANARIES[0]}\r\n\r\n".encode()
        verb = f"{CANARIES[1]} / HTTP/1.1\r\nhost: 127.0.0.1:{served.port}\r\n\r\n".encode()
        assert found_in(await _heads(served.port, (head, verb))) == set()

    assert found_in(_audited(served)) == set()


async def test_the_gate_gets_its_own_key_in_one_header_and_no_secret_elsewhere() -> None:
    body = b'{"choices": [{"message": {"content": "{}"}, "finish_reason": "stop"}]}'
    wire = ScriptedHttp(*(answer(body) for _ in CANARIES))
    asked = gate_input(an_entry(), a_snapshot(), _PROMPT)
    for number, secret in enumerate(CANARIES):
        client = GateClient(
            transport=wire,
            base_url="http://127.0.0.1:1/v1",
            key=Secret(secret),
            timeout_seconds=1.0,
        )
        await client.complete(chat_request(asked, _PROMPT, model="a-model"))
        sent = wire.asked[-1]
        assert sent.headers.pop("authorization") == f"Bearer {secret}"
        assert found_in(f"{sent.url} {sent.headers}".encode() + sent.content) == set(), number


@pytest.mark.slow
def test_free_pages_and_a_backup_hold_no_secret(database: Path, tmp_path: Path) -> None:
    """What was deleted stays in the file until something is written over it."""
    made = back_up(
        BackupOrder(
            database=str(database), directory=str(tmp_path), name=backup_name(rows.NOW_MS), keep=14
        )
    )
    with closing(sqlite3.connect(tmp_path / made.name, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        for table in ("alerts", "operator_commands"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608  two literals
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()

    assert free > 0
    assert found_below(tmp_path) == {}


def test_the_free_pages_are_searched(tmp_path: Path) -> None:
    path = tmp_path / "free.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE said (text TEXT)")
        for text in written(CANARIES[3]).values():
            connection.execute("INSERT INTO said VALUES (?)", (text * 200,))
        connection.execute("DELETE FROM said")

    assert found_below(tmp_path) == {str(path): {3}}
