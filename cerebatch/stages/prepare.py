"""Stage 1: a scan becomes a denoised, bias-free, normalised image in the cerebellum box (section 3.8).

The affine comes first. It needs neither denoising nor bias correction, and it tells where the brain is, so that
the slow steps work where it matters: bias is corrected on the brain, noise in the box. The scan is
interpolated once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from cerebatch.intensity import tissue
from cerebatch.intensity.tissue import Contrast, TissueMeans
from cerebatch.io.files import write_image
from cerebatch.io.scan import Scan, read_scan
from cerebatch.io.scan_checks import foreground_of, looks_brain_extracted
from cerebatch.measures.icv import Icv, from_affine
from cerebatch.networks.card import HelperCard, read_card
from cerebatch.spatial import ants_bridge, template
from cerebatch.spatial.ants_bridge import Schedule
from cerebatch.spatial.coarse import reduced
from cerebatch.spatial.registration import FINE_MM, foreground_threshold, register_to_template
from cerebatch.spatial.space import Affine, Grid, Volume, cerebellum_box, inverse, resample
from cerebatch.timing import Step, StepLog

VERSION = 4

_MARGIN_MM = 6.0
"""How far the intracranial mask reaches beyond the template's brain."""

_T2W_TO_T1W = Schedule("Rigid", iterations=(100, 50, 20), shrink=(4, 2, 1), smoothing=(2, 1, 0))

_COARSE = 1.5
"""A scan with voxels this many times as long as the grid's has something to gain from super-resolution."""

_ESTIMATES_MM = 1.25
"""Bias and tissue means of finer scans are estimated on means of whole blocks of voxels, up to this edge."""
_BLOCK_MARGIN_MM = 8.0
"""Of the scan around the box, so that no filter sees where it was cut."""

_BASE_GB, _GB_A_VOXEL = 1.2, 20e-9
"""Measured: 0.7 GB and 12 bytes a voxel, from 9 to 50 million; the rest is for networks and for what was not tried."""

_EDGE = 2
"""Voxels by which a field is continued: more than what whole blocks leave out at the far end of a scan."""

_ROUGH_BIAS, _FINE_BIAS = (30, 30, 30), (50, 50, 50, 50)
"""Steps a level of the first and the second correction of bias."""


class Prepared(BaseModel):
    """What `prepare` found out, as it stands in ``prepared.json``.

    Attributes
    ----------
    stored_shape : list of int
        Voxels of the T1w file.
    stored_affine : list of list of float
        Voxel indices of the T1w file -> native millimetres (RAS).
    mni_from_native : list of list of float
        Native millimetres -> MNI millimetres.
    local_correlation : float
        Of scan and template inside the brain (`registration.Registration`).
    tissue_means : dict
        Contrast -> CSF, GM and WM of the scan before the last normalisation.
    icv : Icv
        Intracranial volume, by the affine or by a network.
    super_resolution : str or None
        Digest of the network that refined the T1w; None: it was interpolated.
    warnings : list of str
    """

    model_config = ConfigDict(extra="forbid")

    stored_shape: tuple[int, int, int]
    stored_affine: list[list[float]]
    mni_from_native: list[list[float]]
    local_correlation: float
    tissue_means: dict[Contrast, list[float]]
    icv: Icv
    super_resolution: str | None = None
    warnings: list[str]

    @property
    def stored_grid(self) -> Grid:
        """Grid of the T1w file, native frame."""
        return Grid(self.stored_shape, np.array(self.stored_affine))

    @property
    def affine(self) -> Affine:
        """Native millimetres -> MNI millimetres, (4, 4)."""
        return np.array(self.mni_from_native)

    @classmethod
    def read(cls, folder: Path) -> Prepared:
        """Read what `prepare` wrote into `folder`."""
        return cls.model_validate_json((folder / "prepared.json").read_bytes())


def memory_gb(voxels: Sequence[int]) -> float:
    """Memory in GB (10^9 bytes) that `prepare` takes at most.

    Parameters
    ----------
    voxels : sequence of int
        Of each scan, as stored.
    """
    return _BASE_GB + _GB_A_VOXEL * sum(voxels)


