"""I01b, I13b, I20b, I20c, I24: ids used once, boots that look first, what is said, no secrets."""

from collections.abc import Iterator

from livespot.evidence.findings import Finding, judged
from livespot.testing.search.stale_checks import TOLD_ONCE_MS, cut_on_its_way
from livespot.testing.search.troubles import DiskBusy
from livespot.testing.search.witness import Witness, house_steps

_REUSED = ("CLIENT_ORDER_ID_REUSE_BLOCK", "CLIENT_ORDER_ID_INVALID")
# From an answer's arrival to its durable record: two ticks of a keeper, and a commit.
_SAID_WITHIN_MS = 3000
# A database that is held is tried again this often, at least.
_ASKED_EVERY_MS = 100
# Answers at most this far apart state one condition, which may last a minute by itself.
_ONE_CONDITION_MS = 120_000
# By the beginning of an outcome: the codes that say so.
_CONDITIONS = {
    "418": ("RATE_LIMIT_418",),
    "429": ("RATE_LIMIT_429", "RATE_LIMIT_418"),
    "401 -2015": ("API_KEY_REJECTED",),
}


def no_id_offered_twice(witness: Witness) -> Finding:
    """I01b: no id was even tried again; the ledger's refusal is only the last resort."""
    problems = [
        f"{alert.code} on {alert.symbol}: {alert.text}"
        for alert in witness.facts.alerts
        if alert.code in _REUSED
    ]
    looked_at = len(witness.facts.aliases)
    return judged("I01b", "No id is offered twice", looked_at, problems)


def no_entry_before_the_first_look(witness: Witness) -> Finding:
    """I13b: no life is NORMAL before it has compared its predecessor's orders with the exchange.

    Where our clock was set, stamps do not tell which came first: the audit's stamps never step
    back, but a mode bears the clock's own time. The order of the audit's events decides.
    """
    steps = bool(house_steps(witness.plan))
    problems, looked_at = [], 0
    seen: set[str] = set()
    for mode in witness.facts.modes:
        if mode.mode != "NORMAL" or mode.run_id in seen:
            continue
        seen.add(mode.run_id)
        looked_at += 1
        compared_ms = witness.recovered.get(mode.run_id)
        if compared_ms is None:
            problems.append(f"{mode.run_id} is NORMAL and never looked")
        elif mode.run_id in witness.hasty:
            problems.append(f"{mode.run_id} is NORMAL before it had looked")
        elif mode.at_ms < compared_ms and not steps:
            problems.append(f"{mode.run_id} is NORMAL {compared_ms - mode.at_ms} ms too early")
    return judged("I13b", "No entry before a life's first look", looked_at, problems)


def moves_and_alerts_are_one(witness: Witness) -> Finding:
    """I20b: the transaction that holds a change of mode holds its alert."""
    moves = [rows for rows in witness.commits if "SysModeRow" in rows]
    problems = [
        "a change of mode was durable before its alert" for rows in moves if "AlertRow" not in rows
    ]
    return judged("I20b", "A move and its alert are one", len(moves), problems)


def conditions_are_announced(witness: Witness) -> Finding:
    """I20c: bans, limits and refusals of the key that the process heard of were reported in time.

    In every mode but EXIT, however strict it was already, and by each life anew.
    """
    problems, looked_at = [], 0
    began: dict[tuple[int, tuple[str, ...]], tuple[int, int]] = {}
    for told_ms, codes in sorted(_told(witness)):
        due_ms = told_ms + _SAID_WITHIN_MS
        life = _life_at(witness, told_ms)
        if life is None or witness.lives[life].speaks_until_ms <= due_ms:
            continue
        if witness.mode_before(told_ms) in ("", "EXIT"):
            continue
        first_ms, last_ms = began.get((life, codes), (told_ms, told_ms))
        if told_ms - last_ms > _ONE_CONDITION_MS:
            first_ms = told_ms
        began[life, codes] = (first_ms, told_ms)
        looked_at += 1
        since_ms = max(first_ms - TOLD_ONCE_MS, witness.lives[life].born_ms)
        if not _said(witness, codes, since_ms, due_ms):
            problems.append(f"nobody said {codes[0]} within {_SAID_WITHIN_MS} ms of {told_ms}")
    return judged("I20c", "Conditions are announced in time", looked_at, problems)


def _life_at(witness: Witness, at_ms: int) -> int | None:
    """The number of the life that was on at that time."""
    for number, life in enumerate(witness.lives):
        if life.born_ms <= at_ms < life.over_ms:
            return number
    return None


def _told(witness: Witness) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield (market time, codes that must follow) of each answer that states a condition.

    An answer lost with its socket told nobody anything.
    """
    for place, row in witness.requests():
        stated = [
            codes for outcome, codes in _CONDITIONS.items() if row.outcome.startswith(outcome)
        ]
        if not stated or not row.delivered or row.conn == "model":
            continue
        told_ms = witness.at(place, row.t_reply)
        if row.method != "WS" or not cut_on_its_way(witness, place, told_ms):
            yield from ((told_ms, codes) for codes in stated)


def _said(witness: Witness, codes: tuple[str, ...], from_ms: int, until_ms: int) -> bool:
    """While somebody else holds the database an alert is only announced; its record follows."""
    alerts = (a for a in witness.facts.alerts if from_ms <= a.at_ms <= until_ms)
    if any(alert.code in codes for alert in alerts):
        return True
    aloud = (a for a in witness.announced if _held(witness, a.at_ms) and a.at_ms <= until_ms)
    if any(set(codes) & {alert.code, *alert.reasons} for alert in aloud if alert.at_ms >= from_ms):
        return True
    modes = (m for m in witness.facts.modes if from_ms <= m.at_ms <= until_ms)
    return any(set(codes) & set(mode.reasons) for mode in modes)


def _held(witness: Witness, at_ms: int) -> bool:
    """Whether the database was in somebody else's hands at that time."""
    held = {trouble.id for trouble in witness.plan.troubles if isinstance(trouble.what, DiskBusy)}
    return any(hit.id in held and abs(at_ms - hit.t_ms) <= _ASKED_EVERY_MS for hit in witness.hits)


def no_secret_left(witness: Witness) -> Finding:
    """I24: files, database and its log hold no canary in any of its encodings."""
    return judged("I24", "No secret bytes", witness.searched, witness.leaks)
