"""I31, I32, I33: queues within their bounds, no task that outlives its life, nothing left open."""

from livespot.evidence.findings import Finding, judged
from livespot.testing.search.witness import Witness

# What the whole process may keep open between two runs: the interpreter's own few.
_FILES_SLACK = 2


def queues_are_bounded(witness: Witness) -> Finding:
    """I31: no mailbox ever held more than it may, and what waits for the writer stayed bounded."""
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
    """I32: when a life has ended by itself, in order or cancelled, none of its tasks is left.

    That no exception was left unread is seen by the loop, and ends the run.
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
