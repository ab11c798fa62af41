"""Stage 4: labels back on the scan's own grid, volumes, tables and pictures, named by BIDS derivatives."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cerebatch.figures.overlays import draw_lobules, draw_registration
from cerebatch.intensity.tissue import Contrast
from cerebatch.io.bids import Case
from cerebatch.io.files import Frame, write_image, write_json, write_label_table, write_rows
from cerebatch.io.images import read_stored, read_voxels
from cerebatch.io.labelmaps import read_dseg
from cerebatch.io.scan import read_scan
from cerebatch.measures import confidence, volumes
from cerebatch.measures.folia import with_folia
from cerebatch.quality.inputs import QualityInputs
from cerebatch.quality.io import write_quality
from cerebatch.quality.metrics import all_metrics
from cerebatch.spatial.ants_bridge import write_affine
from cerebatch.spatial.space import (
    TEMPLATE_SPACE,
    Grid,
    LabelMap,
    apply,
    cerebellum_box,
    inverse,
    resample_labels,
)
from cerebatch.stages import sidecars
from cerebatch.stages.outputs import Outputs
from cerebatch.stages.prepare import Prepared
from cerebatch.timing import Step, StepLog

VERSION = 6

_UNSEEN_SHARE = 0.01
"""Share of the labels outside the field of view from which on it is worth a warning."""

_CONTRASTS: tuple[Contrast, ...] = ("T1w", "T2w")


def measure(
    case: Case,
    prepared: Path,
    segmented: Path,
    folder: Path,
    *,
    provenance: dict[str, Any],
    resolution: float = 1.0,
    threads: int = 1,
) -> list[Step]:
    """Write everything that a user keeps of one case.

    Parameters
    ----------
    case : Case
    prepared, segmented : Path
        Folders that `prepare` and `segment` wrote.
    folder : Path
        Exists. Gets ``anat/`` and ``figures/``.
    provenance : dict
        Method, settings and versions, told in the sidecars.
    resolution : float
        Edge of the MNI grid in millimetres.
    threads : int

    Returns
    -------
    steps : list of Step
    """
    log = StepLog()
    found = Prepared.read(prepared)
    box = cerebellum_box(resolution)
    outputs = Outputs(case, folder, resolution)
    outputs.make_folders()
    share, lobules = segmented / "share.nii.gz", segmented / "lobules.nii.gz"
    sure = json.loads(path.read_text()) if (path := segmented / "confidence.json").exists() else None
    with log.step("label maps"):
        dseg: LabelMap = np.asarray(read_stored(segmented / "dseg.nii.gz"), dtype=np.uint8)
        native = resample_labels(dseg, box, found.stored_grid, found.affine, threads)
        warnings = [*case.warnings, *found.warnings, *_unseen(dseg, found, resolution)]
        sidecar = sidecars.of_labels(case, found, provenance, resolution, warnings)
        _write_dseg(outputs.native, native, found.stored_grid, "native", sidecar)
        _write_dseg(outputs.mni, dseg, box, "MNI", sidecar | sidecars.at_resolution(resolution))
        _copy_maps(outputs, segmented)
        if sure is not None:
            write_rows(outputs.native("confidence", ".tsv", seg="lobules"), confidence.rows(sure))
            write_json(outputs.native("confidence", ".json", seg="lobules"), confidence.COLUMNS)
    with log.step("volumes"):
        voxel_mm3 = box.voxel_volume_mm3 / float(np.linalg.det(found.affine[:3, :3]))
        rows = volumes.table(
            volumes.counted_cm3(dseg, voxel_mm3),
            volumes.counted_cm3(native, found.stored_grid.voxel_volume_mm3),
            found.icv.VolumeCM3,
            volumes.counted_cm3(read_dseg(lobules)[0] if lobules.exists() else with_folia(dseg, box), voxel_mm3),
        )
        write_rows(outputs.native("volumes", ".tsv", seg="lobules"), (row.as_text() for row in rows))
        write_json(outputs.native("volumes", ".json", seg="lobules"), volumes.COLUMNS | {"ICV": found.icv.model_dump()})
    with log.step("images"):
        _copy_images(outputs, prepared)
        write_affine(outputs.native("xfm", ".txt", from_="T1w", to=TEMPLATE_SPACE, mode="image"), inverse(found.affine))
    with log.step("figures"):
        t1w = read_voxels(prepared / "T1w.nii.gz")
        scan = read_scan(case.t1w)
        title = f"{case.name}, {TEMPLATE_SPACE}, method: {provenance['Method']}"
        draw_lobules(outputs.figure("dseg", seg="lobules"), t1w, dseg, box, title)
        draw_registration(
            outputs.figure("T1w", desc="registration"),
            scan.image,
            scan.grid,
            found.affine,
            f"{case.name}: edges of the template (red: brain, yellow: white matter) on the scan",
        )
    with log.step("quality"):
        inputs = QualityInputs(
            dseg=dseg,
            t1w=t1w,
            scan=scan.image,
            scan_grid=scan.grid,
            stored_grid=found.stored_grid,
            mni_from_native=found.affine,
            resolution=resolution,
            local_correlation=found.local_correlation,
            icv_cm3=found.icv.VolumeCM3,
            confidence=sure,
            votes=read_stored(share) if share.exists() else None,
        )
        write_quality(outputs.native("quality", ".tsv", seg="lobules"), all_metrics(inputs))
    return log.steps


def _write_dseg(name: Callable[..., Path], dseg: LabelMap, grid: Grid, frame: Frame, sidecar: dict[str, Any]) -> None:
    """A label map, its sidecar and the table of its labels, under names that `Outputs.native` or `mni` gives."""
    write_image(name("dseg", ".nii.gz", seg="lobules"), dseg, grid, frame)
    write_json(name("dseg", ".json", seg="lobules"), sidecar)
    write_label_table(name("dseg", ".tsv", seg="lobules"))


def _copy_maps(outputs: Outputs, segmented: Path) -> None:
    """Maps that `segment` has written besides the labels, as they are, each with its sidecar."""
    entities = {"seg": "lobules", "desc": "withfolia"}
    kept: list[tuple[str, str, dict[str, str], Callable[[], dict[str, Any]]]] = [
        (
            "share",
            "probseg",
            {"seg": "lobules", "desc": "winner"},
            lambda: sidecars.SHARE | json.loads((segmented / "atlas.json").read_text()),
        ),
        ("lobules", "dseg", entities, lambda: sidecars.WITH_FOLIA),
        ("probseg", "probseg", {"seg": "lobules"}, lambda: sidecars.PROBABILITIES),
    ]
    for stem, suffix, named, sidecar in kept:
        if (source := segmented / f"{stem}.nii.gz").exists():
            outputs.mni(suffix, ".nii.gz", **named).write_bytes(source.read_bytes())
            write_json(outputs.mni(suffix, ".json", **named), sidecar() | sidecars.at_resolution(outputs.resolution))
    if (segmented / "lobules.nii.gz").exists():
        write_label_table(outputs.mni("dseg", ".tsv", **entities))


def _copy_images(outputs: Outputs, prepared: Path) -> None:
    """Prepared images as they are, each with its sidecar."""
    for contrast in _CONTRASTS:
        if (source := prepared / f"{contrast}.nii.gz").exists():
            outputs.mni(contrast, ".nii.gz", desc="preproc").write_bytes(source.read_bytes())
            sidecar = sidecars.of_image(contrast) | sidecars.at_resolution(outputs.resolution)
            write_json(outputs.mni(contrast, ".json", desc="preproc"), sidecar)


def _unseen(dseg: LabelMap, found: Prepared, resolution: float) -> list[str]:
    """A warning where the field of view cuts the cerebellum."""
    native_from_index = inverse(found.affine) @ cerebellum_box(resolution).affine
    labelled = apply(native_from_index, np.argwhere(dseg > 0).astype(float))
    share = float(np.mean(~found.stored_grid.holds(labelled)))
    if share < _UNSEEN_SHARE:
        return []
    return [
        f"The field of view cuts the cerebellum: {100 * share:.0f}% of the labels lie outside the scan. They count in "
        "volume_cm3, though nobody saw them."
    ]
