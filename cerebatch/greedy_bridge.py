"""The one place that speaks to greedy (Yushkevich et al. 2016): diffeomorphic registration on one grid."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cerebatch.errors import StageError
from cerebatch.space import Field, Volume

_ROUGHNESS = 0.001
"""Standard deviation of the noise that NCC needs, as a share of the range of intensities."""


@dataclass(frozen=True)
class GreedySchedule:
    """How a deformable registration proceeds.

    Attributes
    ----------
    metric : {"SSD", "NCC"}
        Squared differences, or normalised cross-correlation in cubes of `radius`.
    iterations : tuple of int
        Steps a level, each level twice as fine as the one before; 0 at the end stops at half the grid.
    smoothing_mm : (float, float)
        Sigma of the Gaussian on the update and on the whole field.
    radius : int
        Half edge of the cubes of NCC in voxels.
    """

    metric: Literal["SSD", "NCC"]
    iterations: tuple[int, ...]
    smoothing_mm: tuple[float, float]
    radius: int = 2


def register(
    fixed: Sequence[Volume],
    moving: Sequence[Volume],
    schedule: GreedySchedule,
    *,
    voxel_mm: float,
    mask: NDArray[np.bool_] | None = None,
    weights: Sequence[float] | None = None,
    threads: int = 1,
) -> Field:
    """Displacement that brings moving images onto fixed ones; all lie on one grid and roughly overlap.

    Parameters
    ----------
    fixed, moving : sequence of (X, Y, Z) float32
        Channels, in pairs.
    schedule : GreedySchedule
    voxel_mm : float
        Edge of a voxel.
    mask : (X, Y, Z) bool, optional
        Where the metric is read, on the fixed grid.
    weights : sequence of float, optional
        One for each channel.
    threads : int
        The field does not depend on it.

    Returns
    -------
    field : (X, Y, Z, 3) float32
        In voxels: the moving image at ``index + field[index]`` belongs to the fixed image at ``index``.

    Raises
    ------
    StageError
        Greedy failed, or its field is not finite.
    """
    from picsl_greedy import Greedy3D

    images: dict[str, Any] = {}
    # NCC divides by the variance of a cube. Greedy therefore adds noise, each time another; ours repeats to the byte.
    if schedule.metric == "NCC":
        rng = np.random.default_rng(0)
        fixed, moving = ([_roughened(image, rng) for image in side] for side in (fixed, moving))
    command = [f"-d 3 -threads {threads} -V 0 -noise 0"]
    for k, (one, other) in enumerate(zip(fixed, moving, strict=True)):
        images |= {f"fixed{k}": _image(one, voxel_mm), f"moving{k}": _image(other, voxel_mm)}
        command.append(f"-w {weights[k] if weights else 1.0} -i fixed{k} moving{k}")
    if mask is not None:
        images["mask"] = _image(mask.astype(np.float32), voxel_mm)
        command.append("-gm mask")
    metric = f"NCC {'x'.join([str(schedule.radius)] * 3)}" if schedule.metric == "NCC" else "SSD"
    command.append(f"-m {metric} -n {'x'.join(map(str, schedule.iterations))}")
    command.append(f"-s {schedule.smoothing_mm[0]}mm {schedule.smoothing_mm[1]}mm -o warp")
    greedy, said = Greedy3D(), io.StringIO()
    try:
        greedy.execute(" ".join(command), out=said, err=said, **images, warp=None)
        field = _field(greedy["warp"], voxel_mm)
    except Exception as error:
        raise StageError(f"greedy could not register: {error}; it said: {said.getvalue()[-300:]}") from error
    if not np.isfinite(field).all():
        raise StageError(f"greedy: expected a finite displacement field, found NaN; it said: {said.getvalue()[-300:]}")
    return field


def _roughened(image: Volume, rng: np.random.Generator) -> Volume:
    spread = float(np.ptp(image)) or 1.0
    return image + np.float32(_ROUGHNESS * spread) * rng.standard_normal(image.shape, dtype=np.float32)


def _image(voxels: Volume, voxel_mm: float) -> Any:
    """A SimpleITK image whose millimetres are the array's own axes, so that no sign of LPS or RAS comes in."""
    import SimpleITK as sitk  # noqa: N813

    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels.astype(np.float32, copy=False).T))
    image.SetSpacing((voxel_mm, voxel_mm, voxel_mm))
    return image


def _field(warp: Any, voxel_mm: float) -> Field:
    import SimpleITK as sitk  # noqa: N813

    array = sitk.GetArrayFromImage(warp).transpose(2, 1, 0, 3)
    return np.ascontiguousarray(array / np.float32(voxel_mm), dtype=np.float32)
