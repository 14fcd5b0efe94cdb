"""A secret does not leak by accident."""

import copy
import json
import pickle

import msgspec
import pytest

from livespot.contracts.secret import Secret

_CANARY = "canary-7f3a9c51d2e8"


def test_no_way_of_printing_shows_the_secret() -> None:
    secret = Secret(_CANARY)

    shown = f"{secret} {secret!r} {secret!s} {secret:>20} " + "%s %r" % (secret, secret)  # noqa: UP031

    assert _CANARY not in shown


def test_a_secret_cannot_be_pickled_or_encoded() -> None:
    secret = Secret(_CANARY)

    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps({"key": secret})
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)


def test_copies_stay_masked_and_equal() -> None:
    secret = Secret(_CANARY)

    assert copy.deepcopy(secret) == secret
    assert _CANARY not in repr(copy.deepcopy({"a": secret}))


def test_an_empty_secret_is_false() -> None:
    assert not Secret("")
    assert Secret(_CANARY)
