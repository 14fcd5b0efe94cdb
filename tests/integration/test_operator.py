"""What an operator asks of a running process happens, is recorded, and shows in the exit code."""

import signal
from pathlib import Path

import msgspec
import pytest

from livespot.contracts.errors import ExitCode
from livespot.testing.two_books import disagreements
from livespot.testing.webhook_catcher import catching
from livespot.testing.workshop import PATIENT, workshop

_OUTCOMES = "SELECT action, reason, outcome <> '' FROM operator_commands ORDER BY at_ms, nonce"
_RELEASE = "SELECT outcome FROM operator_commands WHERE action = 'RELEASE'"


@pytest.mark.slow
async def test_pause_resume_pause_and_stop(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        await shop.exchange()
        var = ("--var", str(shop.paths.var))
        run = shop.sim("--resume")
        await shop.mode("NORMAL", by=run)

        await shop.call("pause", "--reason", "news", *var)
        await shop.mode("PAUSE", by=run)
        await shop.call("resume", "--reason", "looked", *var)
        await shop.mode("DEGRADE", by=run)
        await shop.mode("NORMAL", by=run)
        await shop.call("pause", *var)
        await shop.mode("PAUSE", by=run)
        await shop.call("release", "SOLUSDT", "--reason", "looked again", *var)
        await shop.call("stop", "--reason", "enough", *var)

        assert await run.ended() == ExitCode.PAUSED
        assert "Traceback" not in run.errors
        assert shop.rows(_OUTCOMES) == [
            ("PAUSE", "news", 1),
            ("RESUME", "looked", 1),
            ("PAUSE", "", 1),
            ("RELEASE", "looked again", 1),
            ("STOP", "enough", 1),
        ]
        assert shop.rows(_RELEASE) == [("refused: SOLUSDT is not quarantined",)]
        assert shop.rows("SELECT exit_code, clean FROM runs") == [(ExitCode.PAUSED, 1)]
        assert list(shop.paths.control.iterdir()) == []
        assert await disagreements(shop.paths) == []
        assert shop.processes() == []


@pytest.mark.slow
async def test_a_run_that_ended_in_pause_begins_in_pause(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        await shop.exchange()
        pid = shop.state().pid
        first = shop.sim("--resume")
        await shop.mode("NORMAL", by=first)
        await shop.call("pause", "--var", str(shop.paths.var))
        await shop.mode("PAUSE", by=first)
        # A killed process leaves its exchange to the next one.
        first.signal(signal.SIGKILL)
        await first.ended()

        second = shop.sim("--resume")
        await shop.mode("PAUSE", by=second, life=2)
        assert shop.state().pid == pid
        second.signal(signal.SIGTERM)

        assert await second.ended() == ExitCode.PAUSED


@pytest.mark.slow
async def test_a_stop_file_ends_the_run(tmp_path: Path) -> None:
    async with workshop(tmp_path) as shop:
        await shop.exchange()
        run = shop.sim("--resume")
        await shop.mode("NORMAL", by=run)

        shop.paths.stop_file.touch()

        assert await run.ended() == ExitCode.CLEAN
        [(mode, reasons)] = shop.rows("SELECT mode, reasons FROM sysmodes ORDER BY id DESC LIMIT 1")
        assert mode == "EXIT"
        assert "KILL_SWITCH_FILE" in reasons
        assert await disagreements(shop.paths) == []


@pytest.mark.slow
async def test_what_the_operator_set_up_beforehand_holds_and_his_webhook_stays_secret(
    tmp_path: Path,
) -> None:
    token = "T" * 40
    alerts = '[alerts]\nwebhook = "hook"\nwebhook_min_severity = "INFO"\n'
    async with catching() as catcher, workshop(tmp_path, PATIENT + alerts) as shop:
        hook = tmp_path / "hook"
        hook.write_text(f"{catcher.url}/{token}\n", encoding="ascii")
        hook.chmod(0o600)
        await shop.exchange()
        own = ("SOLUSDT", "BUY", "2.5", "--reason", "mine", "--var", str(shop.paths.var))
        await shop.call("exposure", "open", *own)
        run = shop.sim("--resume")
        await shop.mode("NORMAL", by=run)
        await shop.call("halt", "--reason", "rehearsal", "--var", str(shop.paths.var))

        assert await run.ended() == ExitCode.CLEAN
        bodies = [msgspec.json.decode(it.body) for it in catcher.caught]
        assert {it.target for it in catcher.caught} == {f"/hook/{token}"}
        assert "a test by livespot doctor: alerts reach you here" in [it["text"] for it in bodies]
        codes = [it["code"] for it in bodies]
        assert codes[-1] == "ENTER_EXIT"
        assert {"ENTER_DEGRADE", "ENTER_NORMAL"} <= set(codes)
        written = [p for p in shop.paths.var.rglob("*") if p.is_file()]
        assert [p.name for p in written if token.encode() in p.read_bytes()] == []
        assert token not in run.output + run.errors
        [(reason, outcome)] = shop.rows(
            "SELECT reason, outcome FROM operator_commands WHERE action = 'HALT'"
        )
        assert (reason, outcome) == ("rehearsal", "accepted")
        # What was left while nothing ran was taken before the first entry could be.
        [(qty, noted)] = shop.rows("SELECT qty, note FROM manual_exposures WHERE closed_at_ms = 0")
        assert (qty, noted) == ("2.5", "mine")
        [(taken,)] = shop.rows(
            "SELECT id FROM audit_events WHERE event_type = 'OPERATOR_COMMAND' "
            "AND symbol = 'SOLUSDT'"
        )
        [(normal,)] = shop.rows(
            "SELECT min(id) FROM audit_events WHERE event_type = 'SYSMODE_CHANGED' "
            "AND json_extract(data, '$.to') = 'NORMAL'"
        )
        assert taken < normal
