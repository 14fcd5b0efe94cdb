"""Names the files of the trail's days, plain and packed, and unpacks them."""

import gzip
import zlib


def plain_name(day: str) -> str:
    """Return the file name of a day given as `YYYY-MM-DD`."""
    return f"audit-{day}.jsonl"


def packed_name(day: str) -> str:
    return plain_name(day) + ".gz"


def unpacked(content: bytes) -> bytes | None:
    """Return the lines of a packed day; None when the file is damaged."""
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        return None
