from __future__ import annotations

import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from cerebatch.errors import RegistrationError
from cerebatch.simulation.phantom import Phantom, person
from cerebatch.spatial import template
from cerebatch.spatial.registration import register_to_template
from cerebatch.spatial.space import Affine, Grid, apply, resample

CEREBELLUM_MM = np.stack(
    np.meshgrid(np.arange(-45.0, 46.0, 15.0), np.arange(-85.0, -39.0, 15.0), np.arange(-55.0, -9.0, 15.0)), axis=-1
).reshape(-1, 3)


def distance_mm(found: Affine, true: Affine) -> float:
    """RMS distance inside the cerebellum between where two affines put native points, mm on the template."""
    native = apply(np.linalg.inv(true), CEREBELLUM_MM)
    return float(np.sqrt(np.mean(np.sum((apply(found, native) - CEREBELLUM_MM) ** 2, axis=1))))


@pytest.fixture(scope="module")
def whole() -> Phantom:
    return person(11, resolution_mm=2.0, skull=True)


@pytest.mark.slow
def test_a_whole_head_is_found_where_the_phantom_put_it(whole: Phantom) -> None:
    found = register_to_template(whole.t1w, whole.grid, seed=1)
    # The phantom's shape differs from the template by some millimetres that no affine undoes.
    assert distance_mm(found.mni_from_native, whole.mni_from_native) < 2.5


@pytest.mark.slow
def test_a_skull_makes_no_difference(whole: Phantom) -> None:
    stripped = person(11, resolution_mm=2.0, skull=False)
    with_skull = register_to_template(whole.t1w, whole.grid, seed=1).mni_from_native
    without = register_to_template(stripped.t1w, stripped.grid, seed=1).mni_from_native
    assert np.linalg.det(with_skull) / np.linalg.det(without) == pytest.approx(1.0, abs=0.03)
    assert distance_mm(with_skull, without) < 1.5


def inside_the_head(phantom: Phantom) -> NDArray[np.bool_]:
    """Voxels of a phantom's scan that lie within 8 mm of its brain."""
    mask, (_, grid) = template.brain_mask_within(4, 8.0).astype(np.float32), template.t1w(4)
    return resample(mask, grid, phantom.grid, phantom.mni_from_native, order=1) > 0.5


@pytest.mark.slow
@pytest.mark.long
def test_a_head_whose_skin_is_far_brighter_than_its_brain_is_found(whole: Phantom) -> None:
    image = np.where(inside_the_head(whole), whole.t1w, 5 * whole.t1w).astype(np.float32)
    found = register_to_template(image, whole.grid, seed=1)
    assert distance_mm(found.mni_from_native, whole.mni_from_native) < 3.0


@pytest.mark.slow
@pytest.mark.long
def test_a_head_below_a_neck_that_was_folded_over_is_found(whole: Phantom) -> None:
    upright = nib.as_closest_canonical(nib.Nifti1Image(whole.t1w, whole.grid.affine))
    above = np.zeros((*upright.shape[:2], 44), np.float32)
    above[20:-20, 20:-20, -8:] = whole.t1w.max() / 2
    image = np.concatenate([upright.get_fdata(dtype=np.float32), above], axis=2)
    found = register_to_template(image, Grid(image.shape, upright.affine), seed=1)
    assert distance_mm(found.mni_from_native, whole.mni_from_native) < 3.0


def test_a_scan_upside_down_by_its_header_is_refused(whole: Phantom) -> None:
    flipped = Grid(whole.grid.shape, np.diag([1.0, 1.0, -1.0, 1.0]) @ whole.grid.affine)
    with pytest.raises(RegistrationError, match="upright by its header"):
        register_to_template(whole.t1w, flipped, seed=1, finest_mm=4)


def test_an_image_of_noise_is_refused(whole: Phantom) -> None:
    noise = np.random.default_rng(0).normal(100.0, 10.0, whole.grid.shape).astype(np.float32)
    with pytest.raises(RegistrationError):
        register_to_template(noise, whole.grid, seed=1, finest_mm=4)


_ONCE = """
import numpy as np
from cerebatch.spatial import ants_bridge
from cerebatch.simulation.phantom import person
from cerebatch.spatial.registration import register_to_template
ants_bridge.use_one_thread()
made = person(5, resolution_mm=3.0)
print(register_to_template(made.t1w, made.grid, seed=1, finest_mm=4).mni_from_native.tobytes().hex())
"""


def test_the_same_seed_gives_the_same_bytes_in_another_process() -> None:
    first, second = (
        subprocess.run([sys.executable, "-c", _ONCE], capture_output=True, text=True, check=True, cwd="/").stdout
        for _ in range(2)
    )
    assert first == second
    assert len(first.strip()) == 2 * 16 * 8


_AFTER_ANTS = """
import os
os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "2"
import ants
from cerebatch.spatial import ants_bridge
ants_bridge.use_one_thread()
"""


def test_ants_on_more_threads_is_refused_for_its_bytes_would_differ() -> None:
    result = subprocess.run([sys.executable, "-c", _AFTER_ANTS], capture_output=True, text=True, check=False, cwd="/")
    assert "SettingsError: ANTs: expected one thread, found 2 in use" in result.stderr
