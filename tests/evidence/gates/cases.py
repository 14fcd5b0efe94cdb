"""What the tests of the gates share: a run in which all is right, and how it is handed over."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from livespot.evidence.gates.results import Subject
from livespot.evidence.summary import RunSummary
from livespot.runtime.paths import Paths

CANARY = "canaryK3y-7f+/w0rth=less"


class Recorded(NamedTuple):
    """A run that bought, was stopped out and reconciled."""

    paths: Paths
    run_id: str
    summary: RunSummary


SubjectOf: TypeAlias = Callable[[], Subject]
