"""The kinds of search by name. Each takes the options, prints what it found, gives an exit code."""

from collections.abc import Callable, Mapping

from livespot.testing.search.bare import search_bare
from livespot.testing.search.gate_pairs import search_pairs
from livespot.testing.search.kills import search_kills
from livespot.testing.search.mutant_search import search_mutants
from livespot.testing.search.seeds import search_seeds
from livespot.testing.search.soak import search_soak
from livespot.testing.search.wanted import Wanted

# 0: no violation, and as many runs as were asked for said something.
PROFILES: Mapping[str, Callable[[Wanted], int]] = {
    "short": search_seeds,
    "long": search_seeds,
    "kills": search_kills,
    "mutants": search_mutants,
    "gate": search_pairs,
    "soak": search_soak,
    "bare": search_bare,
    "bare-one": search_bare,
}
