"""Numbers worked out in blocks are those of the generator that works out one at a time."""

from hypothesis import given
from hypothesis import strategies as st

from livespot.exchange.prng import SplitMix
from livespot.exchange.prng_ahead import DrawnAhead

_DRAWS = st.lists(st.sampled_from(["bits", "unit", "below", "bell"]), min_size=1, max_size=900)


@given(key=st.text(max_size=20), draws=_DRAWS)
def test_every_draw_is_the_same_in_any_order_of_kinds(key: str, draws: list[str]) -> None:
    one, ahead = SplitMix(key), DrawnAhead(key)

    assert [_drawn(ahead, kind) for kind in draws] == [_drawn(one, kind) for kind in draws]


def test_thousands_of_numbers_are_the_same_over_many_blocks() -> None:
    one, ahead = SplitMix("SOLUSDT"), DrawnAhead("SOLUSDT")

    assert [ahead.bits() for _ in range(5000)] == [one.bits() for _ in range(5000)]
    assert [ahead.bell() for _ in range(5000)] == [one.bell() for _ in range(5000)]


def _drawn(source: SplitMix, kind: str) -> float:
    match kind:
        case "bits":
            return source.bits()
        case "unit":
            return source.unit()
        case "below":
            return source.below(977)
        case _:
            return source.bell()
