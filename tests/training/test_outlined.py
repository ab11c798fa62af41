"""Real scans with manual outlines: what each voxel may be, and what is put around them."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from cerebatch.errors import LabelMapError
from cerebatch.io.files import write_image
from cerebatch.labels import STRUCTURES
from cerebatch.library.tissues import TISSUES
from cerebatch.measures.icv import from_affine
from cerebatch.spatial.space import LabelMap, Volume, cerebellum_box
from cerebatch.stages.prepare import Prepared
from cerebatch.training import outlined
from cerebatch.training.geometry import LABELLED, Geometry
from cerebatch.training.outlined import (
    LEFT_CORTEX,
    LEFT_WHITE,
    MANUAL,
    RIGHT_CORTEX,
    RIGHT_WHITE,
    VERMIS,
    OutlinedScan,
    allowed_sides,
    allowed_structures,
    check_figures,
    drawn_outlined,
    mirrored_scan,
    read_outlined,
    surrounded,
)

BOX = cerebellum_box(1.0)
FLUID, GREY, WHITE = 50.0, 150.0, 250.0
WM = "White matter"
LOBULES = set(STRUCTURES) - {WM}


def column(manual: int, t1w: float) -> OutlinedScan:
    """One voxel."""
    return OutlinedScan(
        np.full((1, 1, 1), t1w, np.float32), np.full((1, 1, 1), manual, np.uint8), np.ones((1, 1, 1), bool)
    )


def structures(bits: int) -> set[str]:
    """Names of the classes of the second network."""
    return {("background", *STRUCTURES)[k] for k in range(14) if bits >> k & 1}


@pytest.mark.parametrize(
    ("manual", "t1w", "expected"),
    [
        (0, GREY, {"background"}),
        (0, FLUID, {"background"}),
        (LEFT_CORTEX, GREY, LOBULES),
        (LEFT_CORTEX, WHITE, LOBULES | {WM}),
        (LEFT_CORTEX, FLUID, LOBULES | {"background"}),
        (RIGHT_CORTEX, GREY, LOBULES),
        (RIGHT_CORTEX, WHITE, LOBULES | {WM}),
        (LEFT_WHITE, WHITE, {WM}),
        (RIGHT_WHITE, GREY, {WM}),
        (RIGHT_WHITE, FLUID, {WM, "background"}),
        (VERMIS[0], GREY, {"I-II", "III", "IV", "V"}),
        (VERMIS[0], WHITE, {"I-II", "III", "IV", "V", WM}),
        (VERMIS[1], GREY, {"VI", "Crus I", "Crus II", "VIIB"}),
        (VERMIS[2], FLUID, {"VIIIA", "VIIIB", "IX", "X", "background"}),
    ],
)
def test_a_manual_label_allows_a_set_of_structures(manual: int, t1w: float, expected: set[str]) -> None:
    assert structures(int(allowed_structures(column(manual, t1w))[0, 0, 0])) == expected


@pytest.mark.parametrize(
    ("manual", "t1w", "expected"),
    [
        (0, GREY, {0}),
        (LEFT_CORTEX, GREY, {1}),
        (LEFT_WHITE, WHITE, {1}),
        (RIGHT_CORTEX, GREY, {2}),
        (RIGHT_WHITE, FLUID, {0, 2}),
        (LEFT_CORTEX, FLUID, {0, 1}),
        (VERMIS[0], GREY, {1, 2}),
        (VERMIS[2], FLUID, {0, 1, 2}),
    ],
)
def test_a_manual_label_allows_a_set_of_sides(manual: int, t1w: float, expected: set[int]) -> None:
    bits = int(allowed_sides(column(manual, t1w))[0, 0, 0])
    assert {k for k in range(8) if bits >> k & 1} == expected


def test_no_voxel_is_allowed_nothing() -> None:
    manual, t1w = np.meshgrid(np.arange(8, dtype=np.uint8), np.array([FLUID, GREY, WHITE], np.float32), indexing="ij")
    scan = OutlinedScan(t1w[None], manual[None], np.ones((1, 8, 3), dtype=bool))
    assert (allowed_structures(scan) > 0).all()
    assert (allowed_sides(scan) > 0).all()


def test_a_mirrored_scan_has_its_sides_exchanged_and_the_same_structures() -> None:
    generator = np.random.default_rng(1)
    shape = (6, 5, 4)
    manual = generator.integers(0, 8, shape, dtype=np.uint8)
    scan = OutlinedScan(generator.uniform(0, 300, shape).astype(np.float32), manual, generator.random(shape) < 0.5)
    other = mirrored_scan(scan)
    exchanged = np.array([0b000, 0b001, 0b100, 0b101, 0b010, 0b011, 0b110, 0b111])
    assert np.array_equal(allowed_sides(other), exchanged[allowed_sides(scan)][::-1])
    assert np.array_equal(allowed_structures(other), allowed_structures(scan)[::-1])
    assert np.array_equal(other.left, ~scan.left[::-1])
    back = mirrored_scan(other)
    for one, two in ((back.t1w, scan.t1w), (back.manual, scan.manual), (back.left, scan.left)):
        assert np.array_equal(one, two)


def blocks() -> LabelMap:
    """Manual labels in the box: cortex of both sides around white matter, and the vermis between."""
    manual = np.zeros(BOX.shape, dtype=np.uint8)
    manual[40:66, 30:60, 30:60], manual[78:104, 30:60, 30:60] = LEFT_CORTEX, RIGHT_CORTEX
    manual[50:60, 40:50, 40:50], manual[84:94, 40:50, 40:50] = LEFT_WHITE, RIGHT_WHITE
    for place, group in enumerate(VERMIS):
        manual[66:78, 30:60, 30 + 10 * place : 40 + 10 * place] = group
    return manual


def scan_of(manual: LabelMap) -> OutlinedScan:
    """A brain-extracted scan: grey and white where there is a label, and nothing around."""
    t1w = np.zeros(manual.shape, dtype=np.float32)
    t1w[manual > 0] = GREY
    t1w[np.isin(manual, (LEFT_WHITE, RIGHT_WHITE))] = WHITE
    return OutlinedScan(t1w, manual, np.indices(manual.shape)[0] < 72)


def head() -> Geometry:
    """Brain in the middle, bone and scalp around it, none of it cerebellum but a small block."""
    codes = np.full(tuple(2 * n for n in BOX.shape), len(TISSUES) - 1, dtype=np.uint8)
    codes[40:250, 20:170, 20:170] = TISSUES.index("GM")
    codes[100:190, 60:120, 60:120] = LABELLED + 2 * 5
    return Geometry(codes, np.zeros_like(codes), np.zeros((0, *BOX.shape), dtype=np.uint8))


def test_manual_labels_come_to_the_box_by_the_affine_and_sides_to_the_nearest(tmp_path: Path) -> None:
    manual = blocks()
    codes = np.zeros(9 * 10, dtype=np.int16)
    codes[list(MANUAL.values())] = list(MANUAL)
    path = tmp_path / "sub-x_desc-manual_dseg.nii.gz"
    nib.save(nib.Nifti1Image(codes[manual], BOX.affine), path)
    prepared(tmp_path / "sub-x", scan_of(manual).t1w)
    read = read_outlined(tmp_path / "sub-x", path)
    assert np.array_equal(read.manual, manual)
    assert read.t1w.max() == WHITE
    assert read.left[45, 45, 45]
    assert not read.left[100, 45, 45]
    # The vermis is split half-way between the hemispheres.
    assert read.left[66:72, 45, 45].all()
    assert not read.left[72:78, 45, 45].any()
    codes[VERMIS[1]] = 0
    nib.save(nib.Nifti1Image(codes[manual], BOX.affine), path)
    with pytest.raises(LabelMapError, match=r"manual_dseg\.nii\.gz.*found none of code 72"):
        read_outlined(tmp_path / "sub-x", path)


def prepared(folder: Path, t1w: Volume) -> None:
    """What `prepare` leaves of a scan that lies in the box already."""
    folder.mkdir()
    write_image(folder / "T1w.nii.gz", t1w, BOX, "MNI")
    made = Prepared(
        stored_shape=BOX.shape,
        stored_affine=BOX.affine.tolist(),
        mni_from_native=np.eye(4).tolist(),
        local_correlation=0.9,
        tissue_means={"T1w": [FLUID, GREY, WHITE]},
        icv=from_affine(np.eye(4)),
        warnings=[],
    )
    (folder / "prepared.json").write_text(made.model_dump_json())


def test_surroundings_are_put_where_a_scan_is_empty_and_nowhere_else() -> None:
    scan = scan_of(blocks())
    t1w = scan.t1w
    t1w[55, 45, 45] = 0  # a dark voxel inside is no empty space
    torch.manual_seed(1)
    seen = surrounded(t1w, head())
    kept = scan.manual > 0
    assert np.array_equal(seen[kept], t1w[kept])
    assert seen[55, 45, 45] == 0
    assert seen[~kept].std() > 1
    # Where the other head has brain there is fluid: one grey, and none of it brighter than its scalp and bone are.
    inside = seen[24:40, 20:80, 20:80]
    assert inside.std() < 1e-3


def test_a_whole_head_is_left_as_it_is() -> None:
    scan = scan_of(blocks())
    full = np.maximum(scan.t1w, 60)
    assert np.array_equal(surrounded(full, head()), full)


def test_a_drawn_scan_has_labels_where_its_image_is_and_is_the_same_for_the_same_seed() -> None:
    scan, around = scan_of(blocks()), head()
    shown: list[Volume] = []
    places: set[int] = set()
    for seed in range(6):
        torch.manual_seed(seed)
        moved, seen = drawn_outlined(scan, around)
        bright = moved.t1w > 0.5 * GREY
        outline = moved.manual > 0
        assert 2 * (bright & outline).sum() / (bright.sum() + outline.sum()) > 0.97
        # Left labels lie on the left, whether it was mirrored or not.
        assert moved.left[moved.manual == LEFT_CORTEX].mean() > 0.98
        assert moved.left[moved.manual == RIGHT_CORTEX].mean() < 0.02
        shown.append(seen)
        places.add(int(np.argwhere(outline)[:, 0].min()))
    assert len(places) > 1
    torch.manual_seed(0)
    assert np.array_equal(drawn_outlined(scan, around)[1], shown[0])
    assert not np.array_equal(shown[0], shown[1])


def test_figures_of_the_whole_with_and_without_open_fissures() -> None:
    manual = blocks()
    scan = scan_of(manual)
    scan.t1w[45:50, 35, 35:55] = FLUID
    open_fissure = manual.copy()
    open_fissure[45:50, 35, 35:55] = 0
    found = check_figures(scan, open_fissure)
    assert found["dice"] < 1
    assert found["volume"] < 1
    assert (found["dice open"], found["volume open"]) == (1, 1)
    grown = np.ones_like(manual)
    assert check_figures(scan, grown)["volume open"] > 2


def test_the_limits_of_dark_and_bright_lie_half_way_between_the_targets() -> None:
    assert (outlined.DARK, outlined.BRIGHT) == (100, 200)
