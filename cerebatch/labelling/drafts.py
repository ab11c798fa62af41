"""A library from real scans: their first labels, to be corrected by hand, and what was corrected read back.

DRAFTS/sub-X/T1w.nii.gz, T2w.nii.gz   prepared scans in the cerebellum box
             dseg.nii.gz              labels; this is what a person corrects
             first.npz                labels as they were made
             history.json             what was done to them
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cerebatch.atlas.subject_atlas import make_atlas
from cerebatch.errors import CerebatchError, LabelMapError, LibraryError
from cerebatch.intensity.tissue import Contrast
from cerebatch.io.bids import Case
from cerebatch.io.files import write_image, write_json
from cerebatch.io.images import read_grid, read_voxels
from cerebatch.io.labelmaps import read_dseg
from cerebatch.labelling.correct import corrected
from cerebatch.labels import WHITE_MATTER, side_of
from cerebatch.library import writing
from cerebatch.library.case import LabelledCase, mirrored_pair, twin_name
from cerebatch.library.layout import CONTRASTS
from cerebatch.library.store import open_library
from cerebatch.library.tissues import TISSUES
from cerebatch.measures.borders import visible_share
from cerebatch.spatial import stride
from cerebatch.spatial.space import Grid, LabelMap, Volume, cerebellum_box
from cerebatch.stages.prepare import prepare

HISTORY = "history.json"
_FIRST = "first.npz"

Labels = tuple[LabelMap, LabelMap]
"""White matter of the folia apart, and in its lobules; the same map twice where a method does not tell."""


@dataclass(frozen=True)
class Method:
    """Where first labels come from.

    Attributes
    ----------
    library : Path
        Finished library, of the atlas.
    weights : Path or None
        Folder of weights; the networks then label, and see the atlas. Without, the atlas labels.
    resolution : float
        Edge of the voxels that library and weights work on, mm.
    """

    library: Path
    weights: Path | None
    resolution: float

    @property
    def words(self) -> str:
        """For the history."""
        by = f"the atlas of library {open_library(self.library).digest[:12]}"
        if self.weights is None:
            return f"labelled by {by}"
        from cerebatch.networks.folder import digest

        return f"labelled by networks {digest(self.weights)[:12]} with {by}"

    def labels(self, t1w: Volume, t2w: Volume | None) -> Labels:
        """Labels of a prepared scan on voxels of `resolution`."""
        made = make_atlas(t1w, open_library(self.library))
        if self.weights is None:
            return made.dseg, made.lobules
        from cerebatch.networks.ensemble import load

        dseg = load(self.weights).segment(t1w, t2w, made.dseg).dseg
        return dseg, dseg


def first_labels(
    t1w: Volume,
    t2w: Volume | None,
    resolution: float,
    method_mm: float,
    label: Callable[[Volume, Volume | None], Labels],
) -> Labels:
    """Labels of a scan, by stride decomposition where the method's voxels are twice as long (section 2.1).

    Parameters
    ----------
    t1w, t2w : (X, Y, Z) float32
        Prepared; t2w is None where there is none.
    resolution : float
        Edge of their voxels, mm.
    method_mm : float
        Edge of the voxels that the method works on: the same, or twice as long.
    label : callable
        Labels of a scan on voxels of `method_mm`.
    """
    if method_mm == resolution:
        return label(t1w, t2w)
    parts = stride.decompose(t1w)
    seconds = [None] * len(parts) if t2w is None else list(stride.decompose(t2w))
    found = [label(np.ascontiguousarray(one), other) for one, other in zip(parts, seconds, strict=True)]
    apart, together = (stride.compose(np.stack(maps)) for maps in zip(*found, strict=True))
    return apart, together


def label_scans(
    cases: tuple[Case, ...], method: Method, drafts: Path, *, resolution: float, processes: int
) -> Iterator[tuple[str, str]]:
    """Prepare, label and correct scans that have no draft yet; one that fails stops nobody else.

    Parameters
    ----------
    cases : tuple of Case
    method : Method
    drafts : Path
        Made where it is missing.
    resolution : float
        Edge of the voxels of the drafts, mm.
    processes : int

    Yields
    ------
    name, said : str
        Each case with what was done, or why it was not.
    """
    if method.resolution not in (resolution, 2 * resolution):
        raise LibraryError(
            method.library,
            expected=f"a library of {resolution:g} or {2 * resolution:g} mm",
            found=f"{method.resolution:g} mm",
            do="Give another library, or another --resolution.",
        )
    todo = [case for case in cases if not (drafts / case.name / HISTORY).exists()]
    for case in cases:
        if case not in todo:
            yield case.name, "there already"
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running = {case.name: pool.submit(_label, case, method, drafts / case.name, resolution) for case in todo}
        for name, future in running.items():
            try:
                yield name, future.result()
            except CerebatchError as error:
                yield name, f"not done: {error}"


def _label(case: Case, method: Method, folder: Path, resolution: float) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    prepare(case.t1w, folder, t2w=case.t2w, resolution=resolution)
    box, images = cerebellum_box(resolution), _images(folder)
    dseg, lobules = first_labels(images["T1w"], images.get("T2w"), resolution, method.resolution, method.labels)
    found = corrected(lobules, dseg, images, box)
    history = [
        method.words,
        f"corrected by {' and '.join(images)}: {found.fluid} voxels of fluid and {found.peduncle} of peduncles out, "
        f"{found.white} of white matter in",
    ]
    write_image(folder / "dseg.nii.gz", found.dseg, box, "MNI")
    np.savez_compressed(folder / _FIRST, dseg=found.dseg, lobules=found.lobules)
    sources = [path.name for path in (case.t1w, case.t2w) if path is not None]
    write_json(folder / HISTORY, {"person": case.participant, "sources": sources, "history": history})
    return "; ".join(history)


def import_drafts(drafts: Path, library: Path, *, licence: str) -> Iterator[str]:
    """Make a library of all drafts, as they were made or as a person corrected them, and their mirrored twins.

    Parameters
    ----------
    drafts : Path
        Of `label_scans`.
    library : Path
        New store.
    licence : str
        Of the scans.

    Yields
    ------
    said : str
        Each case with what was corrected by hand.

    Raises
    ------
    LabelMapError
        There is no draft, or the labels of one cannot be used.
    LibraryError
        The store exists.
    """
    folders = sorted(path.parent for path in drafts.glob(f"*/{HISTORY}"))
    if not folders:
        raise LabelMapError(
            drafts, expected="drafts of `cerebatch library label`", found="none", do="Give the folder that it wrote."
        )
    made = [_case(folder) for folder in folders]
    resolution = float(_grid(folders[0]).voxel_sizes_mm[0])
    names = [name for case in made for name in (case.name, twin_name(case.name))]
    writing.create(library, names, resolution, seed=0, licence=licence)
    for place, case in enumerate(made):
        for step, one in enumerate(mirrored_pair(case)):
            writing.write_case(library, 2 * place + step, one)
        yield f"{case.name}: {case.sources[-1]}"
    writing.finish(library)


def _case(folder: Path) -> LabelledCase:
    """A draft as a labelled case."""
    told = json.loads((folder / HISTORY).read_text())
    dseg, grid = read_dseg(folder / "dseg.nii.gz")
    box = _grid(folder)
    if grid.shape != box.shape or not np.allclose(grid.affine, box.affine, atol=1e-3):
        raise LabelMapError(
            folder / "dseg.nii.gz",
            expected=f"the grid of {folder / 'T1w.nii.gz'}",
            found=f"{grid.shape} voxels or another place",
            do="Save the labels on the image's grid.",
        )
    with np.load(folder / _FIRST) as first:
        changed = dseg != first["dseg"]
        lobules = _parents(dseg, changed, first["lobules"])
    images = _images(folder)
    blank = np.zeros(box.shape, dtype=np.float32)
    white = np.isin(dseg, WHITE_MATTER)
    by_hand = f"{int(changed.sum())} voxels corrected by hand"
    return LabelledCase(
        name=folder.name,
        person=told["person"],
        head=told["person"],
        twin="",
        mirrored=False,
        rendered=False,
        overlap=1.0,
        visible_share=visible_share(lobules, white, box),
        sources=(*told["sources"], *told["history"], by_hand),
        image=np.stack([images.get(contrast, blank) for contrast in CONTRASTS]),
        tissue=np.zeros((len(TISSUES), *box.shape), dtype=np.uint8),
        dseg=dseg,
        lobules=lobules,
    )


def _parents(dseg: LabelMap, changed: NDArray[np.bool_], first: LabelMap) -> LabelMap:
    """Lobule of each voxel: of what a person drew as white matter, the lobule that was there, if of the same side."""
    same_side = (first > 0) & (side_of(first) == side_of(dseg))
    kept = ~changed | (np.isin(dseg, WHITE_MATTER) & same_side)
    return np.where(kept & (dseg > 0), first, dseg).astype(np.uint8)


def _images(folder: Path) -> dict[Contrast, Volume]:
    return {
        contrast: read_voxels(folder / f"{contrast}.nii.gz")
        for contrast in CONTRASTS
        if (folder / f"{contrast}.nii.gz").exists()
    }


def _grid(folder: Path) -> Grid:
    return read_grid(folder / "T1w.nii.gz")
