"""The template as a BIDS dataset of one person: a real T1w image that is always at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cerebatch.io.files import require_empty, write_image, write_json
from cerebatch.spatial.space import TEMPLATE_SPACE
from cerebatch.spatial.template import t1w

NAME = "sub-mni152"
"""The template as a person of a dataset."""


def write_dataset(out_dir: Path) -> Path:
    """Write the T1-weighted template as a BIDS dataset of one brain-extracted person: a real image, always at hand.

    Parameters
    ----------
    out_dir : Path
        Made where missing; must be empty.

    Returns
    -------
    scan : Path

    Raises
    ------
    DatasetError
        The folder holds something already.
    """
    require_empty(out_dir)
    image, grid = t1w(1)
    scan = out_dir / NAME / "anat" / f"{NAME}_T1w.nii.gz"
    write_image(scan, np.rint(1000 * image).astype(np.int16), grid, "native")
    write_json(scan.with_name(f"{NAME}_T1w.json"), {"Description": TEMPLATE_SPACE, "SkullStripped": True})
    write_json(
        out_dir / "dataset_description.json",
        {"Name": f"The template {TEMPLATE_SPACE} as a scan", "BIDSVersion": "1.10.0", "DatasetType": "raw"},
    )
    (out_dir / "README").write_text(f"The T1-weighted average of many people ({TEMPLATE_SPACE}, Fonov et al. 2011).\n")
    return scan
