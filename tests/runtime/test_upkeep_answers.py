"""Nothing that the upkeep's process says, or leaves unsaid, ends the run beside it."""

import pytest

from livespot.runtime.upkeep import answer_of
from livespot.store.upkeep_process import Trouble


@pytest.mark.parametrize(
    ("said", "code", "in_time", "words"),
    [
        (b"", -9, False, "took more than 900 s"),
        (b"", 1, True, "ended with 1"),
        (b"", 0, True, "no answer that can be read"),
        (b'{"type":"BackupMade","na', 0, True, "no answer that can be read"),
        (b'{"type":"Trouble","text":"full"}', 0, True, "full"),
    ],
)
def test_whatever_a_process_leaves_is_an_answer(
    said: bytes, code: int, in_time: bool, words: str
) -> None:
    found = answer_of(said, code, in_time=in_time)

    assert isinstance(found, Trouble)
    assert words in found.text
