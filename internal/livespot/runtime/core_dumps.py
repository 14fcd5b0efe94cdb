"""Keeps the memory of a process with secrets out of core dumps and debuggers."""

import ctypes
import sys

_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> bool:
    """Disable core dumps and, on Linux, reading our memory; False where neither can be done.

    The hard limit is lowered as well, so that no child can raise it. Nothing depends on success.
    """
    if sys.platform == "win32":
        return False
    # The module does not exist on Windows.
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform.startswith("linux"):
        # A core pattern that pipes dumps to a program ignores the limit, but not this.
        return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
    return True
