"""Tracks which decisions may hold something without a stop, outside the actors concerned."""


class Unprotected:
    """Set by execution before it sends an entry, and by position once it knows better.

    Others only read it: when one of the two hangs, nobody else could say what is at stake.
    """

    def __init__(self) -> None:
        self._decisions: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._decisions)

    def set(self, decision_id: str, *, holds: bool) -> None:
        """State whether this decision's entry or position may be without protection."""
        if holds:
            self._decisions.add(decision_id)
        else:
            self._decisions.discard(decision_id)
