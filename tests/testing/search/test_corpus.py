"""Plans worth repeating for ever: what once broke, and what is hard. Each still shows its point."""

from pathlib import Path

import pytest

from livespot.testing.search.plan import read_plan
from livespot.testing.search.running import run_plan

_CORPUS = sorted((Path(__file__).parent / "corpus").glob("*.json"))
# Checks that must have something to look at, or the plan has lost what it is for.
_SHOWS = {
    "banned-at-the-fill": {"I10", "I17"},
    "cancel-denied-while-reads-lag": {"I10", "I37"},
    "clock-set-back-before-a-cancel": {"I04", "I13"},
    "clock-set-forward-and-back": {"I04", "I21"},
    "clock-set-before-lost-sales": {"I06"},
    "clock-set-behind-a-lost-entry": {"I06"},
    "delisted-while-held": {"I10", "I12"},
    "entries-refused-for-their-time": {"I04"},
    "entry-never-arrives": {"I06"},
    "disk-full-at-the-fill": {"I10", "I12", "I20f"},
    "execution-hangs-while-all-is-silent": {"I10", "I20e"},
    "halted-while-rest-is-silent": {"I20e"},
    "oco-refused": {"I10"},
    "entry-answer-lost-then-killed": {"I01", "I10", "I27"},
    "sold-by-hand-under-a-lost-answer": {"I06"},
    "cancelled-by-hand-before-a-lost-entry": {"I06"},
    "swap-never-arrives": {"I06", "I10", "I12"},
}
_ALWAYS_SHOWN = {"I10", "I12"}


@pytest.mark.slow
@pytest.mark.parametrize("path", _CORPUS, ids=lambda path: path.stem)
def test_a_plan_of_the_corpus_breaks_no_invariant(path: Path) -> None:
    outcome = run_plan(read_plan(path))
    seen = {finding.id for finding in outcome.findings if finding.looked_at}

    assert outcome.violations == ()
    assert seen >= _SHOWS.get(path.stem, _ALWAYS_SHOWN)
