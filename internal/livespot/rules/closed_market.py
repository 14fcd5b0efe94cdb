"""Recognises refusals that mean a symbol takes no orders, or none of this kind, at present."""

# The messages of the matching engine.
_WORDS = (
    "Market is closed",
    "API trading is not enabled",
    "in this trading phase",
    "for this phase",
)


def says_closed(message: str) -> bool:
    """Whether the refusal would meet any order of this kind, not just this one."""
    return any(words in message for words in _WORDS)
