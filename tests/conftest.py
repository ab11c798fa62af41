from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real scans and maps, outside the repository.

    Missing data skips a test, unless CEREBATCH_REQUIRE lists "data": then it fails.
    """
    folder = os.environ.get("CEREBATCH_DATA", "")
    if folder and Path(folder).is_dir():
        return Path(folder).resolve()
    reason = f"CEREBATCH_DATA names no folder of real data: {folder!r}" if folder else "CEREBATCH_DATA is not set"
    if "data" in (word.strip() for word in os.environ.get("CEREBATCH_REQUIRE", "").split(",")):
        pytest.fail(f"{reason}, and CEREBATCH_REQUIRE asks for data")
    pytest.skip(reason)
