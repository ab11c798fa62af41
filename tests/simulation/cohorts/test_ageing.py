"""What age does to the anatomy."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from cerebatch import labels
from cerebatch.measures.borders import visible_share
from cerebatch.simulation.anatomy import supersampling
from cerebatch.simulation.anatomy.change import Change
from cerebatch.simulation.anatomy.lifecourse import Constitution, body
from cerebatch.simulation.anatomy.supersampling import Cut
from cerebatch.simulation.cohorts.template_source import TemplateSource
from cerebatch.simulation.phantom.people import Waves
from cerebatch.spatial import space

AVERAGE = Constitution(0.0, np.zeros(len(labels.LABELS)))
STILL = Waves(np.zeros((1, 3)), np.zeros(1), np.zeros((1, 3)))
SMALL = ("I-II", "X")

Sample = Callable[..., Cut]


def lattice(source: TemplateSource, edge_mm: float) -> tuple[space.Grid, space.Affine]:
    """A grid around the cerebellum, turned as a head in a scanner is, and the way from it to the template.

    On the anatomy's own lattice movements of less than half a voxel would be rounded away.
    """
    box = space.cerebellum_box(edge_mm)
    middle = source.cerebellum_mm.mean(axis=0)
    template_from_scan = np.eye(4)
    template_from_scan[:3, :3] = Rotation.from_euler("xyz", (5, -4, 7), degrees=True).as_matrix()
    template_from_scan[:3, 3] = middle - template_from_scan[:3, :3] @ middle
    points = space.apply(space.inverse(template_from_scan), source.cerebellum_mm)
    return box.block(box.cropped_around(points, margin_mm=6.0)), template_from_scan


@pytest.fixture(scope="module")
def at(source: TemplateSource) -> Sample:
    """The average person's cerebellum at an age, on a lattice of 0.5 mm."""
    grid, template_from_scan = lattice(source, 1.0)

    @cache
    def sampled(age: float, sex: str = "F", diagnosis: str = "CN") -> Cut:
        change = Change.of(source.anatomy, body(AVERAGE, age, sex, diagnosis))
        return supersampling.sampled(change, grid, template_from_scan, STILL)

    return sampled


def volumes_mm3(cut: Cut) -> NDArray[np.float64]:
    return np.bincount(cut.lobules.ravel(), minlength=27)[1:] * cut.grid.voxel_volume_mm3


def open_share(cut: Cut) -> float:
    """Share of the borders between lobules that a gap of fluid keeps apart."""
    return visible_share(cut.lobules, np.zeros(cut.lobules.shape, dtype=bool), cut.grid)


@pytest.mark.parametrize("label", labels.LABELS, ids=lambda label: label.abbreviation)
def test_every_structure_grows_in_childhood_and_shrinks_in_old_age(label: labels.Label, at: Sample) -> None:
    child, teen, adult, old = (volumes_mm3(at(age))[label.index - 1] for age in (3, 15, 40, 80))
    assert child < teen
    assert adult > old
    expected = [body(AVERAGE, age, "F").volumes[label.index - 1] for age in (40, 80)]
    slack = 0.03 if label.structure not in SMALL else 0.08
    assert old / adult == pytest.approx(expected[1] / expected[0], abs=slack)


def test_each_structure_has_a_rate_of_its_own(at: Sample) -> None:
    loss = 1 - volumes_mm3(at(80)) / volumes_mm3(at(40))
    by_name = {label.structure: loss[label.index - 1] for label in labels.LABELS if label.side == "left"}
    assert by_name["Crus I"] > by_name["VI"] > by_name["V"] > by_name["VIIIB"] > by_name["X"]


def test_fissures_open_with_age(at: Sample) -> None:
    shares = [open_share(at(age)) for age in (3, 15, 40, 80)]
    assert all(later > earlier for earlier, later in pairwise(shares))
    assert shares[-1] > 2 * shares[0]


def test_the_same_place_keeps_its_label(at: Sample) -> None:
    young, old = at(40), at(80)
    points = space.apply(young.grid.affine, np.argwhere(young.lobules > 0)[::7].astype(float))
    index = np.rint(space.apply(space.inverse(old.grid.affine), points)).astype(int)
    held = np.all((index >= 0) & (index < old.lobules.shape), axis=1)
    before = young.lobules[young.lobules > 0][::7][held]
    after = old.lobules[tuple(index[held].T)]
    still = after > 0
    assert np.mean(before[still] == after[still]) > 0.95


def test_a_cut_moves_a_surface_by_less_than_a_voxel(source: TemplateSource) -> None:
    grid, template_from_scan = lattice(source, 2.0)
    totals = []
    for age in range(60, 65):
        change = Change.of(source.anatomy, body(AVERAGE, age, "F"))
        totals.append(volumes_mm3(supersampling.sampled(change, grid, template_from_scan, STILL)).sum())
    steps = -np.diff(totals)
    assert (steps > 0).all()
    assert steps.max() < 2 * steps.min()
    assert steps.max() < 0.01 * totals[0]


def test_disease_takes_most_from_crus_and_nothing_from_the_healthy(at: Sample) -> None:
    healthy, ill, worried = (volumes_mm3(at(75, "F", who)) for who in ("CN", "AD", "SMC"))
    loss = {label.abbreviation: 1 - ill[label.index - 1] / healthy[label.index - 1] for label in labels.LABELS}
    assert loss["L_Crus_I"] > 0.05 > loss["L_X"]
    assert healthy.sum() > worried.sum() > ill.sum()


def test_men_have_larger_heads_and_cerebella_and_children_smaller_ones() -> None:
    woman, man, baby = body(AVERAGE, 30, "F"), body(AVERAGE, 30, "M"), body(AVERAGE, 1, "F")
    assert baby.head < 0.75 * woman.head < woman.head < man.head
    size = [one.head * one.volumes.mean() for one in (woman, man)]
    assert 1.08 < size[1] / size[0] < 1.13
    assert baby.child_closed > 0.5 > 0.1 > woman.child_closed


def test_people_differ() -> None:
    drawn = [Constitution.drawn(np.random.default_rng(k)).structures for k in range(200)]
    spread = np.std(drawn, axis=0)
    assert (spread > 0.05).all()
    assert (spread < 0.15).all()
    assert np.corrcoef([one[5] for one in drawn], [one[18] for one in drawn])[0, 1] > 0.7
