"""I31, I32, I33: queues and collections are bounded; no task or descriptor is left behind."""

from livespot.evidence.findings import Finding, judged
from livespot.testing.search.gauges import Reading
from livespot.testing.search.witness import Witness

# SQLite checkpoints its log at four megabytes; one more commit may come before that.
_MOST_WAL_BYTES = 8_000_000
# One symbol has a thousand candles; no other collection comes near that.
_MOST_ELEMENTS = 5000
# The most growth allowed in two quiet minutes.
_MOST_GROWN = 200
# What the process may keep open between two runs: the interpreter's own few.
_FILES_SLACK = 2


def queues_are_bounded(witness: Witness) -> Finding:
    """I31: no mailbox exceeded its capacity, and what waited for the writer stayed bounded."""
    problems, looked_at = [], 0
    worst: dict[str, str] = {}
    for sample in witness.samples:
        for box in sample.get("mailboxes", ()):
            looked_at += 1
            if box["high_water"] > box["capacity"]:
                worst[box["name"]] = f"held {box['high_water']}, may hold {box['capacity']}"
    problems += [f"mailbox {name} {text}" for name, text in sorted(worst.items())]
    deepest = max((sample.get("writer_depth", 0) for sample in witness.samples), default=0)
    if deepest > witness.writer_capacity:
        problems.append(f"{deepest} units waited for the writer, at most {witness.writer_capacity}")
    fullest = _fullest(witness)
    return judged("I31", "Queues are bounded", looked_at, problems, note=fullest)


def _fullest(witness: Witness) -> str:
    shares = [
        (box["high_water"] * 100 // box["capacity"], box["name"])
        for sample in witness.samples
        for box in sample.get("mailboxes", ())
    ]
    share, name = max(shares, default=(0, ""))
    return f"fullest {name} at {share} %" if name else ""


def no_task_outlives_its_life(witness: Witness) -> Finding:
    """I32: a life that has ended by itself, in order or cancelled, leaves no task.

    An exception that nobody retrieves is noticed by the loop, and ends the run.
    """
    ended = [life for life in witness.lives if life.code is not None]
    problems = [
        f"{life.run_id} left {life.tasks_left} tasks behind" for life in ended if life.tasks_left
    ]
    return judged("I32", "No task outlives its life", len(ended), problems)


def nothing_is_left_open(before: int, after: int) -> Finding:
    """I33: a run with all its lives, boots and lost connections leaves no descriptor behind."""
    grown = after - before
    problems = [f"{grown} descriptors more than before the run"] if grown > _FILES_SLACK else []
    return judged("I33", "Nothing is left open", after, problems)


def log_stays_small(witness: Witness) -> Finding:
    """I31b: soon after the healing the database's log is within its bound, and stays there."""
    largest = max((reading.wal_bytes for reading in witness.gauges), default=0)
    problems = [f"the log holds {largest} bytes"] if largest > _MOST_WAL_BYTES else []
    note = f"largest {largest} bytes" if largest else ""
    return judged("I31b", "The log stays small", len(witness.gauges), problems, note=note)


def collections_stay_small(witness: Witness) -> Finding:
    """I33b: no collection of a life is huge, or goes on growing while nothing goes wrong.

    This notices growth of more than a hundred elements a minute; slower growth is left to the soak.
    A collection with a bound of its own may fill up to it; then the bound must be small.
    """
    whole = [reading for reading in witness.gauges if reading.sizes]
    first: dict[int, Reading] = {}
    largest: dict[str, str] = {}
    for reading in whole:
        before = first.setdefault(reading.life, reading).sizes
        for name, size in reading.sizes.items():
            fills = 0 < reading.bounds.get(name, 0) <= _MOST_ELEMENTS
            grown = 0 if fills else size - before.get(name, size)
            if size > _MOST_ELEMENTS or grown > _MOST_GROWN:
                largest[name] = f"{name} holds {size}, {grown} more than after the healing"
    looked_at = sum(len(reading.sizes) for reading in whole)
    problems = [text for _, text in sorted(largest.items())]
    return judged("I33b", "Collections stay small", looked_at, problems)
