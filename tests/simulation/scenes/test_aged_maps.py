"""A lobule map made younger and older, by way of the second simulator, on a made-up person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cerebatch import labels
from cerebatch.augment.targets import find_targets
from cerebatch.errors import InputError
from cerebatch.io.labelmaps import map_name
from cerebatch.measures.borders import visible_share
from cerebatch.simulation.anatomy.change import Change
from cerebatch.simulation.anatomy.lifecourse import Constitution, body
from cerebatch.simulation.cohorts.cohort import write_simulated
from cerebatch.simulation.cohorts.maps_source import MapsSource, aged, map_anatomy
from cerebatch.simulation.cohorts.people import Person, lifespan_people
from cerebatch.simulation.cohorts.scanners import scanner_of
from cerebatch.simulation.scenes.scene import Lobules

pytestmark = pytest.mark.slow

AVERAGE = Constitution(0.0, np.zeros(len(labels.LABELS)))


@pytest.fixture(scope="module")
def at(lobules: Lobules) -> dict[int, Lobules]:
    anatomy = map_anatomy(lobules)
    return {age: aged(lobules, Change.of(anatomy, body(AVERAGE, age, "F"))) for age in (5, 40, 80)}


@pytest.fixture(scope="module")
def source(lobule_map: Path, head_map: Path) -> MapsSource:
    return MapsSource.build(lobule_map.parent, head_map.parent, "maker-1", t2=True)


def test_old_people_have_smaller_lobules_and_open_fissures(at: dict[int, Lobules], lobules: Lobules) -> None:
    counts = {age: np.bincount(one.dseg.ravel(), minlength=27)[1:] for age, one in at.items()}
    # On the coarse lattice of this map the white matter moves by less than half a voxel, which is rounded away.
    white = np.array([label.lobe == "white_matter" for label in labels.LABELS])
    assert (counts[80] < counts[40])[~white].all()
    apart = {age: visible_share(one.dseg, np.zeros(one.dseg.shape, dtype=bool), one.grid) for age, one in at.items()}
    assert apart[80] > 2 * max(apart[40], apart[5])
    assert (at[80].outline & (at[80].dseg == 0)).sum() > (at[40].outline & (at[40].dseg == 0)).sum()
    assert (at[80].outline == lobules.outline).all()


def test_an_aged_map_keeps_its_labels_in_their_places(at: dict[int, Lobules]) -> None:
    both = (at[40].dseg > 0) & (at[80].dseg > 0)
    assert np.mean(at[40].dseg[both] == at[80].dseg[both]) > 0.93
    assert not at[80].white[at[80].dseg == 0].any()


def test_one_person_at_two_ages_is_scanned_with_true_labels(source: MapsSource) -> None:
    scanner = scanner_of("site01", 1, 3.0)
    child, old = (source.make(Person(1, age, "F", "CN", "lifespan", "site01"), scanner, 1) for age in (4.0, 82.0))
    assert set(old.scans) == {"T1w", "T2w"}
    for made in (child, old):
        scan, grid = made.scans["T1w"]
        assert grid.voxel_sizes_mm == pytest.approx(scanner.voxel_mm, rel=0.02)
        assert scan.max() > 0.5 * scanner.brightness
        assert set(np.unique(made.lobules)) == set(range(27))
        assert ((made.dseg > 0) == (made.lobules > 0)).all()
    assert child.icv_cm3 < old.icv_cm3


def test_a_cohort_tells_whose_maps_its_people_are_made_from(source: MapsSource, head_map: Path, tmp_path: Path) -> None:
    write_simulated(tmp_path, lifespan_people(2, 1), source, 1, voxel_mm=3.0)
    head = map_name(head_map)
    assert "(maker-1) in its own shape" in (tmp_path / "dataset_description.json").read_text()
    targets = find_targets(tmp_path, 1.0)
    assert [target.made_from for target in targets.found] == [("maker-1", head)] * 2
    assert not targets.warnings


def test_a_map_that_is_not_there_is_refused(lobule_map: Path, head_map: Path) -> None:
    with pytest.raises(InputError, match="subject-3"):
        MapsSource.build(lobule_map.parent, head_map.parent, "subject-3")
