"""Figures of the process and its disk, as the operating system counts them."""

import shutil
import sys
from pathlib import Path

import psutil

if sys.platform != "win32":
    import resource


class Host:
    """Figures for the health actor; each call takes well under a millisecond."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._process = psutil.Process()
        self._process.cpu_percent()

    def free_bytes(self) -> int:
        return shutil.disk_usage(self._database.parent).free

    def open_files_percent(self) -> int:
        """Open files and sockets in percent of the process's limit; 0 without a limit."""
        if sys.platform == "win32":
            return 0
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return 100 * self._process.num_fds() // limit if limit > 0 else 0

    def rss_bytes(self) -> int:
        return int(self._process.memory_info().rss)

    def cpu_percent_x100(self) -> int:
        """Processor time since the last call; 10000 is one whole core."""
        return round(self._process.cpu_percent() * 100)

    def database_bytes(self) -> tuple[int, int]:
        wal = self._database.with_name(self._database.name + "-wal")
        return _size(self._database), _size(wal)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
