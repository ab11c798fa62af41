from __future__ import annotations

from pathlib import Path

import pytest

from cerebatch.simulation.cohorts.cohort import write_simulated
from cerebatch.simulation.cohorts.people import table1_people
from cerebatch.simulation.cohorts.template_source import TemplateSource

COARSE_MM = 3.5


@pytest.fixture(scope="session")
def source() -> TemplateSource:
    """The template, for scans of coarse voxels."""
    return TemplateSource.build(COARSE_MM, t2=True)


@pytest.fixture(scope="session")
def cohort(source: TemplateSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people of Table 1 with T1w and T2w."""
    folder = tmp_path_factory.mktemp("simulated") / "bids"
    write_simulated(folder, table1_people(3, 5), source, 5, voxel_mm=COARSE_MM)
    return folder
