"""Opening images: the one place that asks nibabel for a file.

What a user gives is judged by `scan.read_scan` and `labelmaps.read_codes`, which open it here; what cerebatch wrote
itself is read back by `read_voxels` and its like without being judged again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel.spatialimages import SpatialImage
from numpy.typing import NDArray

from cerebatch.errors import CerebatchError, InputError
from cerebatch.spatial.space import Grid, Volume


def open_image(path: Path) -> SpatialImage:
    """Open an image; its voxels are read when they are asked for. What nibabel raises passes."""
    return nib.load(path)


@contextmanager
def refusing(refuse: Callable[[Exception], InputError]) -> Iterator[None]:
    """Turn whatever goes wrong while an image is read into one error of ours.

    Parameters
    ----------
    refuse : callable
        Gets what was raised, gives what is raised in its place. Errors of cerebatch, and memory that is not there,
        pass as they are.
    """
    try:
        yield
    except (CerebatchError, MemoryError):
        raise
    except Exception as error:
        # nibabel lets anything through here: its own errors, struct's, zlib's, numpy's.
        raise refuse(error) from error


def read_stored(path: Path) -> NDArray[Any]:
    """Voxels of an image that cerebatch wrote, (X, Y, Z) or (X, Y, Z, C), in the type of the file or of its scale."""
    return np.asarray(open_image(path).dataobj)


def read_voxels(path: Path) -> Volume:
    """Voxels of an image that cerebatch wrote, (X, Y, Z) float32."""
    return np.asarray(open_image(path).dataobj, dtype=np.float32)


def read_grid(path: Path) -> Grid:
    """Grid of an image that cerebatch wrote, in the frame of the file; reads no voxels."""
    return Grid.of(open_image(path))
