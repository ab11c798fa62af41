from __future__ import annotations

from pathlib import Path

import pytest
from small_networks import write_cascade


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cascade for 4 mm that finds a cerebellum in anything."""
    return write_cascade(tmp_path_factory.mktemp("weights") / "mine")


@pytest.fixture(scope="session")
def scan(phantoms: Path) -> Path:
    """A phantom's T1w."""
    return phantoms / "sub-phantom001/anat/sub-phantom001_T1w.nii.gz"
