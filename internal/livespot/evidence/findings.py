"""The result of one check: how much was looked at, and what was wrong."""

from collections.abc import Sequence

from livespot.contracts.base import Message

_SHOWN = 3


class Finding(Message, frozen=True):
    """The result for one invariant. `looked_at` 0 means that nothing was checked or proved."""

    id: str
    title: str
    holds: bool
    looked_at: int
    detail: str

    @property
    def violated(self) -> bool:
        return not self.holds

    @property
    def proven(self) -> bool:
        return self.holds and self.looked_at > 0


def judged(
    name: str, title: str, looked_at: int, problems: Sequence[str], *, note: str = ""
) -> Finding:
    """Make a finding of the problems met; without problems, `note` is its detail."""
    more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
    detail = "; ".join(problems[:_SHOWN]) + more if problems else note
    if not problems and looked_at == 0 and not note:
        detail = "nothing to look at"
    return Finding(id=name, title=title, holds=not problems, looked_at=looked_at, detail=detail)
