"""The one place that speaks to ANTs: images, threads, seed and affines in our conventions.

ANTs works in LPS millimetres, we in RAS; both meet here and nowhere else. `ants` is imported inside the
functions because it takes a second and reads its thread count when it is first used.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cerebatch.errors import RegistrationError, SettingsError
from cerebatch.spatial.space import Affine, Grid, Volume

LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""Exchanges LPS, the frame of ITK, and RAS."""
_THREADS = "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"
_BIAS_VOXEL_MM = 5.0


def use_one_thread() -> None:
    """Let ANTs run on one thread; ITK reads the number once a process, at its first use.

    On more, its denoising gives other bytes each time, and now and then its registration. Cores are put to use
    by running cases side by side.

    Raises
    ------
    SettingsError
        ANTs already runs in this process on more threads.
    """
    if "ants" in sys.modules and os.environ.get(_THREADS) != "1":
        raise SettingsError(
            f"ANTs: expected one thread, found {os.environ.get(_THREADS, 'the default number')} in use in this "
            f"process. Start a new one, or set {_THREADS}=1 before ANTs is imported."
        )
    os.environ[_THREADS] = "1"


def to_ants(image: NDArray[Any], grid: Grid) -> Any:
    """An ANTsImage of the array on its grid."""
    import ants

    affine = LPS_RAS @ grid.affine
    return ants.from_numpy(
        np.asarray(image, dtype=np.float32),
        origin=tuple(affine[:3, 3]),
        spacing=tuple(grid.voxel_sizes_mm),
        direction=affine[:3, :3] / grid.voxel_sizes_mm,
    )


def affine_of(image: Any) -> Affine:
    """Voxel indices -> RAS millimetres of an ANTsImage with three axes; `ants` is not imported for it.

    Parameters
    ----------
    image : ANTsImage

    Raises
    ------
    SettingsError
        It has another number of axes.
    """
    if image.dimension != 3 or image.has_components:
        raise SettingsError(
            f"the ANTs image: expected one number a voxel in three dimensions, found {image.dimension} dimensions and "
            f"{image.components} numbers. Pick one volume, for example with ants.slice_image."
        )
    lps = np.eye(4)
    lps[:3, :3] = np.asarray(image.direction) * np.asarray(image.spacing)
    lps[:3, 3] = image.origin
    return np.asarray(LPS_RAS @ lps, dtype=np.float64)


def denoise(image: Volume, grid: Grid, mask: NDArray[np.bool_]) -> Volume:
    """Spatially adaptive non-local means, Rician noise (Manjón et al. 2010), inside a mask.

    Parameters
    ----------
    image : (X, Y, Z) float32
    grid : Grid
    mask : (X, Y, Z) bool
        Voxels outside keep their value.
    """
    import ants

    return _volume(ants.denoise_image(to_ants(image, grid), mask=to_ants(mask, grid), noise_model="Rician"))


def bias_field(image: Volume, grid: Grid, mask: NDArray[np.bool_], iterations: Sequence[int]) -> Volume:
    """N4 inhomogeneity (Tustison et al. 2010), the field estimated inside a mask on voxels of 5 mm.

    Parameters
    ----------
    image : (X, Y, Z) float32
    grid : Grid
    mask : (X, Y, Z) bool
    iterations : sequence of int
        Largest number of steps a level; each level halves the spacing of the spline.

    Returns
    -------
    field : (X, Y, Z) float32
        The image divided by it is free of bias inside the mask; 1 outside, where ANTs corrects nothing either.
    """
    import ants

    field = ants.n4_bias_field_correction(
        to_ants(image, grid),
        mask=to_ants(mask, grid),
        shrink_factor=max(1, round(_BIAS_VOXEL_MM / float(grid.voxel_sizes_mm.max()))),
        convergence={"iters": list(iterations), "tol": 1e-4},
        return_bias_field=True,
    )
    return np.where(mask, _volume(field), np.float32(1.0))


