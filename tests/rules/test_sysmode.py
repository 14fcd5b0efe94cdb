"""How signals become modes."""

from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.codes import ReasonCode
from livespot.contracts.system import HealthSignal
from livespot.contracts.vocabulary import SignalKind, SignalLevel, SysMode
from livespot.rules import sysmode
from livespot.rules.due import NEVER
from livespot.rules.sysmode import STRICTNESS, ModeChart, Weighing

_WINDOW = 60_000


def _signal(
    level: SignalLevel,
    *,
    kind: SignalKind = SignalKind.WS_STALE,
    source: str = "",
    at_ms: int = 0,
) -> HealthSignal:
    return HealthSignal(
        kind=kind, level=level, reason=ReasonCode.WS_STALE_DEGRADE, source=source, at_ms=at_ms
    )


def _running(mode: SysMode = SysMode.NORMAL) -> Weighing:
    return Weighing(mode=mode, booting=False)


def _next(state: Weighing, now_ms: int = 0, cycle: int = 0) -> tuple[Weighing, SysMode]:
    return sysmode.next_mode(state, now_ms=now_ms, cycle=cycle, stable_window_ms=_WINDOW)


def test_the_chart_runs_on_the_synchronous_engine() -> None:
    assert type(ModeChart()._engine).__name__ == "SyncEngine"


def test_the_chart_allows_exactly_the_legal_moves() -> None:
    legal = {
        (start, target)
        for start in (SysMode.NORMAL, SysMode.DEGRADE, SysMode.PAUSE)
        for target in SysMode
        if sysmode.move(ModeChart(start_value=start), target)
    }

    assert legal == {
        (SysMode.NORMAL, SysMode.DEGRADE),
        (SysMode.NORMAL, SysMode.PAUSE),
        (SysMode.NORMAL, SysMode.EXIT),
        (SysMode.DEGRADE, SysMode.NORMAL),
        (SysMode.DEGRADE, SysMode.PAUSE),
        (SysMode.DEGRADE, SysMode.EXIT),
        (SysMode.PAUSE, SysMode.DEGRADE),
        (SysMode.PAUSE, SysMode.EXIT),
    }


def test_exit_is_never_left() -> None:
    chart = ModeChart(start_value=SysMode.DEGRADE)
    sysmode.move(chart, SysMode.EXIT)

    assert not any(sysmode.move(chart, target) for target in SysMode)


def test_a_degrade_signal_tightens_at_once() -> None:
    _, mode = _next(sysmode.absorb(_running(), _signal(SignalLevel.DEGRADE)))

    assert mode is SysMode.DEGRADE


def test_the_strictest_active_signal_decides() -> None:
    state = sysmode.absorb(_running(), _signal(SignalLevel.DEGRADE, source="a"))
    state = sysmode.absorb(state, _signal(SignalLevel.PAUSE, source="b"))

    assert _next(state)[1] is SysMode.PAUSE


def test_boot_reaches_normal_without_a_window_once_its_signals_clear() -> None:
    state = sysmode.absorb(Weighing(), _signal(SignalLevel.DEGRADE, kind=SignalKind.RECOVERY))
    assert _next(state)[1] is SysMode.DEGRADE

    state = sysmode.absorb(state, _signal(SignalLevel.CLEAR, kind=SignalKind.RECOVERY))

    assert _next(state)[1] is SysMode.NORMAL


def test_degrade_is_left_only_after_the_window_and_two_cycles() -> None:
    state, mode = _next(_running(SysMode.DEGRADE), now_ms=0, cycle=5)
    assert mode is SysMode.DEGRADE

    assert _next(state, now_ms=_WINDOW - 1, cycle=9)[1] is SysMode.DEGRADE
    assert _next(state, now_ms=_WINDOW, cycle=6)[1] is SysMode.DEGRADE
    assert _next(state, now_ms=_WINDOW, cycle=7)[1] is SysMode.NORMAL


def test_a_signal_that_fires_again_starts_the_window_anew() -> None:
    state, _ = _next(_running(SysMode.DEGRADE), now_ms=0)
    state = sysmode.absorb(state, _signal(SignalLevel.DEGRADE))
    state = sysmode.absorb(state, _signal(SignalLevel.CLEAR))
    state, _ = _next(state, now_ms=50_000, cycle=10)

    assert _next(state, now_ms=_WINDOW, cycle=20)[1] is SysMode.DEGRADE
    assert _next(state, now_ms=50_000 + _WINDOW, cycle=20)[1] is SysMode.NORMAL


