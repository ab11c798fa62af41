"""The one place that speaks to greedy (Yushkevich et al. 2016): diffeomorphic registration on one grid."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cerebatch.errors import StageError
from cerebatch.spatial.space import Field, Volume

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
    smoothing_mm : (float, float) or None
        Sigma of the Gaussian on the update and on the whole field. None: greedy's default, which goes by the voxels of
        each level (1.732 and 0.7071).
    radius : int
        Half edge of the cubes of NCC in voxels.
    affine_iterations : tuple of int
        Steps a level of an affine with the same metric that comes first; none if empty.
    """

    metric: Literal["SSD", "NCC"]
    iterations: tuple[int, ...]
    smoothing_mm: tuple[float, float] | None
    radius: int = 2
    affine_iterations: tuple[int, ...] = ()

    def commands(self) -> list[str]:
        """What greedy is told of the schedule: the affine if there is one, then the deformation."""
        metric = f"-m NCC {'x'.join([str(self.radius)] * 3)}" if self.metric == "NCC" else "-m SSD"
        affine = f"-a -dof 12 -ia-identity {metric} -n {'x'.join(map(str, self.affine_iterations))}"
        deformation = f"{metric} -n {'x'.join(map(str, self.iterations))}"
        if self.smoothing_mm is not None:
            deformation += f" -s {self.smoothing_mm[0]}mm {self.smoothing_mm[1]}mm"
        return [affine, deformation] if self.affine_iterations else [deformation]


def register(
    fixed: Sequence[Volume],
    moving: Sequence[Volume],
    schedule: GreedySchedule,
    *,
    voxel_mm: float,
    mask: NDArray[np.bool_] | None = None,
    weights: Sequence[float] | None = None,
    threads: int = 1,
    seed: int = 0,
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
    seed : int
        Of the noise that NCC needs, and of the places where an affine looks.

    Returns
    -------
    field : (X, Y, Z, 3) float32
        In voxels: the moving image at ``index + field[index]`` belongs to the fixed image at ``index``. An affine is
        part of it.

    Raises
    ------
    StageError
        Greedy failed, or its field is not finite.
    """
    from picsl_greedy import Greedy3D

    images: dict[str, Any] = {}
    # NCC divides by the variance of a cube. Greedy therefore adds noise, each time another; ours repeats to the byte.
    if schedule.metric == "NCC":
        rng = np.random.default_rng(seed)
        fixed, moving = ([_roughened(image, rng) for image in side] for side in (fixed, moving))
    what = [f"-d 3 -threads {threads} -V 0 -noise 0"]
    for k, (one, other) in enumerate(zip(fixed, moving, strict=True)):
        images |= {f"fixed{k}": _image(one, voxel_mm), f"moving{k}": _image(other, voxel_mm)}
        what.append(f"-w {weights[k] if weights else 1.0} -i fixed{k} moving{k}")
    if mask is not None:
        images["mask"] = _image(mask.astype(np.float32), voxel_mm)
        what.append("-gm mask")
    greedy, said = Greedy3D(), io.StringIO()
    try:
        field = _run(greedy, " ".join(what), schedule, images, seed, said, voxel_mm)
    except Exception as error:
        raise StageError(f"greedy could not register: {error}; it said: {said.getvalue()[-300:]}") from error
    if not np.isfinite(field).all():
        raise StageError(f"greedy: expected a finite displacement field, found NaN; it said: {said.getvalue()[-300:]}")
    return field


def _run(
    greedy: Any,
    what: str,
    schedule: GreedySchedule,
    images: dict[str, Any],
    seed: int,
    said: io.StringIO,
    voxel_mm: float,
) -> Field:
    """Images and results stay in greedy under their names; what it was given once is not given again."""
    *affine, deformation = schedule.commands()
    if not affine:
        greedy.execute(f"{what} {deformation} -o warp", out=said, err=said, **images, warp=None)
        return _field(greedy["warp"], voxel_mm)
    # Of seed 0 greedy makes another one each time. Rounded displacements (-wp) would make a Jacobian rough.
    greedy.execute(f"{what} -seed {seed + 1} {affine[0]} -o affine", out=said, err=said, **images, affine=None)
    greedy.execute(f"{what} {deformation} -wp 0 -it affine -o warp", out=said, err=said, warp=None)
    greedy.execute("-d 3 -V 0 -rf fixed0 -r warp affine -rc whole", out=said, err=said, whole=None)
    return _field(greedy["whole"], voxel_mm)


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
