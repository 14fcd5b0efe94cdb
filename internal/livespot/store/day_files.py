"""How the files of the trail's days are called, plain and packed, and what a packed one holds."""

import gzip
import zlib


def plain_name(day: str) -> str:
    """`day` is `YYYY-MM-DD`."""
    return f"audit-{day}.jsonl"


def packed_name(day: str) -> str:
    return plain_name(day) + ".gz"


def unpacked(content: bytes) -> bytes | None:
    """The lines of a packed day; None of a damaged one, of which nothing can be trusted."""
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return None