def test_pause_is_held_when_its_signal_clears() -> None:
    state = sysmode.absorb(_running(), _signal(SignalLevel.PAUSE))
    state, mode = _next(state)
    state = sysmode.absorb(Weighing(mode=mode, held=state.held), _signal(SignalLevel.CLEAR))

    assert state.held
    assert _next(state, now_ms=10 * _WINDOW, cycle=99)[1] is SysMode.PAUSE


def test_a_resume_is_refused_while_a_pause_signal_is_active() -> None:
    state = sysmode.absorb(_running(SysMode.PAUSE), _signal(SignalLevel.PAUSE))

    assert sysmode.may_resume(state) == (ReasonCode.WS_STALE_DEGRADE,)


def test_a_resume_withdraws_the_operators_own_pause() -> None:
    state = sysmode.absorb(
        _running(SysMode.PAUSE), _signal(SignalLevel.PAUSE, kind=SignalKind.OPERATOR)
    )

    assert sysmode.may_resume(state) == ()
    assert sysmode.resumed(state).active == {}


def test_a_repeated_signal_keeps_its_beginning_and_counts() -> None:
    state = sysmode.absorb(_running(), _signal(SignalLevel.DEGRADE, at_ms=100))
    state = sysmode.absorb(state, _signal(SignalLevel.DEGRADE, at_ms=900))

    (reason,) = state.active.values()
    assert (reason.since_ms, reason.count) == (100, 2)


_SIGNALS = st.builds(
    _signal,
    st.sampled_from(SignalLevel),
    kind=st.sampled_from([SignalKind.WS_STALE, SignalKind.REST_STALE, SignalKind.OPERATOR]),
    source=st.sampled_from(["a", "b"]),
)


@given(st.lists(_SIGNALS, max_size=20), st.sampled_from([SysMode.NORMAL, SysMode.DEGRADE]))
def test_the_mode_is_never_looser_than_any_active_signal_demands(
    signals: list[HealthSignal], start: SysMode
) -> None:
    state = _running(start)
    for now, signal in enumerate(signals):
        state = sysmode.absorb(state, signal)
        state, mode = _next(state, now_ms=now)
        state = Weighing(mode=mode, active=state.active, booting=False, held=state.held)

        demanded = sysmode.demanded(state.active.values())
        assert STRICTNESS[mode] >= STRICTNESS[demanded]


def test_a_clear_from_every_source_withdraws_all_demands_of_its_kind_and_no_other() -> None:
    state = _running()
    for kind, source in (
        (SignalKind.PROTECTION, "SOLUSDT"),
        (SignalKind.PROTECTION, "ADAUSDT"),
        (SignalKind.DRIFT, "reconciler"),
    ):
        state = sysmode.absorb(state, _signal(SignalLevel.PAUSE, kind=kind, source=source))

    everybody = _signal(SignalLevel.CLEAR, kind=SignalKind.PROTECTION, source=sysmode.EVERY_SOURCE)
    left = sysmode.absorb(state, everybody)

    assert list(left.active) == [(SignalKind.DRIFT, "reconciler")]


_REASONS = st.lists(_SIGNALS, max_size=3)


@given(
    signals=_REASONS,
    mode=st.sampled_from(SysMode),
    booting=st.booleans(),
    held=st.booleans(),
    clear_since_ms=st.none() | st.integers(0, 200_000),
    now_ms=st.integers(0, 300_000),
    cycle=st.integers(0, 4),
)
def test_until_the_named_instant_time_and_cycles_change_nothing(
    signals: list[HealthSignal],
    mode: SysMode,
    *,
    booting: bool,
    held: bool,
    clear_since_ms: int | None,
    now_ms: int,
    cycle: int,
) -> None:
    state = Weighing(mode=mode, booting=booting, held=held, clear_since_ms=clear_since_ms)
    for signal in signals:
        state = sysmode.absorb(state, signal)

    settled_ms = sysmode.settled_until_ms(state, stable_window_ms=60_000)

    if now_ms < settled_ms:
        weighed = sysmode.next_mode(state, now_ms=now_ms, cycle=cycle, stable_window_ms=60_000)
        assert weighed == (state, state.mode)


def test_a_quiet_degrade_is_settled_for_the_window_and_a_held_pause_for_good() -> None:
    quiet = Weighing(mode=SysMode.DEGRADE, booting=False, clear_since_ms=5_000)
    held = Weighing(mode=SysMode.PAUSE, booting=False, held=True)

    assert sysmode.settled_until_ms(quiet, stable_window_ms=60_000) == 65_000
    assert sysmode.settled_until_ms(held, stable_window_ms=60_000) == NEVER
