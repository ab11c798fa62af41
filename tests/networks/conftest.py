from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_networks import write_network

Write = Callable[..., Path]


@pytest.fixture(scope="session")
def write() -> Write:
    """Writes weights from a seed into a folder."""
    return write_network