def prepare(
    t1w: Path,
    folder: Path,
    *,
    t2w: Path | None = None,
    resolution: float = 1.0,
    seed: int = 1,
    icv: Path | None = None,
    superres: Path | None = None,
) -> list[Step]:
    """Write ``T1w.nii.gz`` (and ``T2w.nii.gz``) on the cerebellum box, and ``prepared.json``.

    Parameters
    ----------
    t1w, t2w : Path
        Scans of one session; a T2w is brought to the T1w rigidly.
    folder : Path
        Exists; files in it are overwritten.
    resolution : float
        Edge of the MNI grid in millimetres.
    seed : int
    icv : Path, optional
        Weights of the network that sees the intracranial cavity. For a brain-extracted scan, whose cavity cannot be
        seen, and without it, the affine's scale tells the volume.
    superres : Path, optional
        Weights of the network that doubles the voxels a side of a T1w whose own are coarser than the grid's; without
        it, it is interpolated.

    Returns
    -------
    steps : list of Step
        Seconds and memory, in order.

    Raises
    ------
    InputError
        A scan or the weights cannot be used.
    StageError
        A step gave what cannot be trusted.
    """
    ants_bridge.use_one_thread()
    log = StepLog()
    with log.step("read"):
        scan = read_scan(t1w)
        second = read_scan(t2w) if t2w is not None else None
    with log.step("register"):
        registration = register_to_template(scan.image, scan.grid, seed=seed, finest_mm=max(FINE_MM, int(resolution)))
    mni_from_native = registration.mni_from_native
    volume = from_affine(mni_from_native)
    if icv is not None and not looks_brain_extracted(foreground_of(scan.image), scan.grid):
        with log.step("intracranial volume"):
            volume = _seen(icv, scan, mni_from_native)
    image, grid = _around_brain(scan.image, scan.grid, mni_from_native)
    stored_grid, warnings = scan.stored_grid, list(scan.warnings)
    del scan  # the rest of it is never looked at again
    with log.step("denoise"):
        block = _denoise_box(image, grid, mni_from_native)
    # What is estimated in the whole brain needs no finer voxels than these; what is kept are those of the box.
    small, small_grid = reduced(image, grid, _ESTIMATES_MM)
    boxed_image, boxed_grid = np.ascontiguousarray(image[block]), grid.block(block)
    del image
    bright = small > foreground_threshold(small)
    mask = _intracranial(small_grid, mni_from_native) & (small > 0)
    clean = _Cleaning(small, small_grid, boxed_image, boxed_grid)
    with log.step("correct bias"):
        clean.without_bias(bright | mask, _ROUGH_BIAS)
    with log.step("normalise"):
        maps = tissue.tissue_maps(small_grid, mni_from_native)
        clean.normalise(tissue.tissue_means(clean.image, tissue.tissue_classes(clean.image, maps), "T1w"), "T1w")
    with log.step("correct bias inside the skull"):
        clean.without_bias(mask, _FINE_BIAS)
    with log.step("normalise again"):
        classes = tissue.tissue_classes(clean.image, maps)
        means: dict[Contrast, TissueMeans] = {"T1w": tissue.tissue_means(clean.image, classes, "T1w")}
        clean.normalise(means["T1w"], "T1w")
    coarse = grid.voxel_sizes_mm.max() > _COARSE * resolution
    with log.step("resample"):
        if superres is not None and coarse:
            boxed = _refined(superres, clean.boxed, boxed_grid, inverse(mni_from_native), resolution)
        else:
            boxed = _boxed(clean.boxed, boxed_grid, inverse(mni_from_native), resolution)
        write_image(folder / "T1w.nii.gz", boxed, cerebellum_box(resolution), "MNI")

    if not tissue.has_fluid(classes):
        warnings.append(
            "No fluid was found inside the brain (cut away?): its mean was assumed from that of grey matter."
        )
    if second is not None:
        warnings += [f"T2w: {warning}" for warning in second.warnings]
        with log.step("T2w"):
            t2w_from_t1w = ants_bridge.register(
                clean.image, small_grid, mask, *reduced(second.image, second.grid, _ESTIMATES_MM), np.eye(4),
                _T2W_TO_T1W, seed,
            )  # fmt: skip
            t2w_image, t2w_grid, means["T2w"] = _clean_t2w(second, t2w_from_t1w, classes, small_grid, mni_from_native)
            t2w_from_mni = t2w_from_t1w @ inverse(mni_from_native)
            boxed = _boxed(t2w_image, t2w_grid, t2w_from_mni, resolution)
            write_image(folder / "T2w.nii.gz", boxed, cerebellum_box(resolution), "MNI")
    prepared = Prepared(
        stored_shape=stored_grid.shape,
        stored_affine=stored_grid.affine.tolist(),
        mni_from_native=mni_from_native.tolist(),
        local_correlation=registration.local_correlation,
        tissue_means={contrast: found.as_array().tolist() for contrast, found in means.items()},
        icv=volume,
        super_resolution=read_card(superres, HelperCard).sha256 if superres is not None and coarse else None,
        warnings=warnings,
    )
    (folder / "prepared.json").write_text(prepared.model_dump_json(indent=2) + "\n")
    return log.steps


def _seen(weights: Path, scan: Scan, mni_from_native: Affine) -> Icv:
    from cerebatch.networks.auxiliary.intracranial import measured
    from cerebatch.networks.auxiliary.loading import load_helper  # torch takes seconds, and only this needs it

    return measured(load_helper(weights, "icv"), weights, scan.image, scan.grid, mni_from_native)


