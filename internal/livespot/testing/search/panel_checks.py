"""I25: the panel only reads, answers only who may ask, and writes down that it was asked."""

from livespot.evidence.findings import Finding, judged
from livespot.testing.search.board import Noted
from livespot.testing.search.troubles import OperatorSays, PageAsked
from livespot.testing.search.visiting import CAUSED, OWN_HOST
from livespot.testing.search.witness import Witness

# All that there is to see, whatever the panel believes; of other addresses nothing is shown.
_SHOWN = frozenset(
    {
        *("/dashboard", "/static/panel.js", "/healthz", "/metrics"),
        *("/api/dashboard", "/api/orders", "/api/alerts"),
    }
)
_READS = frozenset({"GET", "HEAD"})
_OWN_HOSTS = frozenset({OWN_HOST, OWN_HOST.replace("127.0.0.1", "localhost")})
# More than this within a second, and the rest is turned away.
_MOST_PER_SECOND = 20
_SECOND_MS = 1000
_TOO_MANY = "429"
# What keeps a life from writing down what it was asked.
_MUTE = ("disk.", "actor.")


def the_panel_only_reads(witness: Witness) -> Finding:
    """I25: each visit was answered as the list of what may be asked says, and caused nothing.

    No mail to an actor and no request to anybody came of it, nobody was commanded but by the
    operator's files, and the audit of a life that ended in order holds each visit.
    """
    visits = {t.id: t.what for t in witness.plan.troubles if isinstance(t.what, PageAsked)}
    lines = [hit for hit in witness.hits if hit.id in visits]
    problems = [f"{hit.id} caused something" for hit in lines if hit.verb == CAUSED]
    answered = [hit for hit in lines if hit.verb != CAUSED]
    for hit in answered:
        what = visits[hit.id]
        due = _due(what)
        if hit.told not in due and not (hit.told == _TOO_MANY and _is_busy(answered, hit)):
            asked = f"{what.method} {what.path} of {what.host or 'its own host'}"
            problems.append(f"{asked} was answered {hit.told}, not {' or '.join(due)}")
    spoken = sum(isinstance(trouble.what, OperatorSays) for trouble in witness.plan.troubles)
    if answered and len(witness.facts.commands) > spoken:
        problems.append(f"{len(witness.facts.commands)} commands, {spoken} were given")
    troubled = any(trouble.verb.startswith(_MUTE) for trouble in witness.plan.troubles)
    for life in () if troubled else witness.lives:
        here = [hit for hit in answered if life.born_ms <= hit.t_ms <= life.over_ms]
        wanted = sum(hit.told != _TOO_MANY for hit in here)
        if life.code is not None:
            found = witness.asked.get(life.run_id, 0)
            if found != wanted:
                problems.append(f"{life.run_id} was asked {wanted} times and wrote {found} down")
    return judged("I25", "The panel only reads", len(answered), problems)


def _is_busy(answered: list[Noted], hit: Noted) -> bool:
    """Whether more were asked in the second before than are answered in one."""
    near = sum(hit.t_ms - _SECOND_MS < other.t_ms <= hit.t_ms for other in answered)
    return near > _MOST_PER_SECOND


def _due(what: PageAsked) -> tuple[str, ...]:
    """The statuses that answer a request; what is not ready yet or not well says so."""
    if (what.host or OWN_HOST) not in _OWN_HOSTS:
        return ("421",)
    if what.origin and what.origin != f"http://{what.host or OWN_HOST}":
        return ("403",)
    if what.method not in _READS:
        return ("403",)
    if what.path.partition("?")[0] not in _SHOWN:
        return ("404",)
    return ("200", "503") if what.path == "/healthz" else ("200",)
