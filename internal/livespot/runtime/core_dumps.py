"""Keeps the memory of a process that holds secrets out of core files and of other hands."""

import ctypes
import sys

_PR_SET_DUMPABLE = 4


def forbid_core_dumps() -> bool:
    """No core file, and on Linux no look into our memory either; False where neither exists.

    The hard limit goes too, so that no child can raise it again. Nothing depends on success.
    """
    if sys.platform == "win32":
        return False
    # The module does not exist on Windows.
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform.startswith("linux"):
        # A fault handler of the system that takes dumps from a pipe ignores the limit, not this.
        return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
    return True
