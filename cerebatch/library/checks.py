"""What is wrong with a case, and whether its content is still what was written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import zarr

from cerebatch import labels
from cerebatch.library.case import LabelledCase
from cerebatch.library.layout import Voxels, preview, read_column, variables
from cerebatch.library.tissues import TISSUES
from cerebatch.spatial.space import Grid


def wrong_shapes(case: LabelledCase, grid: Grid) -> list[str]:
    """What about the arrays of a case does not fit the box, as phrases."""
    layout = variables(grid)
    arrays: Voxels = {"image": case.image, "tissue_share": case.tissue, "dseg": case.dseg, "lobules": case.lobules}
    found = [
        f"{variable} of shape {array.shape} instead of {layout[variable][1]}"
        for variable, array in arrays.items()
        if array.shape != layout[variable][1]
    ]
    return found + [
        f"{variable} of type {array.dtype} instead of uint8"
        for variable, array in arrays.items()
        if variable != "image" and array.dtype != np.uint8
    ]


def wrong_voxels(voxels: Voxels, rendered: bool, grid: Grid) -> list[str]:
    """What no case may have, as phrases."""
    found = []
    if not np.isfinite(voxels["image"]).all():
        found.append("an image that is not finite, or too bright for float16")
    elif not np.array_equal(
        preview(voxels["image"][0], float(grid.voxel_sizes_mm[0])).astype(np.float16), voxels["preview"]
    ):
        found.append("a preview that is not that of the T1w")
    for variable in ("dseg", "lobules"):
        values = voxels[variable]
        if values.max() >= labels.N_CLASSES:
            found.append(f"{variable} with code {values.max()}, outside the protocol")
        if any(values.take(end, axis).any() for axis in range(3) for end in (0, -1)):
            found.append(f"{variable} with labels at the faces of the box")
    sums = voxels["tissue_share"].sum(axis=0, dtype=np.int16)
    # Each of the shares is rounded by up to half a step.
    if rendered and np.abs(sums - 255).max() > len(TISSUES) / 2:
        found.append(f"tissue shares that sum to {sums.min()} to {sums.max()} instead of 255")
    if not rendered and sums.any():
        found.append("tissue shares in a real scan")
    return found


def voxels_sha256(voxels: Voxels) -> str:
    """Of the names and voxels of one case as stored."""
    content = hashlib.sha256()
    for variable in sorted(voxels):
        content.update(variable.encode())
        content.update(np.ascontiguousarray(voxels[variable]).reshape(-1).view(np.uint8).data)
    return content.hexdigest()


def library_digest(group: zarr.Group, columns: Mapping[str, Sequence[Any]]) -> str:
    """Digest of the columns, which have the checksum of each case among them."""
    content = [group.attrs["version"], group.attrs["resolution_mm"], read_column(group, "name"), columns]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
