"""Which decisions may hold something without a stop: known beside the actors that see to it."""


class Unprotected:
    """Written by execution before an entry is sent and by position once it knows better.

    Others only read: when either of the two stands still, nobody else could say what is at stake.
    """

    def __init__(self) -> None:
        self._decisions: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._decisions)

    def set(self, decision_id: str, *, holds: bool) -> None:
        """Whether this decision's entry or position may be without protection."""
        if holds:
            self._decisions.add(decision_id)
        else:
            self._decisions.discard(decision_id)
