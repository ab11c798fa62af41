from __future__ import annotations

import os
from pathlib import Path

import pytest

from cerebatch import ants_bridge
from cerebatch.phantom import write_cohort

# ITK reads its thread count once a process; all tests share one.
ants_bridge.use_one_thread()


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


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BIDS dataset of two whole-headed phantoms at 3 mm; the truth lies in derivatives/phantom-truth."""
    folder = tmp_path_factory.mktemp("phantoms") / "bids"
    write_cohort(folder, 2, seed=3, resolution_mm=3.0)
    return folder


@pytest.fixture(scope="session")
def labelled_case(phantoms: Path) -> Path:
    """The phantom's own labels on the template."""
    return phantoms / "derivatives/phantom-truth/tpl-MNI152NLin2009aSym_seg-lobules_res-1_dseg.nii.gz"
