"""When a refusal says that a symbol takes no orders, or none of this kind, just now."""

# The matching engine's words.
_WORDS = (
    "Market is closed",
    "API trading is not enabled",
    "in this trading phase",
    "for this phase",
)


def says_closed(message: str) -> bool:
    """Whether it was not this order that was declined, but any like it."""
    return any(words in message for words in _WORDS)
