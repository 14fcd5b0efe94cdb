"""The order of the tests where several workers share them."""

from collections import Counter

import pytest

# Its tests wait for real processes: begun last, they would leave the other worker idle.
_WAITING = "tests/integration/"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin what takes long: no worker is to be alone with it when the others have ended."""
    if not hasattr(config, "workerinput"):
        return
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: (not item.nodeid.startswith(_WAITING), -slow[item.path]))
