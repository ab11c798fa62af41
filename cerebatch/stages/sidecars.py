"""What the JSON files beside the images of a case say: sources, settings and what was found on the way."""

from __future__ import annotations

from typing import Any

from cerebatch.intensity.tissue import TARGETS, Contrast
from cerebatch.io.bids import Case
from cerebatch.spatial.space import TEMPLATE_SPACE
from cerebatch.stages.prepare import Prepared

SHARE = {"Description": "Share of the atlas' votes for the label that won, weighted as in equation 2; 0 to 1"}

WITH_FOLIA = {"Description": "Like the dseg, white matter of the folia counted with its lobule; a vote of its own"}

PROBABILITIES = {"Description": "Probability of background and of each label, in the order of the codes; 0 to 1"}


def at_resolution(resolution: float) -> dict[str, str]:
    """What every file on the MNI grid says of its grid; the edge of a voxel in millimetres."""
    return {"Resolution": f"{resolution:g} mm isotropic, in the cerebellum box of {TEMPLATE_SPACE}"}


def of_labels(
    case: Case, found: Prepared, provenance: dict[str, Any], resolution: float, warnings: list[str]
) -> dict[str, Any]:
    """Sidecar of the label maps.

    Parameters
    ----------
    case : Case
    found : Prepared
    provenance : dict
        Method, settings and versions.
    resolution : float
        Edge of the MNI grid in millimetres.
    warnings : list of str
    """
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


def of_image(contrast: Contrast) -> dict[str, Any]:
    """Sidecar of a prepared image."""
    target = TARGETS[contrast]
    return {
        "Description": "Denoised, bias-corrected and normalised; the cerebellum box of the template",
        "SkullStripped": False,
        "TissueTargets": {"CSF": target.csf, "GM": target.gm, "WM": target.wm},
    }
