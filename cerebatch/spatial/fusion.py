"""Label fusion: one label map from the label maps of similar cases.

Every case votes for its label with the weight of equation 2 of DeepCERES (Morell-Ortega et al. 2024)::

    w = 1 / (1 + d |I - L|)

with I the intensity of the target and L that of the case, both z-scores. The label with the largest sum of weights
wins; ties go to the smaller code. Its share is its sum over the sum of all weights.

- Where all cases carry the same label it wins with a share of 1, whatever the intensities are.
- Elsewhere a case whose |I - L| is not finite has no vote.
- Where nobody votes the label is 0 and the share 0.

Weights and sums are made in float32, in the order of the cases; the bytes of the results depend neither on the number
of threads nor on the processor.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cerebatch import _kernels
from cerebatch.spatial.space import Field, LabelMap, Volume


def fuse(
    target: Volume, images: Sequence[Volume], labels: Sequence[LabelMap], d: float, threads: int = 1
) -> tuple[LabelMap, Volume]:
    """Fuse cases that are already on the target's grid.

    Parameters
    ----------
    target : (X, Y, Z) float32
        Intensities in z-scores.
    images : sequence of N (X, Y, Z) float32
        Intensities of the cases in z-scores.
    labels : sequence of N (X, Y, Z) uint8
        Codes of the cases, any from 0 to 255.
    d : float
        Sharpness of the weight per unit of intensity, at least 0; with 0 all votes weigh the same.
    threads : int
        OpenMP threads; the results do not depend on it.

    Returns
    -------
    dseg : (X, Y, Z) uint8
        Winning codes.
    share : (X, Y, Z) float32
        The winner's sum of weights over the sum of all, 0 to 1.

    Raises
    ------
    TypeError
        If something is no array or has another type.
    ValueError
        If there is no case, shapes do not agree, `d` is negative or not finite, or `threads` is less than 1.

    References
    ----------
    Equation 2 of Morell-Ortega et al., "DeepCERES" (2024).
    """
    target, images, labels = _checked_cases(target, images, labels, d, threads)
    return _kernels.fuse(target, images, labels, d, threads)


def warp_and_fuse(
    target: Volume,
    images: Sequence[Volume],
    labels: Sequence[LabelMap],
    fields: Sequence[Field],
    d: float,
    threads: int = 1,
    *,
    through: Field | None = None,
) -> tuple[LabelMap, Volume]:
    """Warp cases to the target and fuse them, without the warped volumes ever being there.

    A case is sampled at target index + displacement, clamped to the first and the last voxel of every axis: the image
    linearly, the label at ``floor(c + 0.5)``. Points are computed in float32. Where a displacement is not finite its
    case has neither label nor vote.

    Parameters
    ----------
    target : (X, Y, Z) float32
        Intensities in z-scores.
    images : sequence of N (X, Y, Z) float32
        Intensities of the cases in z-scores.
    labels : sequence of N (X, Y, Z) uint8
        Codes of the cases, any from 0 to 255.
    fields : sequence of N (X / f, Y / f, Z / f, 3) float32
        Displacements along x, y, z in voxels of the target, not in millimetres. `f` is 1 or any other whole number,
        the same for all axes and fields. The grids share their outer faces: target index i lies at the field's
        coordinate ``(i + 0.5) / f - 0.5``, where the field is sampled linearly, clamped to its first and last sample.
    d : float
        Sharpness of the weight per unit of intensity, at least 0; with 0 all votes weigh the same.
    threads : int
        OpenMP threads; the results do not depend on it.
    through : (X / f, Y / f, Z / f, 3) float32, optional
        Leads from the target into a space between, on a grid of the target's shape, where all the fields begin: a case
        is sampled at ``h + field(h)`` with ``h = index + through(index)``. No composed field is stored.

    Returns
    -------
    dseg : (X, Y, Z) uint8
        Winning codes.
    share : (X, Y, Z) float32
        The winner's sum of weights over the sum of all, 0 to 1.

    Raises
    ------
    TypeError
        If something is no array or has another type.
    ValueError
        If there is no case, shapes do not agree, `d` is negative or not finite, `threads` is less than 1, or the target
        has 2**31 voxels or more.

    References
    ----------
    Equation 2 of Morell-Ortega et al., "DeepCERES" (2024).
    """
    target, images, labels = _checked_cases(target, images, labels, d, threads)
    fields = [_checked(field, np.float32, f"fields[{n}]") for n, field in enumerate(fields)]
    _require_number("fields", fields, len(images))
    factor = _factor(target.shape, fields[0].shape)
    _require_shape("fields", fields, fields[0].shape)
    if through is not None:
        through = _checked(through, np.float32, "through")
        _require_shape("through", [through], fields[0].shape)
    return _kernels.warp_and_fuse(target, images, labels, fields, factor, d, threads, through)


def _checked(array: NDArray[Any], dtype: type[np.generic], name: str) -> NDArray[Any]:
    """The array itself where the kernels can read it, else a contiguous, aligned copy."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name}: expected an array, found {type(array).__name__}")
    if array.dtype != dtype:
        raise TypeError(f"{name}: expected {np.dtype(dtype)}, found {array.dtype}")
    return np.require(array, requirements=["C", "A"])


def _checked_cases(
    target: Volume, images: Sequence[Volume], labels: Sequence[LabelMap], d: float, threads: int
) -> tuple[Volume, list[Volume], list[LabelMap]]:
    target = _checked(target, np.float32, "target")
    images = [_checked(image, np.float32, f"images[{n}]") for n, image in enumerate(images)]
    labels = [_checked(dseg, np.uint8, f"labels[{n}]") for n, dseg in enumerate(labels)]
    if target.ndim != 3:
        raise ValueError(f"target: expected 3 dimensions, found {target.ndim}")
    if not images:
        raise ValueError("images: expected at least 1, found 0")
    _require_number("labels", labels, len(images))
    _require_shape("images", images, target.shape)
    _require_shape("labels", labels, target.shape)
    if not 0 <= d <= np.finfo(np.float32).max:
        raise ValueError(f"d: expected a finite number of at least 0, found {d}")
    if threads < 1:
        raise ValueError(f"threads: expected at least 1, found {threads}")
    return target, images, labels


def _require_number(name: str, arrays: Sequence[NDArray[Any]], number: int) -> None:
    if len(arrays) != number:
        raise ValueError(f"{name}: expected as many as images, {number}, found {len(arrays)}")


def _require_shape(name: str, arrays: Sequence[NDArray[Any]], shape: tuple[int, ...]) -> None:
    for n, array in enumerate(arrays):
        if array.shape != shape:
            raise ValueError(f"{name}[{n}]: expected shape {shape}, found {array.shape}")


def _factor(target: tuple[int, ...], field: tuple[int, ...]) -> int:
    """How many voxels of the target lie along one sample of the field."""
    factor = target[0] // field[0] if field and field[0] else 1
    if factor < 1 or field != (*(n // factor for n in target), 3) or any(n % factor for n in target):
        raise ValueError(f"fields[0]: expected the target's {target} over one whole number, and 3, found {field}")
    return factor
