"""A small real library at 4 mm, and targets in the shape of other people, as `run` would have prepared them.

The library holds the phantom, bent by smooth waves: two people in two heads each, and the twins. Its images are those
of the phantom's own tissues, so that registration has something to see.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from cerebatch.augment.make import jobs_of, make
from cerebatch.augment.targets import find_targets
from cerebatch.batch.cluster.profile import load_profile
from cerebatch.io.description import dataset_description
from cerebatch.io.files import write_image, write_json
from cerebatch.library.augmented.store import AugmentedSet, open_augmented
from cerebatch.library.case import LabelledCase, mirrored_pair
from cerebatch.library.store import Library, open_library
from cerebatch.library.tissues import TISSUES
from cerebatch.simulation.phantom.cerebellum import template_case
from cerebatch.simulation.phantom.head import template_head
from cerebatch.spatial import space
from cerebatch.spatial.blocks import majority

WriteLibrary = Callable[[Path, list[LabelledCase]], Path]

BOX = space.cerebellum_box(4.0)


def waves(seed: int, voxels: float = 0.7) -> NDArray[np.float32]:
    """A smooth displacement, (X, Y, Z, 3) in voxels; the larger side of it in the middle of the box."""
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(*BOX.shape, 3)), (5, 5, 5, 0))
    return np.asarray(voxels * noise / np.abs(noise).max(), dtype=np.float32)


def bent(volume: NDArray[np.float32], field: NDArray[np.float32], order: int = 1) -> NDArray[np.float32]:
    """A volume through a displacement."""
    points = np.moveaxis(field, -1, 0) + np.indices(BOX.shape, dtype=np.float32)
    sampled: NDArray[np.float32] = ndimage.map_coordinates(volume, points, np.float32, order, mode="nearest")
    return sampled


@pytest.fixture(scope="session")
def phantom_case() -> LabelledCase:
    """The phantom of the template as a labelled case at 4 mm."""
    head = template_head()
    t1w = space.resample(ndimage.gaussian_filter(head.t1w, 1.5), head.grid, BOX, np.eye(4), order=1)
    t2w = space.resample(ndimage.gaussian_filter(head.t2w, 1.5), head.grid, BOX, np.eye(4), order=1)
    dseg = majority(template_case(1.0)[0], 4)
    for axis in range(3):
        np.moveaxis(dseg, axis, 0)[[0, -1]] = 0
    tissue = np.zeros((len(TISSUES), *BOX.shape), dtype=np.uint8)
    tissue[1] = np.clip(np.rint(t1w / t1w.max() * 255), 0, 255)
    tissue[2] = 255 - tissue[1]
    scale = 250 / max(float(np.percentile(t1w, 99)), 1e-6)
    return LabelledCase(
        name="p", person="p", head="h", twin="", mirrored=False, rendered=True, overlap=0.9, visible_share=0.4,
        sources=("p",), image=np.stack([t1w * scale, t2w * scale]).astype(np.float32).clip(0, 500), tissue=tissue,
        dseg=dseg, lobules=dseg,
    )  # fmt: skip


@pytest.fixture(scope="session")
def small_library(
    phantom_case: LabelledCase, write_library: WriteLibrary, tmp_path_factory: pytest.TempPathFactory
) -> Library:
    """Two people in two heads each, with twins: eight cases; not to be changed."""
    cases = []
    for seed, (person, head) in enumerate([("a", "h"), ("a", "k"), ("b", "h"), ("b", "k")], start=1):
        field = waves(seed)
        image = np.stack([bent(channel, field) for channel in phantom_case.image])
        dseg = space.warp_labels(phantom_case.dseg, field)
        case = replace(
            phantom_case, name=f"{person}_{head}", person=person, head=head, image=image, dseg=dseg, lobules=dseg
        )
        cases += mirrored_pair(case)
    return open_library(write_library(tmp_path_factory.mktemp("augment") / "LIB.zarr", cases))


@pytest.fixture(scope="session")
def targets(phantom_case: LabelledCase, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run at 4 mm: prepared T1w of two people, one of them at two sessions, and noise."""
    return write_targets(tmp_path_factory.mktemp("run") / "out", phantom_case)


def write_targets(folder: Path, case: LabelledCase) -> Path:
    """Write what of the output of `run` matters here."""
    write_json(folder / "dataset_description.json", dataset_description("0"))
    for seed, name in enumerate(("sub-01", "sub-02_ses-1", "sub-02_ses-2"), start=20):
        anat = folder.joinpath(*name.split("_")) / "anat"
        t1w = bent(case.image[0], waves(seed, 1.8)) + np.random.default_rng(seed).normal(0, 3, BOX.shape)
        path = anat / f"{name}_space-MNI152NLin2009aSym_res-4_desc-preproc_T1w.nii.gz"
        write_image(path, t1w.astype(np.float32), BOX, "MNI")
    noise = np.random.default_rng(5).uniform(0, 300, BOX.shape).astype(np.float32)
    path = folder / "sub-05/anat/sub-05_space-MNI152NLin2009aSym_res-4_desc-preproc_T1w.nii.gz"
    write_image(path, noise, BOX, "MNI")
    return folder


@pytest.fixture(scope="session")
def made_set(small_library: Library, targets: Path, tmp_path_factory: pytest.TempPathFactory) -> AugmentedSet:
    """A finished set of four targets, one of them noise, another simulated; not to be changed."""
    path = tmp_path_factory.mktemp("set") / "SET.zarr"
    found = find_targets(targets, 4.0)
    first, *others = found.found
    found = replace(found, found=(replace(first, made_from=("maker-1", "head-9")), *others))
    jobs = jobs_of(small_library, found, path, seed=1)
    made = make(jobs, small_library, load_profile("serial"), lambda _: None)
    assert made.digest, made.outcomes
    return open_augmented(path)
