"""Canonical JSON and the numbers in it."""

from decimal import Decimal

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from livespot.contracts.amounts import decimal_text, floor_to, nearest_rank, rint, round_div
from livespot.contracts.canonical import canonical_json, hash_of, once_per_object
from livespot.contracts.settings import Settings

_KEYS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=8)
_LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
)
_VALUES = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(_VALUES)
def test_canonical_json_equals_the_reference_canonicaliser(value: object) -> None:
    assert canonical_json(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [1.0, {"a": 0.5}, [float("nan")]])
def test_floats_never_enter_a_hash(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


def test_integers_beyond_what_json_carries_exactly_are_refused() -> None:
    with pytest.raises(ValueError, match="beyond"):
        canonical_json({"ns": 2**53})


def test_non_ascii_keys_are_refused() -> None:
    with pytest.raises(TypeError):
        canonical_json({"ключ": 1})


def test_decimals_are_plain_digit_strings() -> None:
    assert canonical_json({"p": Decimal("1E-8"), "q": Decimal("100.00")}) == (
        b'{"p":"0.00000001","q":"100.00"}'
    )


def test_minus_zero_is_zero() -> None:
    assert decimal_text(Decimal("-0.00")) == "0.00"


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_a_decimal_is_told_in_plain_digits_whatever_its_size(value: Decimal) -> None:
    assert decimal_text(value) == format(value if value else abs(value), "f")


@given(st.decimals("0", "1000000", places=9), st.sampled_from(["0.01", "0.001", "1", "0.5"]))
def test_flooring_never_rises_and_lands_on_the_step(value: Decimal, step: str) -> None:
    floored = floor_to(value, Decimal(step))

    assert floored <= value
    assert value - floored < Decimal(step)
    assert floored % Decimal(step) == 0


def test_rounding_rules_match_their_definitions() -> None:
    assert [rint(value) for value in (0.5, 1.5, 2.5, -0.5)] == [0, 2, 2, 0]
    assert [round_div(value, 4) for value in (1, 2, 3)] == [0, 1, 1]
    assert nearest_rank([4.0, 1.0, 3.0, 2.0], 50) == 2.0
    assert nearest_rank([4.0, 1.0, 3.0, 2.0], 90) == 4.0


def test_the_settings_hash_changes_with_any_value() -> None:
    default = Settings()
    changed = msgspec.structs.replace(
        default, risk=msgspec.structs.replace(default.risk, cooldown_seconds=301)
    )

    assert hash_of(default) == hash_of(Settings())
    assert hash_of(default) != hash_of(changed)


class _Sound(msgspec.Struct, frozen=True):
    amount: Decimal
    count: int
    names: tuple[str, ...] = ()


class _Unsound(msgspec.Struct, frozen=True):
    share: float


@given(st.decimals(allow_nan=False, allow_infinity=False), st.integers(), st.lists(st.text()))
def test_a_struct_reads_like_its_parts(amount: Decimal, count: int, names: list[str]) -> None:
    parts = {"amount": decimal_text(amount), "count": count, "names": names}
    struct = _Sound(amount=amount, count=count, names=tuple(names))
    try:
        expected = rfc8785.dumps(parts)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        with pytest.raises(ValueError):  # noqa: PT011
            canonical_json(struct)
    else:
        assert canonical_json(struct) == expected
        assert canonical_json([struct, {"inner": struct}]) == (
            b"[" + expected + b',{"inner":' + expected + b"}]"
        )


@pytest.mark.parametrize(
    "value",
    [Decimal("NaN"), Decimal("Infinity"), {"a": Decimal("sNaN")}, _Sound(Decimal("NaN"), 1)],
)
def test_amounts_that_are_no_numbers_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="finite"):
        canonical_json(value)


@pytest.mark.parametrize("value", [_Unsound(1.5), {1: "a"}, {Decimal(1): "a"}, (_Unsound(0.0),)])
def test_a_float_field_or_a_key_that_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)


def test_what_is_made_of_one_object_is_made_once_and_never_given_to_an_equal_one() -> None:
    made = list[Decimal]()

    @once_per_object(8)
    def spelled(value: Decimal) -> str:
        made.append(value)
        return str(value)

    short, long = Decimal("1.5"), Decimal("1.50")

    assert [spelled(short), spelled(long), spelled(short)] == ["1.5", "1.50", "1.5"]
    assert made == [short, long]


@given(st.lists(st.integers(0, 12)), st.integers(1, 6))
def test_of_many_objects_each_keeps_its_own(order: list[int], most: int) -> None:
    spelled = once_per_object(most)(str)
    values = [Decimal(number) for number in range(13)]

    assert [spelled(values[n]) for n in order] == [str(n) for n in order]
    # Objects that nobody else holds: their places in memory are soon another's.
    assert [spelled(Decimal(n)) for n in order] == [str(n) for n in order]
