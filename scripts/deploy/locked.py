"""Ends with 5, and says so, when a process holds the instance lock of the state directory given."""

import sys
from pathlib import Path

from livespot.runtime.disk import RealDisk
from livespot.runtime.paths import Paths

var = Path(sys.argv[1])
if RealDisk().is_locked(Paths(var=var).lock):
    sys.stderr.write(
        f"A livespot process runs with {var}, so nothing was changed.\n"
        f"Next: livespot stop --var {var}, then this again\n"
    )
    sys.exit(5)
