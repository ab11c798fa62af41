"""A library's own mean image, and what brings every case onto it: made once, so that a scan is registered once.

The mean is groupwise: of some cases spread over the library, as they lie in the box, then of the same cases brought
onto that mean. It is symmetric, so a mirrored twin's field is its original's, mirrored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from scipy import ndimage

from cerebatch.atlas.registering import compared_region, register_seen, seen_by_registration
from cerebatch.library.mean import write_mean
from cerebatch.library.store import Library, open_library
from cerebatch.spatial import ants_bridge
from cerebatch.spatial.space import Field, Volume

AVERAGED = 16
"""Cases that the mean is made of at most; more make it no sharper."""


def make_mean(path: Path, *, processes: int, tell: Callable[[str], None], persons: Sequence[str] | None = None) -> None:
    """Give a finished library its mean image and the field of every case.

    Parameters
    ----------
    path : Path
        The library; what an earlier call wrote is replaced.
    processes : int
        Registrations at a time, seven seconds of a core each.
    tell : callable
        Gets a line about each registration.
    persons : sequence of str, optional
        Of whose cases the mean is made, and which get a field. [default: all]

    Raises
    ------
    LibraryError
        No finished library.
    StageError
        A registration failed.
    """
    library = open_library(path)
    originals = [
        k for k, person in enumerate(library.persons)
        if not library.mirrored[k] and (persons is None or person in persons)
    ]  # fmt: skip
    averaged = originals[:: -(-len(originals) // AVERAGED)]
    context = get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=ants_bridge.use_one_thread) as pool:
        mean = _symmetric(np.mean([_seen(library, k) for k in averaged], axis=0, dtype=np.float32))
        moved = pool.map(_moved, *_arguments(path, averaged, mean))
        mean = _symmetric(np.mean(list(moved), axis=0, dtype=np.float32))
        fields = _told(library, originals, pool.map(_field, *_arguments(path, originals, mean)), tell)
        write_mean(path, mean, fields)


def _told(
    library: Library, indices: Sequence[int], fields: Iterable[Field], tell: Callable[[str], None]
) -> Iterator[tuple[int, Field]]:
    for number, (index, field) in enumerate(zip(indices, fields, strict=True), start=1):
        yield index, field
        tell(f"brought {library.names[index]} onto the mean ({number} of {len(indices)})")


def _arguments(path: Path, indices: Sequence[int], mean: Volume) -> tuple[list[Path], Sequence[int], list[Volume]]:
    return [path] * len(indices), indices, [mean] * len(indices)


def _seen(library: Library, index: int) -> Volume:
    return seen_by_registration(library.image(index, "T1w"), library.resolution)


def _symmetric(image: Volume) -> Volume:
    return np.asarray((image + image[::-1]) / 2, dtype=np.float32)


def _field(path: Path, index: int, mean: Volume) -> Field:
    """In voxels of the mean: the case at ``index + field`` belongs to the mean at ``index``."""
    library = open_library(path)
    (field,) = register_seen(mean, [_seen(library, index)], compared_region(library), library.resolution)
    return field


def _moved(path: Path, index: int, mean: Volume) -> Volume:
    field = _field(path, index, mean)
    at = np.indices(mean.shape, dtype=np.float32) + np.moveaxis(field, -1, 0)
    return np.asarray(ndimage.map_coordinates(_seen(open_library(path), index), at, order=1, mode="nearest"))
