"""Finding damage in a finished library."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cerebatch import labels
from cerebatch.library.case import flipped
from cerebatch.library.checks import library_digest, voxels_sha256, wrong_voxels
from cerebatch.library.layout import COLUMNS, Voxels, open_store, read_column
from cerebatch.library.mean import mean_problems
from cerebatch.library.store import Library, open_library


def verify(path: Path) -> list[str]:
    """Read every voxel of a finished library and tell what is wrong, a sentence a problem; none if all is well.

    Raises
    ------
    LibraryError
        The library cannot be opened.
    """
    library = open_library(path)
    group = open_store(path)
    columns = {column: read_column(group, column) for column in COLUMNS}
    found = []
    if library.digest != library_digest(group, columns):
        found.append("the library's digest is not that of its cases")
    found += mean_problems(library)
    for index, name in enumerate(library.names):
        voxels, wrong = library.read_back(index)
        if not wrong:
            wrong = wrong_voxels(voxels, library.rendered[index], library.grid)
            if voxels_sha256(voxels) != columns["sha256"][index]:
                wrong.append("the content is not what was written")
            wrong += _twin_problems(library, index, voxels, columns["sha256"])
        found += [f"{name}: {problem}" for problem in wrong]
    return found


def _twin_problems(library: Library, index: int, voxels: Voxels, sha256: Sequence[str]) -> list[str]:
    name, twin = library.names[index], library.twins[index]
    if not twin:
        return []
    if twin not in library.names:
        return [f"twin {twin} is not in the library"]
    other = library.names.index(twin)
    if library.twins[other] != name or library.mirrored[other] == library.mirrored[index]:
        return [f"twin {twin} does not say that it is the twin"]
    image = {variable: flipped(values) for variable, values in voxels.items()}
    image |= {variable: labels.mirrored(image[variable]) for variable in ("dseg", "lobules")}
    return [] if voxels_sha256(image) == sha256[other] else [f"twin {twin} is not the exact mirror image"]
