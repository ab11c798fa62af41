"""A library of three people of noise, mirrored, with atlases of noise beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from cerebatch.library.case import LabelledCase, mirrored_pair
from cerebatch.library.store import Library, open_library
from cerebatch.spatial.template import brain_mask, t1w
from cerebatch.training.atlases import TrainingAtlases

HEAD_SCALE = 0.95
PERSONS = ("person-1", "person-2", "person-3")


@pytest.fixture(scope="session")
def library(
    tmp_path_factory: pytest.TempPathFactory,
    make_case: Callable[..., LabelledCase],
    write_library: Callable[[Path, list[LabelledCase]], Path],
) -> Library:
    """Each person in two heads."""
    cases: list[LabelledCase] = []
    for seed in (1, 2, 3):
        for head in ("h1", "h2"):
            case = replace(make_case(f"{seed}_{head}", seed), person=f"person-{seed}", head=head)
            cases += mirrored_pair(case)
    return open_library(write_library(tmp_path_factory.mktemp("training") / "LIB.zarr", cases))


@pytest.fixture(scope="session")
def atlases(library: Library, tmp_path_factory: pytest.TempPathFactory) -> TrainingAtlases:
    """In the atlas without person N each left structure has the code N."""
    folder = tmp_path_factory.mktemp("atlases")
    for index, name in enumerate(library.names):
        if not library.mirrored[index]:
            found = library.dseg(index) > 0
            without = {p: (found * (k + 1)).astype(np.uint8) for k, p in enumerate(PERSONS)}
            np.savez(folder / f"{name}.npz", all=(found * 9).astype(np.uint8), **without)  # type: ignore[arg-type]
    return TrainingAtlases(library, folder)


@pytest.fixture(scope="session")
def heads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two head maps made from the template's brain: fluid around it, then bone and skin."""
    folder = tmp_path_factory.mktemp("heads")
    image, grid = t1w(2)
    brain = brain_mask(2)
    away = ndimage.distance_transform_edt(~brain, sampling=2.0)
    codes = np.select([away > 14, away > 8, away > 4, away > 0], [0, 511, 515, 24], 0)
    codes = np.where(brain, np.where(image > 0.75, 2, np.where(image > 0.45, 3, 24)), codes)
    codes[34:64, 14:38, 4:26] = np.where(codes[34:64, 14:38, 4:26] > 0, 8, 0)
    for k, scale in enumerate((1.0, HEAD_SCALE)):
        native = np.diag([scale, scale, scale, 1.0]) @ grid.affine
        nib.save(nib.Nifti1Image(codes.astype(np.int16), native), folder / f"head-{k + 1}_dseg.nii.gz")
    return folder
