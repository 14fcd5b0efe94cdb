"""Crash drills on settings of all kinds; none passes when it shows nothing."""

from dataclasses import replace
from pathlib import Path

import pytest

from livespot.contracts.errors import PreflightFailed
from livespot.drills.catalogue import CATALOGUE, Mishap
from livespot.drills.course import Rehearsed, rehearse
from livespot.drills.running import run_drill
from livespot.rules.drills import DRILLS
from livespot.runtime.config import LoadedSettings, load_settings


def _loaded(text: str = "") -> LoadedSettings:
    return load_settings(text, path="test.toml")


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    return rehearse(_loaded(), tmp_path_factory.mktemp("undisturbed"))


def test_the_catalogue_holds_every_drill_in_their_order() -> None:
    assert tuple(CATALOGUE) == DRILLS


@pytest.mark.slow
def test_orders_over_rest_and_separate_protection_are_drilled_as_well(tmp_path: Path) -> None:
    text = '[venue]\norder_transport = "REST"\n[exit]\nattach = "SEPARATE"\n'
    rehearsed = rehearse(_loaded(text), tmp_path / "undisturbed")

    assert rehearsed.course.method == "POST"
    for name in ("lost-ack", "kill-9"):
        row = run_drill(name, rehearsed, tmp_path / name)
        assert row.problems == ()


@pytest.mark.slow
def test_a_mishap_that_hits_nothing_fails_the_drill(rehearsed: Rehearsed, tmp_path: Path) -> None:
    never = replace(rehearsed.course, method="WS", path="nobody.asks.this")
    row = run_drill("lost-ack", replace(rehearsed, course=never), tmp_path)

    assert not row.passed
    assert "it did not happen: 0 of 1 hits" in row.problems


@pytest.mark.slow
def test_a_drill_without_its_mishap_lacks_what_it_was_to_show(
    rehearsed: Rehearsed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = replace(
        CATALOGUE["ban"], mishap=lambda course: Mishap(over_ms=course.filled_ms), stops=2
    )
    monkeypatch.setitem(CATALOGUE, "ban", quiet)

    row = run_drill("ban", rehearsed, tmp_path)

    assert "never recorded: ENTER_PAUSE, RATE_LIMIT_418" in row.problems
    assert "1 stops stood on the exchange, not 2" in row.problems


@pytest.mark.slow
def test_a_gate_that_is_off_is_not_missed(tmp_path: Path) -> None:
    rehearsed = rehearse(_loaded("[ai_gate]\nai_dec = 0\n"), tmp_path / "undisturbed")

    row = run_drill("gate-down", rehearsed, tmp_path / "gate-down")

    assert row.passed
    assert row.hits == 0


@pytest.mark.slow
def test_a_long_wait_is_shortened_and_named(tmp_path: Path) -> None:
    text = "[health]\ndegrade_exit_stable_window_ms = 604800000\n"
    rehearsed = rehearse(_loaded(text), tmp_path)

    assert rehearsed.replaced == ("health.degrade_exit_stable_window_ms",)


def test_a_drill_that_would_take_for_ever_is_not_begun(
    rehearsed: Rehearsed, tmp_path: Path
) -> None:
    settings = _loaded("[timing]\nmutation_timeout_ms = 604800000\n").settings
    course = replace(rehearsed.course, settings=settings)

    row = run_drill("lost-ack", replace(rehearsed, course=course), tmp_path)

    assert not row.passed
    assert "it would take 10081 min" in row.problems[0]


@pytest.mark.slow
def test_a_choosier_strategy_is_left_out_and_named(tmp_path: Path) -> None:
    rehearsed = rehearse(_loaded("[strategy]\nmin_imbalance_buy = 9900\n"), tmp_path)

    assert rehearsed.replaced == ("strategy.min_imbalance_buy",)


@pytest.mark.slow
def test_settings_that_allow_no_order_at_all_are_refused(tmp_path: Path) -> None:
    text = "[risk]\nmax_exposure_symbol = 5.0\nmax_exposure_total = 5.0\n"
    with pytest.raises(PreflightFailed, match="nothing is bought"):
        rehearse(_loaded(text), tmp_path)
