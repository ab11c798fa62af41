"""Heads in new shapes: the same by number, and nothing of people who are held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fine_heads import BOX, FINE, Heads, library_of
from torch.nn import functional

from cerebatch.errors import LibraryError
from cerebatch.labels import WHITE_MATTER
from cerebatch.library.store import Library
from cerebatch.library.tissues import TISSUES
from cerebatch.training.geometry import DEPTH_MM, LABELLED, Geometries, Geometry, _depth, _nearest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("geometries")


@pytest.fixture(scope="module")
def drawn(folder: Path) -> Geometry:
    """Number 3 of a bank of ten."""
    return Geometries(library_of(), folder, 10).read(3)


def test_codes_tell_tissue_lobule_and_arbor() -> None:
    codes = np.array([[[TISSUES.index("bone"), LABELLED + 2 * 7, LABELLED + 2 * 7 + 1, LABELLED + 2 * 26]]], np.uint8)
    one = Geometry(codes, np.zeros_like(codes), np.zeros((0, 1, 1, 2), dtype=np.uint8))
    assert one.lobules.tolist() == [[[0, 7, 7, 26]]]
    assert one.arbor.tolist() == [[[False, False, True, False]]]


def test_depth_is_the_distance_to_what_is_no_cerebellum() -> None:
    labelled = np.zeros((20, 20, 20), dtype=bool)
    labelled[5:15, 5:15, 5:15] = True
    depth = _depth(labelled)
    assert not depth[~labelled].any()
    # Half a millimetre a voxel; the outermost layer lies one voxel from the nearest outside.
    assert depth[5, 10, 10] * DEPTH_MM == pytest.approx(0.5)
    assert depth[9, 9, 9] * DEPTH_MM == pytest.approx(2.5)
    assert depth[6, 6, 10] * DEPTH_MM == pytest.approx(1.0)


@pytest.mark.parametrize("maps", [0, 2])
def test_a_grid_that_moves_nothing_gives_the_same_maps(maps: int) -> None:
    labels = np.random.default_rng(1).integers(0, 27, (maps, 6, 8, 10), dtype=np.uint8)
    identity = functional.affine_grid(torch.eye(3, 4)[None], [1, 1, 6, 8, 10], align_corners=False)
    assert np.array_equal(_nearest(labels, identity), labels)


def test_a_geometry_is_on_the_fine_box_and_votes_on_the_coarse_one(drawn: Geometry) -> None:
    assert drawn.codes.shape == drawn.depth.shape == FINE
    assert drawn.votes.shape == (2, *BOX.shape)
    assert set(np.unique(drawn.lobules)) == set(range(27))
    assert 0.5 < (drawn.lobules > 0).sum() / (Heads().lobules(0) > 0).sum() < 2
    # Deep where there is cerebellum alone, and what is white inside a lobule is no core.
    assert not drawn.depth[drawn.lobules == 0].any()
    assert drawn.depth[drawn.lobules > 0].all()
    assert drawn.arbor.any()
    assert not drawn.arbor[np.isin(drawn.lobules, WHITE_MATTER)].any()


def test_votes_lie_where_the_head_does(drawn: Geometry) -> None:
    truth = drawn.lobules[::2, ::2, ::2] > 0
    for vote in drawn.votes:
        assert 2 * (truth & (vote > 0)).sum() / (truth.sum() + (vote > 0).sum()) > 0.9


def test_the_same_number_is_the_same_geometry_from_the_folder_and_drawn_again(
    drawn: Geometry, folder: Path, tmp_path: Path
) -> None:
    assert sorted(path.name for path in folder.iterdir()) == ["000003.npz"]
    torch.manual_seed(77)
    before = torch.random.get_rng_state()
    again = Geometries(library_of(), tmp_path, 10).read(3)
    # Drawing it changes nothing that is drawn afterwards: a sample is the same whether its geometry was there or not.
    assert torch.equal(torch.random.get_rng_state(), before)
    for one in (again, Geometries(library_of(), folder, 10).read(3)):
        assert np.array_equal(one.codes, drawn.codes)
        assert np.array_equal(one.depth, drawn.depth)
        assert np.array_equal(one.votes, drawn.votes)


def test_another_number_is_another_geometry(drawn: Geometry, folder: Path) -> None:
    assert not np.array_equal(Geometries(library_of(), folder, 10).read(4).codes, drawn.codes)


def test_held_out_people_are_neither_cases_nor_votes(tmp_path: Path) -> None:
    library = library_of(4)
    made = Geometries(library, tmp_path, 10, hold_out=("person-2", "person-4"))
    assert {library.persons[k] for k in made.cases} == {"person-1", "person-3"}
    (vote,) = made._votes(0)
    (twin,) = made._votes(1)
    assert np.array_equal(vote, library.dseg(4)[::2, ::2, ::2])
    assert np.array_equal(twin, library.dseg(5)[::2, ::2, ::2])


def test_with_one_person_left_there_are_no_votes(tmp_path: Path) -> None:
    made = Geometries(library_of(2), tmp_path, 10, hold_out=("person-2",))
    assert made.read(0).votes.shape == (0, *BOX.shape)


def test_without_people_or_with_another_resolution_there_are_no_geometries(tmp_path: Path, library: Library) -> None:
    with pytest.raises(LibraryError, match="expected rendered cases of people other than person-1, person-2"):
        Geometries(library_of(2), tmp_path, 10, hold_out=("person-1", "person-2"))
    with pytest.raises(LibraryError, match=r"expected a library of 0\.5 mm, found 4\.0 mm"):
        Geometries(library, tmp_path, 10)