def _clean_t2w(
    scan: Scan, t2w_from_t1w: Affine, classes: NDArray[np.uint8], t1w_grid: Grid, mni_from_t1w: Affine
) -> tuple[Volume, Grid, TissueMeans]:
    """The same steps for a T2w: its tissues are where the T1w has them."""
    mni_from_t2w = mni_from_t1w @ inverse(t2w_from_t1w)
    image, grid = _around_brain(scan.image, scan.grid, mni_from_t2w)
    block = _denoise_box(image, grid, mni_from_t2w)
    small, small_grid = reduced(image, grid, _ESTIMATES_MM)
    clean = _Cleaning(small, small_grid, np.ascontiguousarray(image[block]), grid.block(block))
    del image
    clean.without_bias(_intracranial(small_grid, mni_from_t2w) & (small > 0), _FINE_BIAS)
    means = tissue.tissue_means(resample(clean.image, small_grid, t1w_grid, t2w_from_t1w, order=1), classes, "T2w")
    clean.normalise(means, "T2w")
    return clean.boxed, grid.block(block), means


class _Cleaning:
    """A brain on voxels to estimate from, and the box on those of the scan; what is done to one is done to both.

    Attributes
    ----------
    image, boxed : float32
    """

    def __init__(self, image: Volume, grid: Grid, boxed: Volume, boxed_grid: Grid) -> None:
        self.image, self.boxed, self._grid, self._boxed_grid = image, boxed, grid, boxed_grid

    def without_bias(self, mask: NDArray[np.bool_], iterations: Sequence[int]) -> None:
        """Correct for what N4 finds inside a mask of the brain."""
        field = ants_bridge.bias_field(self.image, self._grid, mask, iterations)
        self.image = self.image / field
        self.boxed = self.boxed / _continued(field, self._grid, self._boxed_grid)

    def normalise(self, means: TissueMeans, contrast: Contrast) -> None:
        """Bring the means of the tissues to their targets."""
        self.image = tissue.normalised(self.image, means, contrast)
        self.boxed = tissue.normalised(self.boxed, means, contrast)


def _continued(field: Volume, field_grid: Grid, grid: Grid) -> Volume:
    """A smooth field on finer voxels, continued by its edge."""
    wider = np.eye(4)
    wider[:3, 3] = -_EDGE
    x, y, z = (n + 2 * _EDGE for n in field.shape)
    edged = Grid((x, y, z), field_grid.affine @ wider)
    return resample(np.pad(field, _EDGE, mode="edge"), edged, grid, np.eye(4), order=1)


def _denoise_box(image: Volume, grid: Grid, mni_from_native: Affine) -> tuple[slice, slice, slice]:
    """Denoise the part of a scan that lies in the box, in place; returns the block of the image around it."""
    box = cerebellum_box(1.0)
    corners = Grid(box.shape, inverse(mni_from_native) @ box.affine).corners_mm()
    block = grid.cropped_around(corners, margin_mm=_BLOCK_MARGIN_MM)
    part, part_grid = np.ascontiguousarray(image[block]), grid.block(block)
    mask = _intracranial(part_grid, mni_from_native) & (part > 0) & _in_box(part_grid, mni_from_native)
    image[block] = ants_bridge.denoise(part, part_grid, mask)
    return block


def _around_brain(image: Volume, grid: Grid, mni_from_native: Affine) -> tuple[Volume, Grid]:
    """The part of a scan that can hold brain or box; the rest is never looked at."""
    _, template_grid = template.t1w(FINE_MM)
    native_from_mni = Grid(template_grid.shape, inverse(mni_from_native) @ template_grid.affine)
    box = cerebellum_box(1.0)
    box_in_native = Grid(box.shape, inverse(mni_from_native) @ box.affine)
    corners = np.concatenate([native_from_mni.corners_mm(), box_in_native.corners_mm()])
    block = grid.cropped_around(corners, margin_mm=_MARGIN_MM)
    return np.array(image[block], order="C"), grid.block(block)  # a copy: it is written to


def _intracranial(grid: Grid, mni_from_native: Affine) -> NDArray[np.bool_]:
    return _on_scan(template.brain_mask_within(FINE_MM, _MARGIN_MM), grid, mni_from_native)


def _in_box(grid: Grid, mni_from_native: Affine) -> NDArray[np.bool_]:
    box = cerebellum_box(1.0)
    return resample(np.ones(box.shape, dtype=np.float32), box, grid, mni_from_native, order=1) > 0.5


def _on_scan(mask: NDArray[np.bool_], grid: Grid, mni_from_native: Affine) -> NDArray[np.bool_]:
    _, mask_grid = template.t1w(FINE_MM)
    return resample(mask.astype(np.float32), mask_grid, grid, mni_from_native, order=1) > 0.5


def _boxed(image: Volume, grid: Grid, native_from_mni: Affine, resolution: float) -> Volume:
    cubic = resample(image, grid, cerebellum_box(resolution), native_from_mni, order=3)
    return np.clip(cubic, np.float32(0), np.float32(tissue.CEILING))


def _refined(weights: Path, image: Volume, grid: Grid, native_from_mni: Affine, resolution: float) -> Volume:
    from cerebatch.networks.auxiliary.loading import helper_card, load_helper
    from cerebatch.networks.auxiliary.superres import FACTOR, refined

    helper_card(weights, "superres", resolution)
    finer = refined(load_helper(weights, "superres"), _boxed(image, grid, native_from_mni, FACTOR * resolution))
    return np.minimum(finer, np.float32(tissue.CEILING))