@dataclass(frozen=True)
class Schedule:
    """How a linear registration proceeds; one entry a level.

    Attributes
    ----------
    kind : {"Rigid", "Affine"}
    iterations : tuple of int
        Largest number of steps.
    shrink : tuple of int
        Factor of subsampling.
    smoothing : tuple of float
        Sigma in voxels of the fixed image.
    """

    kind: Literal["Rigid", "Affine"]
    iterations: tuple[int, ...]
    shrink: tuple[int, ...]
    smoothing: tuple[float, ...]


def register(
    fixed: Volume,
    fixed_grid: Grid,
    fixed_mask: NDArray[np.bool_],
    moving: Volume,
    moving_grid: Grid,
    start: Affine,
    schedule: Schedule,
    seed: int,
) -> Affine:
    """Linear registration by mutual information (ANTs), sampled densely inside a mask.

    Parameters
    ----------
    fixed, moving : (X, Y, Z) float32
    fixed_grid, moving_grid : Grid
    fixed_mask : (X, Y, Z) bool
        Where the metric is read, on the fixed grid.
    start : (4, 4) float
        Maps fixed to moving millimetres (RAS).
    schedule : Schedule
    seed : int

    Returns
    -------
    moving_from_fixed : (4, 4) float
        Maps fixed to moving millimetres (RAS).

    Raises
    ------
    RegistrationError
        ANTs gave up.
    """
    import ants
    import ants.config

    # `random_seed=` is accepted by antspyx 0.6 and ignored; this is the value that it reads.
    ants.config._random_seed = seed
    with tempfile.TemporaryDirectory(prefix="cerebatch-") as folder:
        start_path = Path(folder) / "start.txt"
        write_affine(start_path, start)
        try:
            result = ants.registration(
                to_ants(fixed, fixed_grid),
                to_ants(moving, moving_grid),
                schedule.kind,
                initial_transform=str(start_path),
                mask=to_ants(fixed_mask, fixed_grid),
                aff_random_sampling_rate=1.0,
                aff_iterations=schedule.iterations,
                aff_shrink_factors=schedule.shrink,
                aff_smoothing_sigmas=schedule.smoothing,
                singleprecision=False,
                outprefix=f"{folder}/out_",
            )
        except RuntimeError as error:
            raise RegistrationError(f"ANTs could not register the scan ({schedule.kind.lower()}): {error}") from error
        return read_affine(Path(result["fwdtransforms"][0]))


def _volume(image: Any) -> Volume:
    return np.ascontiguousarray(image.numpy(), dtype=np.float32)


def write_affine(path: Path, target_from_source: Affine) -> None:
    """Write an affine between RAS frames as an ITK text transform, which resamples the target from the source.

    Parameters
    ----------
    path : Path
        ``.txt``.
    target_from_source : (4, 4) float
        Maps the points of one RAS frame to another; for an image that is resampled, points of the output
        to points of the input.
    """
    lps = LPS_RAS @ target_from_source @ LPS_RAS
    parameters = " ".join(f"{value:.17g}" for value in [*lps[:3, :3].ravel(), *lps[:3, 3]])
    path.write_text(
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
        f"Parameters: {parameters}\nFixedParameters: 0 0 0\n"
    )


def read_affine(path: Path) -> Affine:
    """Read an ITK affine: points of the resampled image's frame -> points of the other's, RAS millimetres.

    Parameters
    ----------
    path : Path
        ``.mat`` of ANTs or ``.txt`` of `write_affine`.
    """
    import ants

    transform = ants.read_transform(str(path))
    center = np.asarray(transform.fixed_parameters)
    lps = np.eye(4)
    lps[:3, :3] = np.reshape(transform.parameters[:9], (3, 3))
    lps[:3, 3] = transform.parameters[9:] + center - lps[:3, :3] @ center
    return np.asarray(LPS_RAS @ lps @ LPS_RAS, dtype=np.float64)
