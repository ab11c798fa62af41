"""The calls of `import cerebatch`: one scan in, its label map, volumes and quality out."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebatch.io.scan import read_scan
from cerebatch.labels import LABELS
from cerebatch.library.store import open_library
from cerebatch.single.result import Segmentation

if TYPE_CHECKING:
    from pandas import DataFrame

    from cerebatch.single.settings import Method

__all__ = ["LABELS", "Segmentation", "open_library", "read_scan", "segment", "volumes_of"]


def segment(
    image: Any,
    t2w: Any = None,
    library: Path | str | None = None,
    resolution: float = 1.0,
    *,
    method: Method = "networks",
    weights: Path | str | None = None,
    probabilities: bool = True,
    name: str | None = None,
    threads: int | None = None,
    seed: int = 1,
    tell: Callable[[str], None] | None = None,
) -> Segmentation:
    """Segment the cerebellum of one T1-weighted scan.

    It goes through the stages of `cerebatch run`, in a process of its own, so that it does not matter what was
    imported before.

    Parameters
    ----------
    image : path, nibabel image or ANTs image
        T1-weighted, with or without skull. A path names a NIfTI or MGH file, or a folder of DICOM files.
    t2w : path, nibabel image or ANTs image, optional
        T2-weighted, of the same session.
    library : Path or str, optional
        Library of labelled cases, from which an atlas of the scan is made.
    resolution : {1.0, 0.5, 4.0}
        Edge of the MNI grid in millimetres; 4.0 is for trials.
    method : {"networks", "atlas"}
    weights : Path or str, optional
        Folder of weights; None: those of cerebatch.
    probabilities : bool
        Whether to keep the networks' probability of every label.
    name : str, optional
        ``sub-X``, for names of files and pages. None: that of the file.
    threads : int, optional
        Of our kernels; the outputs do not depend on it. None: as many as this process may use.
    seed : int
    tell : callable, optional
        Gets a line when a stage begins, for example ``print``.

    Returns
    -------
    segmentation : Segmentation

    Raises
    ------
    InputError
        The scan, the library or the weights cannot be used; it says what was found and what to do.
    SettingsError
        Settings contradict each other.
    StageError
        A stage gave what cannot be trusted.

    Examples
    --------
    >>> import cerebatch
    >>> found = cerebatch.segment("sub-01_T1w.nii.gz")  # doctest: +SKIP
    >>> found.volumes.query("structure == 'cerebellum'")  # doctest: +SKIP
    >>> found.save("results")  # doctest: +SKIP
    """
    from cerebatch.batch.cluster.machine import usable_cores
    from cerebatch.single.given import take_session
    from cerebatch.single.naming import label_of, parse_name
    from cerebatch.single.segmenter import Segmenter
    from cerebatch.single.settings import settings_of

    settings = settings_of(
        resolution=resolution,
        method=method,
        library=None if library is None else Path(library),
        weights=None if weights is None else Path(weights),
        probabilities=probabilities,
        threads=usable_cores() if threads is None else threads,
        seed=seed,
    )
    by_path = isinstance(image, (str, os.PathLike))
    label = parse_name(name) if name else label_of(Path(image)) if by_path else ("scan", None)
    out = Path(tempfile.mkdtemp(prefix="cerebatch-")).resolve()
    try:
        with tempfile.TemporaryDirectory(prefix="cerebatch-") as beside, Segmenter(settings) as segmenter:
            case = take_session(image, t2w, Path(beside).resolve(), label)
            case_folder = segmenter.run(case, out, lambda event: _say(tell, event.stage, event.what))
        return Segmentation(case.name, out, case_folder)
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise


def volumes_of(dseg: Any) -> DataFrame:
    """Volumes of a label map in the codes of `LABELS`, counted on its own grid.

    Parameters
    ----------
    dseg : path or nibabel image

    Returns
    -------
    volumes : DataFrame
        ``structure``, ``side``, ``volume_cm3`` and ``asymmetry`` (per cent) of structures, lobes and the whole.

    Raises
    ------
    LabelMapError
        No label map in these codes.
    """
    import pandas as pd

    from cerebatch.io.labelmaps import as_dseg, read_dseg
    from cerebatch.measures.volumes import counted_cm3, table

    if isinstance(dseg, (str, os.PathLike)):
        voxels, grid = read_dseg(Path(dseg))
    else:
        voxels, grid = as_dseg(dseg, Path(dseg.get_filename() or "the label map in memory"))
    rows = table(counted_cm3(voxels, grid.voxel_volume_mm3), None, None)
    columns = ["structure", "side", "volume_cm3", "asymmetry"]
    return pd.DataFrame([{column: getattr(row, column) for column in columns} for row in rows]).astype(
        {"volume_cm3": float, "asymmetry": float}
    )


def _say(tell: Callable[[str], None] | None, stage: str, what: str) -> None:
    if tell is not None and what == "started":
        tell(f"cerebatch: {stage}")
