"""A backtest is the same every time, tells all it does, and decides on what a replay decides on."""

from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest

from livespot.backtest.command import LOG, REPORT, backtest
from livespot.backtest.report import BacktestReport, told
from livespot.runtime.config import load_settings
from livespot.runtime.paths import Paths
from livespot.runtime.replay_request import Wish
from livespot.runtime.replay_screen import ReplayScreen

_START_MS = 1_618_627_500_000  # 2021-04-17T02:45 UTC
_MINUTE_MS = 60_000


def _wish(minutes: int, seed: int = 3) -> Wish:
    return Wish(
        data="recorded",
        symbols=frozenset({"LTCUSDT", "BTCUSDT"}),
        seed=seed,
        from_ms=_START_MS,
        to_ms=None,
        span_ms=minutes * _MINUTE_MS,
        usual_ms=0,
        usual_span_ms=0,
    )


def _run(var: Path, minutes: int = 110, seed: int = 3, text: str | None = None) -> BacktestReport:
    loaded = load_settings(text, path="")
    backtest(_wish(minutes, seed), loaded, lambda: _made(var), ReplayScreen(as_json=True))
    return _report(var)


def _made(var: Path) -> Paths:
    var.mkdir()
    return Paths(var=var)


def _lines(var: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in (var / LOG).read_bytes().splitlines()]


@pytest.fixture(name="var", scope="module")
def _played_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    var = tmp_path_factory.mktemp("backtest") / "var"
    _run(var)
    return var


def _report(var: Path) -> BacktestReport:
    return msgspec.json.decode((var / REPORT).read_bytes(), type=BacktestReport)


def test_the_same_order_gives_the_same_bytes_and_another_seed_does_not(
    var: Path, tmp_path: Path
) -> None:
    first, second = _report(var), _run(tmp_path / "b")
    other = _run(tmp_path / "c", minutes=5, seed=4)

    assert (var / LOG).read_bytes() == (tmp_path / "b" / LOG).read_bytes()
    assert first.log_sha256 == second.log_sha256 != other.log_sha256


def test_the_log_and_the_counts_tell_the_same_story(var: Path) -> None:
    report, lines = _report(var), _lines(var)

    kinds = [line["kind"] for line in lines]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert report.cycles == 110
    assert report.entered == kinds.count("ENTERED") == 1
    ended = [line for line in lines if line["kind"] == "ENDED"]
    assert report.filled == sum(line["bought_qty"] is not None for line in ended) == 1
    [trade] = ended
    gained = Decimal(trade["received_quote"]) - Decimal(trade["paid_quote"])
    assert abs(report.net_quote - (gained - Decimal(trade["fees_quote"]))) < Decimal("0.35")
    assert report.proposed == report.entered + sum(
        line["kind"] == "REFUSED" for line in lines
    ) + sum(count.count for count in report.unsent)


def test_reasons_are_told_when_they_change_and_counted_every_time(var: Path) -> None:
    report, lines = _report(var), _lines(var)

    blocked = [line for line in lines if line["kind"] == "BLOCKED"]
    counted = {count.name: count.count for count in report.blocked}
    assert max(counted.values()) >= len(blocked)
    for symbol in report.symbols:
        told_of = [line for line in lines if line.get("symbol") == symbol]
        pairs = pairwise(told_of)
        assert all(
            (one["kind"], one.get("reasons")) != (two["kind"], two.get("reasons"))
            for one, two in pairs
            if one["kind"] in ("BLOCKED", "REJECTED")
        )


def test_the_settings_decide(tmp_path: Path) -> None:
    report = _run(tmp_path / "a", minutes=60, text="[strategy]\npullback_min = 79\n")

    assert report.entered == 0
    assert any(count.name == "STRAT_PULLBACK_FAIL" for count in report.blocked)


def test_a_report_in_words_says_what_it_is_and_is_not(tmp_path: Path) -> None:
    lines = {label: text for label, text, _ in told(_run(tmp_path / "a", minutes=30))}

    assert "not a replay of the runtime" in lines["is"]
    assert lines["looked"].startswith("30 cycles")
    assert "0 entries filled" in lines["trades"]
