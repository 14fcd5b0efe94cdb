"""Why a symbol was not traded, for each stage that can stop it, over a real database."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from livespot.actors import scan_records, signal_records
from livespot.actors.mail import ProposalEnded
from livespot.actors.operator_records import command_entry
from livespot.contracts.audit import AuditDraft, AuditEntry
from livespot.contracts.canonical import canonical_json
from livespot.contracts.chain import Place, SealedEvent, seal
from livespot.contracts.codes import ReasonCode
from livespot.contracts.market import DeepFeatures, Rejection, Returns, Ticker24h
from livespot.contracts.records import (
    AlertRow,
    GateEventRow,
    ManualExposureRow,
    RiskVerdictRow,
    RunEnded,
    SysModeRow,
)
from livespot.contracts.settings import SelectionSettings, Settings
from livespot.contracts.system import Alert, OperatorCommand
from livespot.contracts.vocabulary import (
    EventType,
    GateVerdict,
    Interval,
    Mode,
    OperatorAction,
    Severity,
    Side,
    Stage,
    SysMode,
    Verdict,
)
from livespot.evidence.endings import check_endings
from livespot.evidence.why import WhyNot, why_not
from livespot.rules import selection
from livespot.rules.choice import choose
from livespot.rules.strategies import strategy_for
from livespot.rules.strategy import Blocked
from livespot.rules.thresholds import config_hash
from livespot.store.reader import ReadOnlyDatabase
from livespot.testing import finished_run
from livespot.testing import ledger_rows as rows
from livespot.testing.market_values import a_day, a_snapshot, a_symbol
from livespot.testing.risk_values import an_entry

_SETTINGS = Settings(selection=SelectionSettings(topn=4, topk=2))
_RUN, _NOW = rows.RUN, rows.NOW_MS
_SYMBOLS = ("AUSDT", "BUSDT", "CUSDT", "DUSDT", "EUSDT")


class _Story:
    """Entries in their order, made by what makes them in a run."""

    def __init__(self) -> None:
        started = msgspec.structs.replace(
            rows.run_started(), config_json=canonical_json(_SETTINGS).decode()
        )
        draft = AuditDraft(event_type=EventType.RUN_STARTED, stage=Stage.BOOT, ts_ms=_NOW)
        self.entries = [AuditEntry(draft=draft, records=(started,))]

    def add(self, *entries: AuditEntry) -> None:
        self.entries += entries

    def mode(self, mode: SysMode, at_ms: int, *why: ReasonCode) -> None:
        row = SysModeRow(
            run_id=_RUN, mode=mode, previous=mode, reasons=why, active_json="[]", at_ms=at_ms
        )
        draft = AuditDraft(
            event_type=EventType.SYSMODE_CHANGED, stage=Stage.STATE_UPDATE, ts_ms=at_ms
        )
        self.add(AuditEntry(draft=draft, records=(row,)))

    def scan(self, at_ms: int, days: Sequence[Ticker24h]) -> None:
        """One universe scan with its ranking, as the scanner records them the first time."""
        infos = {name: a_symbol(name) for name in _SYMBOLS}
        known = selection.listing(infos, quote_asset="USDT")
        listed = selection.universe(known, days, (), _SETTINGS.selection)
        ranked = selection.rank(listed, _SETTINGS.selection)
        cut = [item.symbol for item in ranked if item.dropped]
        digest = config_hash(_SETTINGS)
        self.add(
            scan_records.universe_entry(listed, listed, f"cyc_u{at_ms}", at_ms),
            scan_records.ranking_entry(
                ranked, "TOPN", f"cyc_u{at_ms}", digest, at_ms, newly_cut=cut
            ),
        )

    def select(self, at_ms: int, features: Sequence[DeepFeatures], **watched: int) -> None:
        ranked = selection.deep_scan(features, _SETTINGS.selection)
        returns = {f.symbol: f.returns for f in features if f.returns is not None}
        choices = choose(ranked, returns, watched, (), _SETTINGS.selection)
        digest, cycle_id = config_hash(_SETTINGS), f"cyc_s{at_ms}"
        self.add(
            scan_records.ranking_entry(ranked, "DEEP", cycle_id, digest, at_ms),
            scan_records.selection_entry(choices, cycle_id, digest, at_ms),
        )

    def end(self, at_ms: int) -> None:
        ended = RunEnded(run_id=_RUN, ended_at_ms=at_ms, exit_code=0, reasons=(), clean=True)
        draft = AuditDraft(event_type=EventType.RUN_ENDED, stage=Stage.SHUTDOWN, ts_ms=at_ms)
        self.add(AuditEntry(draft=draft, records=(ended,)))

    async def written(self, directory: Path) -> ReadOnlyDatabase:
        path = rows.fresh(directory)
        database = await rows.opened(path)
        event: SealedEvent | None = None
        try:
            for seq, entry in enumerate(self.entries, start=1):
                place = Place(
                    run_id=_RUN,
                    mode=Mode.SIM,
                    seq=seq,
                    ts_ms=entry.draft.ts_ms,
                    prev_hash=event.hash if event else "",
                )
                event = seal(entry.draft, canonical_json(entry.draft.data), place)
                await database.transaction([event, *entry.records])
        finally:
            await database.close()
        return ReadOnlyDatabase(path)


def _day(symbol: str, volume: int = 50_000_000, **changes: Any) -> Ticker24h:
    return a_day(symbol, quote_volume=Decimal(volume), **changes)


def _noise(symbol: str) -> Returns:
    seed = ord(symbol[0])
    points = tuple((seed * 7919 + i * i * seed * 31) % 41 - 20 for i in range(72))
    return Returns(timeframe=Interval.M5, window=72, log_return_bps=points, missing_count=0)


def _features(symbol: str, *, atr: int = 100, **micro: int) -> DeepFeatures:
    snapshot = a_snapshot()
    return DeepFeatures(
        symbol=symbol,
        warm=True,
        regime=snapshot.regime,
        microstructure=msgspec.structs.replace(snapshot.microstructure, **micro),
        atr14_5m_bps=atr,
        cost_inputs=snapshot.cost_inputs,
        returns=_noise(symbol),
    )


def _selected() -> _Story:
    """A and B are watched, C is crowded out, D is dropped by the deep scan, E by the ranking."""
    story = _Story()
    story.mode(SysMode.NORMAL, _NOW + 1, ReasonCode.ENTER_NORMAL)
    story.scan(_NOW + 10, [_day(name, 90_000_000 - i) for i, name in enumerate(_SYMBOLS)])
    story.select(
        _NOW + 20,
        [
            _features("AUSDT", atr=190),
            _features("BUSDT", atr=180),
            _features("CUSDT", atr=170),
            _features("DUSDT", spread_current_bps=33),
        ],
    )
    return story


async def _why(story: _Story, directory: Path, symbol: str, after_ms: int) -> WhyNot:
    story.end(_NOW + 3_600_000)
    return await why_not(await story.written(directory), symbol, _NOW + after_ms)


async def test_before_the_first_scan_nothing_is_known(tmp_path: Path) -> None:
    told = await _why(_selected(), tmp_path, "AUSDT", 5)

    assert "the universe had not been scanned yet" in told.headline


async def test_a_symbol_without_volume_is_told_with_both_figures(tmp_path: Path) -> None:
    story = _Story()
    story.mode(SysMode.NORMAL, _NOW + 1)
    story.scan(_NOW + 10, [_day("AUSDT", 4_999_999, trades=12)])

    told = await _why(story, tmp_path, "AUSDT", 1000)

    assert told.codes == ("UNIVERSE_VOLUME_LOW", "UNIVERSE_TRADES_LOW")
    assert "24 h volume 4,999,999 < 5,000,000" in told.headline
    assert "24 h trades 12 < 10,000" in told.headline
    assert "(since 2026-01-01T00:00:00.010Z)" in told.headline


async def test_a_symbol_behind_the_cut_is_told_its_rank_and_who_was_the_last(
    tmp_path: Path,
) -> None:
    told = await _why(_selected(), tmp_path, "EUSDT", 1000)

    assert told.codes == ("UNIVERSE_RANK_LOW",)
    assert "rank 5" in told.headline
    assert "outside the best 4; the last within was DUSDT" in told.headline


async def test_a_symbol_dropped_by_the_deep_scan_is_told_its_spread(tmp_path: Path) -> None:
    told = await _why(_selected(), tmp_path, "DUSDT", 1000)

    assert told.codes == ("STRAT_SPREAD_TOO_WIDE",)
    assert "spread 33 bps > 20 bps" in told.headline


async def test_a_symbol_without_a_place_is_told_by_whom_it_was_beaten(tmp_path: Path) -> None:
    told = await _why(_selected(), tmp_path, "CUSDT", 1000)

    assert told.codes == ("WATCHLIST_FULL",)
    assert "the last of 2 is BUSDT" in told.headline


async def test_a_mode_without_entries_is_told_with_its_reasons(tmp_path: Path) -> None:
    story = _selected()
    story.mode(SysMode.PAUSE, _NOW + 500, ReasonCode.ENTER_PAUSE, ReasonCode.OPERATOR_PAUSE)

    told = await _why(story, tmp_path, "AUSDT", 1000)

    assert told.codes == ("RISK_SYSMODE_BLOCKS_ENTRY", "ENTER_PAUSE", "OPERATOR_PAUSE")
    assert "PAUSE, so no entries" in told.headline


@pytest.mark.parametrize(
    ("outcome", "held"), [("done: released", False), ("refused: a release needs a reason", True)]
)
async def test_a_quarantine_is_told_until_the_operator_releases_the_symbol(
    tmp_path: Path, outcome: str, held: bool
) -> None:
    story = _selected()
    alert = Alert(
        severity=Severity.WARN,
        code=ReasonCode.SYMBOL_QUARANTINED,
        reasons=(),
        text="AUSDT takes no entries",
        symbol="AUSDT",
        at_ms=_NOW + 500,
    )
    draft = AuditDraft(event_type=EventType.ALERT_RAISED, stage=Stage.BOOT, ts_ms=_NOW + 500)
    release = OperatorCommand(
        action=OperatorAction.RELEASE, reason="r", nonce="n", at_ms=_NOW + 900, symbol="AUSDT"
    )
    story.add(
        AuditEntry(draft=draft, records=(AlertRow(alert=alert),)),
        command_entry(release, outcome, stage=Stage.RISK_VERDICT, now_ms=_NOW + 900),
    )

    told = await _why(story, tmp_path, "AUSDT", 1000)

    assert ("SYMBOL_QUARANTINED" in told.codes) is held


@pytest.mark.parametrize(("after_ms", "blocked"), [(400, False), (600, True), (900, False)])
async def test_a_position_of_the_operators_own_is_told_while_it_is_open(
    tmp_path: Path, after_ms: int, blocked: bool
) -> None:
    own = ManualExposureRow(
        exposure_id="exp_1",
        symbol="AUSDT",
        side=Side.BUY,
        qty=Decimal(250),
        note="by telephone",
        opened_at_ms=_NOW + 500,
        closed_at_ms=_NOW + 800,
        close_note="sold",
    )
    draft = AuditDraft(event_type=EventType.OPERATOR_COMMAND, stage=Stage.BOOT, ts_ms=_NOW + 800)
    story = _selected()
    story.add(AuditEntry(draft=draft, records=(own,)))

    told = await _why(story, tmp_path, "AUSDT", after_ms)

    assert ("MANUAL_EXPOSURE_ACTIVE" in told.codes) is blocked
    assert ("exp_1, BUY 250 by hand" in told.headline) is blocked


async def test_two_causes_are_both_in_the_headline(tmp_path: Path) -> None:
    story = _selected()
    story.mode(SysMode.PAUSE, _NOW + 500, ReasonCode.OPERATOR_PAUSE)

    told = await _why(story, tmp_path, "DUSDT", 1000)

    assert "STRAT_SPREAD_TOO_WIDE" in told.headline
    assert "; and the mode was PAUSE" in told.headline


async def test_a_block_said_again_each_minute_is_told_since_its_beginning(tmp_path: Path) -> None:
    snapshot = a_snapshot(_SETTINGS, symbol="AUSDT", volume_ratio_5m_x10000=9000)
    blocked = strategy_for(_SETTINGS).propose(
        snapshot, _SETTINGS, mode=Mode.SIM, cycle_id="cyc_d", now_ms=_NOW
    )
    assert isinstance(blocked, Blocked)
    story = _selected()
    for minute in range(4):
        at_ms = _NOW + 1000 + minute * 60_000
        story.add(signal_records.block_entry(blocked, f"cyc_d{minute}", at_ms))

    told = await _why(story, tmp_path, "AUSDT", 200_000)

    assert told.codes == ("STRAT_VOLUME_LOW",)
    assert "5m volume ratio 0.9000 < 1.2000" in told.headline
    assert "since 2026-01-01T00:00:01.000Z" in told.headline


async def test_a_symbol_without_a_snapshot_is_told_why_there_was_none(tmp_path: Path) -> None:
    story = _selected()
    gap = Rejection(symbol="AUSDT", reasons=(ReasonCode.DATA_GAP_DETECTED,), detail="5m are behind")
    story.add(signal_records.rejection_entry(gap, "cyc_d", _NOW + 900))

    told = await _why(story, tmp_path, "AUSDT", 1000)

    assert told.codes == ("DATA_GAP_DETECTED",)
    assert "(5m are behind)" in told.headline


async def test_a_silence_longer_than_a_minute_is_no_explanation(tmp_path: Path) -> None:
    story = _selected()
    gap = Rejection(symbol="AUSDT", reasons=(ReasonCode.DATA_GAP_DETECTED,), detail="")
    story.add(signal_records.rejection_entry(gap, "cyc_d", _NOW + 900))

    told = await _why(story, tmp_path, "AUSDT", 600_000)

    assert "no decision cycle looked at it after" in told.headline
    assert told.codes == ()


def _proposed(story: _Story) -> str:
    snapshot = a_snapshot(_SETTINGS, symbol="AUSDT")
    decision = msgspec.structs.replace(
        an_entry(snapshot, _SETTINGS), ts_ms=_NOW + 1000, cycle_id="cyc_p", ai_gate=None
    )
    story.add(*signal_records.proposal_entries(decision, snapshot))
    return decision.decision_id


def _asked(decision_id: str, verdict: GateVerdict, *why: ReasonCode) -> AuditEntry:
    row = GateEventRow(
        cycle_id="cyc_p",
        decision_id=decision_id,
        snapshot_id="",
        snapshot_hash="",
        input_hash="",
        raw_hash="",
        prompt_hash="",
        enabled=True,
        verdict=verdict,
        reasons=why,
        model="m",
        latency_ms=5,
        modify_applied=False,
        patch_redacted="",
        error_code="",
        error_detail_redacted="",
        at_ms=_NOW + 1001,
    )
    draft = AuditDraft(event_type=EventType.AIGATE_CALL, stage=Stage.AIGATE_CALL, ts_ms=_NOW + 1001)
    return AuditEntry(draft=draft, records=(row,))


def _judged(decision_id: str) -> AuditEntry:
    row = RiskVerdictRow(
        decision_id=decision_id,
        cycle_id="cyc_p",
        symbol="AUSDT",
        verdict=Verdict.BLOCK,
        approved_qty=Decimal(0),
        reasons=(ReasonCode.RISK_MAX_TRADES_DAY, ReasonCode.RISK_COOLDOWN_ACTIVE),
        limits_json='{"trades_per_day_max":"20","trades_today":"20"}',
        account_json="{}",
        counters_json="{}",
        at_ms=_NOW + 1002,
    )
    draft = AuditDraft(
        event_type=EventType.RISK_VERDICT, stage=Stage.RISK_VERDICT, ts_ms=_NOW + 1002
    )
    return AuditEntry(draft=draft, records=(row,))


async def test_a_no_of_the_gate_is_told(tmp_path: Path) -> None:
    story = _selected()
    story.add(_asked(_proposed(story), GateVerdict.BLOCK, ReasonCode.MICROVOL_SPIKE))

    told = await _why(story, tmp_path, "AUSDT", 2000)

    assert told.codes == ("MICROVOL_SPIKE",)


async def test_a_no_of_risk_is_told_with_its_counters(tmp_path: Path) -> None:
    story = _selected()
    decision_id = _proposed(story)
    story.add(
        _asked(decision_id, GateVerdict.ALLOW, ReasonCode.AIGATE_ALLOWED), _judged(decision_id)
    )

    told = await _why(story, tmp_path, "AUSDT", 2000)

    assert told.codes == ("RISK_MAX_TRADES_DAY", "RISK_COOLDOWN_ACTIVE")
    assert "trades today 20 >= trades per day max 20" in told.headline


async def test_a_no_of_risk_before_the_gate_was_asked_is_told_as_well(tmp_path: Path) -> None:
    story = _selected()
    story.add(_judged(_proposed(story)))

    told = await _why(story, tmp_path, "AUSDT", 2000)

    assert told.codes == ("RISK_MAX_TRADES_DAY", "RISK_COOLDOWN_ACTIVE")
    assert "trades today 20 >= trades per day max 20" in told.headline


@pytest.mark.parametrize(
    ("ended", "code"), [(False, "RISK_ENTRY_ALREADY_PENDING"), (True, "AIGATE_LATE")]
)
async def test_a_proposal_is_on_its_way_until_it_ended(
    tmp_path: Path, ended: bool, code: str
) -> None:
    story = _selected()
    decision_id = _proposed(story)
    if ended:
        over = ProposalEnded(
            decision_id=decision_id, symbol="AUSDT", reasons=(ReasonCode.AIGATE_LATE,)
        )
        story.add(signal_records.ended_entry(over, _NOW + 1500))

    told = await _why(story, tmp_path, "AUSDT", 2000)

    assert told.codes == (code,)


async def test_a_clean_story_has_no_vanished_candidate(tmp_path: Path) -> None:
    story = _selected()
    story.mode(SysMode.EXIT, _NOW + 30, ReasonCode.OPERATOR_STOP)
    story.end(_NOW + 1000)

    found = await check_endings(await story.written(tmp_path))

    assert [finding.id for finding in found if finding.violated] == []


async def test_a_finished_run_has_no_vanished_candidate(tmp_path: Path) -> None:
    found = await check_endings(ReadOnlyDatabase(await finished_run.told(tmp_path)))

    assert [finding.id for finding in found if finding.violated] == []
    assert {finding.id for finding in found if finding.proven} >= {"reasons", "proposals"}


async def test_a_watched_symbol_that_nobody_judges_is_found(tmp_path: Path) -> None:
    story = _selected()
    story.end(_NOW + 200_000)

    found = {f.id: f for f in await check_endings(await story.written(tmp_path))}

    assert found["cycles"].violated
    assert "AUSDT was watched from" in found["cycles"].detail


async def test_a_proposal_without_an_end_is_found(tmp_path: Path) -> None:
    story = _selected()
    _proposed(story)
    story.end(_NOW + 600_000)

    found = {f.id: f for f in await check_endings(await story.written(tmp_path))}

    assert found["proposals"].violated


@pytest.mark.parametrize(
    ("sql", "broken"),
    [
        ("DELETE FROM cycle_rankings WHERE symbol = 'EUSDT'", "universe"),
        ("DELETE FROM universe_scans WHERE symbol = 'BUSDT'", "universe"),
        ("DELETE FROM cycle_rankings WHERE symbol = 'CUSDT' AND kind = 'DEEP'", "deep scan"),
        ("DELETE FROM cycle_selections WHERE symbol = 'CUSDT'", "selection"),
        ("UPDATE cycle_selections SET reasons = '[]' WHERE symbol = 'CUSDT'", "reasons"),
        ("UPDATE cycle_rankings SET reasons = '[\"NO_SUCH\"]' WHERE dropped = 1", "reasons"),
    ],
)
async def test_a_row_that_is_missing_or_silent_is_found(
    tmp_path: Path, sql: str, broken: str
) -> None:
    story = _selected()
    story.end(_NOW + 1000)
    reader = await story.written(tmp_path)
    with closing(sqlite3.connect(tmp_path / "data" / "audit.sqlite")) as connection:
        connection.execute(sql)
        connection.commit()

    found = await check_endings(reader)

    assert broken in [finding.id for finding in found if finding.violated]
