"""What may be given for a scan, and the file that the stages read: path, DICOM folder, image in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cerebatch.errors import InputError, SettingsError, UnreadableScanError
from cerebatch.io.bids import Case
from cerebatch.io.dicom import convert_series
from cerebatch.io.scan import EXTENSIONS, FORMATS, read_scan
from cerebatch.single.naming import Label
from cerebatch.spatial.ants_bridge import affine_of

Role = Literal["T1w", "T2w"]

TAKEN = f"a path to {FORMATS}, a folder of DICOM files, a nibabel image or an ANTs image"

_NAMED = 3


@dataclass(frozen=True)
class Given:
    """A scan as the stages read it.

    Attributes
    ----------
    path : Path
        NIfTI or MGH, absolute.
    told : str
        What errors call it: its path, the folder that it was converted from, or that it was in memory.
    """

    path: Path
    told: str

    def named(self, error: InputError) -> InputError:
        """An error about the file, by the name that the user knows."""
        if error.path != self.path:
            return error
        return type(error)(self.told, expected=error.expected, found=error.found, do=error.do)


def take_session(image: object, t2w: object | None, folder: Path, label: Label) -> Case:
    """The case that one or two scans of a person are, refused now where no stage could use them.

    Parameters
    ----------
    image, t2w : path, nibabel image or ANTs image
        A path may name a folder of DICOM files; t2w is None where there is none.
    folder : Path
        Gets files where such have to be written.
    label : tuple of str
        Participant and session.

    Raises
    ------
    ScanError
        An image cannot be used.
    SettingsError
        It is nothing of the kind.
    """
    name = Case(*label, t1w=folder).name
    first = take(image, folder, "T1w", name)
    if t2w is None:
        return Case(*label, t1w=first.path, in_dataset=False)
    second = take(t2w, folder, "T2w", name)
    if t2w is image or (second.path.exists() and second.path.samefile(first.path)):
        raise UnreadableScanError(
            second.told, expected="a T2w beside the T1w", found="the T1w itself", do="Give the T2w, or leave it out."
        )
    return Case(*label, t1w=first.path, t2w=second.path, in_dataset=False)


def take(image: object, folder: Path, role: Role, name: str) -> Given:
    """Bring what was given into a file, and refuse now what no stage could use.

    Parameters
    ----------
    image : path, nibabel image or ANTs image
        A path may name a folder of DICOM files.
    folder : Path
        Gets the file where one has to be written.
    role : {"T1w", "T2w"}
    name : str
        Of the case, for the file's name.

    Raises
    ------
    ScanError
        The image cannot be used.
    SettingsError
        It is nothing of the kind.
    """
    given = _as_file(image, folder / f"{name}_{role}.nii.gz", role)
    try:
        read_scan(given.path)
    except InputError as error:
        raise given.named(error) from error
    return given


def _as_file(image: object, converted: Path, role: Role) -> Given:
    if isinstance(image, (str, os.PathLike)):
        path = Path(image).expanduser().absolute()
        if not path.is_dir():
            return Given(path, str(path))
        _refuse_other_folders(path)
        return Given(convert_series(path, converted), str(path))
    voxels_and_affine = _in_memory(image)
    if voxels_and_affine is None:
        raise SettingsError(f"{role}: expected {TAKEN}, found {type(image).__name__}")
    told = getattr(image, "get_filename", lambda: None)() or f"the {role} in memory"
    converted = converted.with_suffix("")  # not compressed: nobody keeps it
    converted.parent.mkdir(parents=True, exist_ok=True)
    _write(*voxels_and_affine, converted, str(told))
    return Given(converted, str(told))


def _refuse_other_folders(folder: Path) -> None:
    """A folder that is a dataset, or has images and no DICOM files, is refused by what it is."""
    names = sorted(path.name for path in folder.iterdir())
    images = [name for name in names if name.lower().endswith(EXTENSIONS)]
    if "dataset_description.json" in names or any(name.startswith("sub-") for name in names):
        raise UnreadableScanError(
            folder,
            expected="one scan",
            found="the folder of a dataset",
            do=f"Give one image, or the dataset to `cerebatch run {folder} OUT_DIR participant`.",
        )
    if images and len(images) == len(names):
        raise UnreadableScanError(
            folder,
            expected="an image, or a folder of DICOM files",
            found=f"a folder of images ({_some(images)})",
            do=f"Give one of them: {folder / images[0]}",
        )


def _some(names: Iterable[str]) -> str:
    first = list(names)
    return ", ".join(first[:_NAMED]) + (", ..." if len(first) > _NAMED else "")


def _in_memory(image: object) -> tuple[Any, Any] | None:
    """Voxels and affine of an image; None where it is none. Neither nibabel nor ants is imported for others."""
    module = type(image).__module__.partition(".")[0]
    if module == "ants" and hasattr(image, "direction"):
        return image.numpy(), affine_of(image)  # type: ignore[attr-defined]
    if hasattr(image, "dataobj") and hasattr(image, "affine"):
        return image, image.affine
    return None


def _write(voxels: Any, affine: Any, path: Path, told: str) -> None:
    """Write what is in memory as it is; its header tells whether it can be trusted."""
    import nibabel as nib
    import numpy as np

    if affine is None:
        raise UnreadableScanError(
            told,
            expected="an image with an affine",
            found="one without",
            do="Give the affine, voxel indices to millimetres (RAS): nibabel.Nifti1Image(data, affine).",
        )
    if isinstance(voxels, nib.Nifti1Image):  # NIfTI-2, too: slope, forms and type stay
        nib.save(voxels, path)
        return
    values = np.asanyarray(getattr(voxels, "dataobj", voxels))
    if values.dtype == np.int64:
        values = values.astype(np.float64)
    nib.save(nib.Nifti1Image(values, affine), path)
