"""Stage 4: labels back on the scan's own grid, volumes, tables and pictures, named by BIDS derivatives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from cerebatch.figures.overlays import draw_lobules, draw_registration
from cerebatch.intensity.tissue import TARGETS, Contrast
from cerebatch.io.bids import Case, output_name
from cerebatch.io.files import write_image, write_json, write_label_table, write_rows
from cerebatch.io.images import read_voxels
from cerebatch.io.labelmaps import read_dseg
from cerebatch.io.scan import read_scan
from cerebatch.measures import confidence, volumes
from cerebatch.measures.folia import with_folia
from cerebatch.quality.inputs import Material
from cerebatch.quality.io import write_quality
from cerebatch.quality.metrics import all_metrics
from cerebatch.spatial.ants_bridge import write_affine
from cerebatch.spatial.space import (
    RESOLUTIONS,
    TEMPLATE_SPACE,
    LabelMap,
    apply,
    cerebellum_box,
    inverse,
    resample_labels,
)
from cerebatch.stages.prepare import Prepared
from cerebatch.timing import Step, StepLog

VERSION = 6

_UNSEEN_SHARE = 0.01
"""Share of the labels outside the field of view from which on it is worth a warning."""

_SHARE = {"Description": "Share of the atlas' votes for the label that won, weighted as in equation 2; 0 to 1"}

_WITH_FOLIA = {"Description": "Like the dseg, white matter of the folia counted with its lobule; a vote of its own"}

_PROBABILITIES = {"Description": "Probability of background and of each label, in the order of the codes; 0 to 1"}

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
    on_mni = {"space": TEMPLATE_SPACE, "res": RESOLUTIONS[str(float(resolution))]}
    anat, figures = folder / "anat", folder / "figures"
    anat.mkdir()
    figures.mkdir()

    def name(suffix: str, extension: str, **entities: str) -> str:
        return output_name(case, suffix, extension, **entities)

    with log.step("label maps"):
        dseg: LabelMap = np.asarray(nib.load(segmented / "dseg.nii.gz").dataobj, dtype=np.uint8)
        native = resample_labels(dseg, box, found.stored_grid, found.affine, threads)
        warnings = [*case.warnings, *found.warnings, *_unseen(dseg, found, resolution)]
        sidecar = _sidecar(case, found, provenance, resolution, warnings)
        at_resolution = {"Resolution": f"{resolution:g} mm isotropic, in the cerebellum box of {TEMPLATE_SPACE}"}
        for entities, voxels, grid, frame in (({}, native, found.stored_grid, "native"), (on_mni, dseg, box, "MNI")):
            write_image(anat / name("dseg", ".nii.gz", seg="lobules", **entities), voxels, grid, frame)  # type: ignore[arg-type]
            write_json(
                anat / name("dseg", ".json", seg="lobules", **entities), sidecar | (at_resolution if entities else {})
            )
            write_label_table(anat / name("dseg", ".tsv", seg="lobules", **entities))
        share, lobules = segmented / "share.nii.gz", segmented / "lobules.nii.gz"
        if share.exists():
            (anat / name("probseg", ".nii.gz", seg="lobules", desc="winner", **on_mni)).write_bytes(share.read_bytes())
            voters = json.loads((segmented / "atlas.json").read_text())
            write_json(
                anat / name("probseg", ".json", seg="lobules", desc="winner", **on_mni), _SHARE | voters | at_resolution
            )
        if lobules.exists():
            folia = {"seg": "lobules", "desc": "withfolia", **on_mni}
            (anat / name("dseg", ".nii.gz", **folia)).write_bytes(lobules.read_bytes())
            write_json(anat / name("dseg", ".json", **folia), _WITH_FOLIA | at_resolution)
            write_label_table(anat / name("dseg", ".tsv", **folia))
        if (segmented / "probseg.nii.gz").exists():
            whole = (segmented / "probseg.nii.gz").read_bytes()
            (anat / name("probseg", ".nii.gz", seg="lobules", **on_mni)).write_bytes(whole)
            write_json(anat / name("probseg", ".json", seg="lobules", **on_mni), _PROBABILITIES | at_resolution)
        said = json.loads(path.read_text()) if (path := segmented / "confidence.json").exists() else None
        if said is not None:
            write_rows(anat / name("confidence", ".tsv", seg="lobules"), confidence.rows(said))
            write_json(anat / name("confidence", ".json", seg="lobules"), confidence.COLUMNS)
    with log.step("volumes"):
        determinant = float(np.linalg.det(found.affine[:3, :3]))
        voxel_mm3 = box.voxel_volume_mm3 / determinant
        rows = volumes.table(
            volumes.counted_cm3(dseg, voxel_mm3),
            volumes.counted_cm3(native, found.stored_grid.voxel_volume_mm3),
            found.icv.VolumeCM3,
            volumes.counted_cm3(read_dseg(lobules)[0] if lobules.exists() else with_folia(dseg, box), voxel_mm3),
        )
        write_rows(anat / name("volumes", ".tsv", seg="lobules"), (row.as_text() for row in rows))
        write_json(anat / name("volumes", ".json", seg="lobules"), volumes.COLUMNS | {"ICV": found.icv.model_dump()})
    with log.step("images"):
        for contrast in _CONTRASTS:
            source = prepared / f"{contrast}.nii.gz"
            if source.exists():
                (anat / name(contrast, ".nii.gz", desc="preproc", **on_mni)).write_bytes(source.read_bytes())
                write_json(
                    anat / name(contrast, ".json", desc="preproc", **on_mni), _image_sidecar(contrast) | at_resolution
                )
        write_affine(anat / name("xfm", ".txt", from_="T1w", to=TEMPLATE_SPACE, mode="image"), inverse(found.affine))
    with log.step("figures"):
        t1w = read_voxels(prepared / "T1w.nii.gz")
        scan = read_scan(case.t1w)
        title = f"{case.name}, {TEMPLATE_SPACE}, method: {provenance['Method']}"
        draw_lobules(figures / name("dseg", ".png", seg="lobules"), t1w, dseg, box, title)
        draw_registration(
            figures / name("T1w", ".png", desc="registration"),
            scan.image,
            scan.grid,
            found.affine,
            f"{case.name}: edges of the template (red: brain, yellow: white matter) on the scan",
        )
    with log.step("quality"):
        material = Material(
            dseg=dseg,
            t1w=t1w,
            scan=scan.image,
            scan_grid=scan.grid,
            stored_grid=found.stored_grid,
            mni_from_native=found.affine,
            resolution=resolution,
            local_correlation=found.local_correlation,
            icv_cm3=found.icv.VolumeCM3,
            confidence=said,
            votes=np.asarray(nib.load(share).dataobj) if share.exists() else None,
        )
        write_quality(anat / name("quality", ".tsv", seg="lobules"), all_metrics(material))
    return log.steps


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


def _sidecar(
    case: Case, found: Prepared, provenance: dict[str, Any], resolution: float, warnings: list[str]
) -> dict[str, Any]:
    return {
        "Sources": case.sources,
        **provenance,
        "ResolutionMM": resolution,
        "Trial": resolution == 4.0,
        "LocalCorrelationWithTemplate": found.local_correlation,
        "AffineNativeToMNI": found.mni_from_native,
        "TissueMeans": found.tissue_means,
        "ICV": found.icv.model_dump(),
        "SuperResolution": found.super_resolution and f"network {found.super_resolution}",
        "Warnings": warnings,
    }


def _image_sidecar(contrast: Contrast) -> dict[str, Any]:
    target = TARGETS[contrast]
    return {
        "Description": "Denoised, bias-corrected and normalised; the cerebellum box of the template",
        "SkullStripped": False,
        "TissueTargets": {"CSF": target.csf, "GM": target.gm, "WM": target.wm},
    }
