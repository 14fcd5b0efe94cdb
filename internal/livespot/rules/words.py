"""Numbers formatted for people."""

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def age(ms: int | None) -> str:
    """A span of time: 450 ms, 12 s, 3 min, 2 h 05, 4 d; a dash when it is unknown."""
    if ms is None or ms < 0:
        return "—"
    if ms < 1000:
        return f"{ms} ms"
    seconds = ms // 1000
    if seconds < 120:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 120:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60:02d}"
    return f"{minutes // 1440} d"


def size(count: int | None) -> str:
    """Bytes with a binary unit and one decimal; a dash when unknown."""
    if count is None or count < 0:
        return "—"
    tenths, unit = count * 10, 0
    while tenths >= 10_240 and unit < len(_UNITS) - 1:
        tenths, unit = tenths // 1024, unit + 1
    return f"{count} B" if unit == 0 else f"{tenths // 10}.{tenths % 10} {_UNITS[unit]}"


def measured(value: int, unit: str) -> str:
    """A measurement with its unit; spans, sizes and scores in readable form."""
    match unit:
        case "ms":
            return age(value)
        case "bytes":
            return size(value)
        case "x10000":
            return f"{value // 10_000}.{value % 10_000 // 1000}"
        case _:
            return f"{value} {unit}".rstrip()


# Control characters, and those that change the direction of the text.
_OBEYED = (*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_PLAIN: dict[int, str] = dict.fromkeys(_OBEYED, "\N{REPLACEMENT CHARACTER}")
_PLAIN |= dict.fromkeys(map(ord, "\t\n"), " ")


def printable(text: str) -> str:
    """Text from outside, without the characters that a terminal would act on."""
    return text.translate(_PLAIN)


def amount(text: str | None, decimals: int = 4) -> str:
    """Decimal text cut (never rounded) to some decimals; a dash for an unknown amount."""
    if not text:
        return "—"
    whole, dot, rest = text.partition(".")
    kept = rest[:decimals].rstrip("0")
    if kept:
        return f"{whole}{dot}{kept}"
    return "0" if whole == "-0" else whole


def signed(text: str | None, decimals: int = 4) -> str:
    """Like `amount`, with a plus before a gain."""
    shown = amount(text, decimals)
    return shown if shown.startswith("-") or shown in ("—", "0") else f"+{shown}"


def limited(codes: list[str], most: int = 3) -> str:
    """The first names of a list, and the number of the others."""
    more = len(codes) - most
    return ", ".join(codes[:most]) + (f" +{more}" if more > 0 else "")
