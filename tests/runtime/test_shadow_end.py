"""How a shadow run that breaks stands on record: with its exit code, or without an end."""

import sqlite3
from contextlib import closing
from pathlib import Path

import anyio
import msgspec
import pytest

from livespot.contracts.codes import ReasonCode
from livespot.contracts.errors import ExitCode
from livespot.runtime.config import load_settings
from livespot.runtime.console import LiveConsole, Watched
from livespot.runtime.paths import Paths
from livespot.runtime.shadow_run import ShadowOrder, run_shadow, without_gate
from livespot.runtime.supervisor import ActorKeptFailing
from livespot.testing.webhook_catcher import catching

pytestmark = pytest.mark.slow


def _order(var: Path, more: str = "") -> ShadowOrder:
    """Nobody answers at these addresses, so the exchange is never reached."""
    text = (
        '[venue]\nrest_url = "http://127.0.0.1:9"\nws_url = "ws://127.0.0.1:9"\n'
        'ws_api_url = "ws://127.0.0.1:9"\n[panel]\nport = 18797\n'
        f"{more}"
    )
    return ShadowOrder(paths=Paths(var=var), loaded=without_gate(load_settings(text, path="")))


def _end_on_record(paths: Paths) -> tuple[bool, int]:
    """Whether the run's end is on record, and its exit code there."""
    with closing(sqlite3.connect(paths.database)) as database:
        ended_at_ms, code = database.execute("SELECT ended_at_ms, exit_code FROM runs").fetchone()
    return ended_at_ms > 0, int(code)


async def test_a_fatal_error_is_the_exit_code_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def watch(_self: LiveConsole, _running: Watched) -> None:
        raise ActorKeptFailing("an actor failed three times")

    monkeypatch.setattr(LiveConsole, "watch", watch)
    order = _order(tmp_path)

    code = await run_shadow(order)

    assert code is ActorKeptFailing.exit_code
    assert code is not ExitCode.CLEAN
    assert _end_on_record(order.paths) == (True, code)


async def test_an_audit_that_cannot_be_written_is_told_to_the_webhook(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    order = _order(tmp_path / "shadow", '[alerts]\nwebhook = ".webhook"\n')

    async def watch(_self: LiveConsole, _running: Watched) -> None:
        with closing(sqlite3.connect(order.paths.database)) as database:
            database.execute("ALTER TABLE audit_events RENAME COLUMN prev_hash TO another")
        await anyio.sleep_forever()

    monkeypatch.setattr(LiveConsole, "watch", watch)
    async with catching() as catcher:
        address = tmp_path / ".webhook"
        address.write_text(catcher.url, encoding="utf-8")
        address.chmod(0o600)

        code = await run_shadow(order)

    assert code is ExitCode.AUDIT_UNWRITABLE
    last = msgspec.json.decode(catcher.caught[-1].body)
    assert (last["severity"], last["code"]) == ("CRIT", ReasonCode.AUDIT_WRITE_FAILED)
    assert "the audit cannot be written" in capsys.readouterr().out


async def test_an_unexpected_error_leaves_no_orderly_end_on_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def watch(_self: LiveConsole, _running: Watched) -> None:
        raise LookupError("a defect")

    monkeypatch.setattr(LiveConsole, "watch", watch)
    order = _order(tmp_path)

    with pytest.RaisesGroup(LookupError, flatten_subgroups=True):
        await run_shadow(order)

    assert _end_on_record(order.paths) == (False, -1)
