"""Scans of noise, with any header."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

RAS = np.array([[3.0, 0, 0, -54], [0, 3, 0, -60], [0, 0, 3, -57], [0, 0, 0, 1]])
SHAPE = (36, 40, 38)


def head(shape: tuple[int, ...] = SHAPE, dtype: Any = np.int16) -> Any:
    """Noise everywhere: no background of one value, as in a raw scan."""
    return np.random.default_rng(1).integers(1, 900, shape).astype(dtype)


def saved(path: Path, array: Any, affine: Any = RAS, *, qform: Any = None, **header: Any) -> Path:
    """Write a NIfTI-1 with an sform (and a qform if given), then overwrite header fields as they stand in the file."""
    image = nib.Nifti1Image(array, affine)
    image.set_sform(affine, 1)
    image.set_qform(qform, 0 if qform is None else 1)
    image.to_filename(path)
    if header:
        content = bytearray(path.read_bytes())
        fields = nib.Nifti1Header(bytes(content[:348]), check=False)
        for field, value in header.items():
            fields[field] = value
        path.write_bytes(fields.binaryblock + content[348:])
    return path
