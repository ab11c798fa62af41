"""A folder of DICOM files becomes one NIfTI image, by dcm2niix."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from cerebatch.errors import InputError, InstallationError, UnreadableScanError

SERIES = "a folder with the DICOM files of one series"

_AT_MOST_NAMED = 6
_SECONDS = 600
_LAST_LINE = 300


def convert_series(folder: Path, image: Path) -> Path:
    """Convert the one series of a folder.

    Parameters
    ----------
    folder : Path
        Holds the DICOM files of one series, also in folders below.
    image : Path
        ``.nii.gz`` to write; its folder is made. The sidecar of dcm2niix, which names nobody, comes beside it.

    Returns
    -------
    image : Path

    Raises
    ------
    UnreadableScanError
        No image in the folder, or several.
    InstallationError
        dcm2niix is not there.
    """
    if folder.is_dir() and not any(path.is_file() for path in folder.rglob("*")):
        raise UnreadableScanError(folder, expected=SERIES, found="no files", do="Check the path.")
    program = _dcm2niix()
    try:
        image.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            image.parent, expected="a folder that can be written", found=str(error.strerror), do="Give another folder."
        ) from error
    with tempfile.TemporaryDirectory(dir=image.parent, prefix=".dicom-") as made:
        # -b y: a sidecar; -ba y: without names; -z y: compressed; -x n: nothing cropped; -m y: one stack a series
        command = [program, "-b", "y", "-ba", "y", "-z", "y", "-x", "n", "-m", "y", "-f", "%s_%d_%z", "-o", made]
        said = _run([*command, str(folder)], folder)
        found = sorted(Path(made).glob("*.nii.gz"))
        if len(found) != 1:
            raise _not_one(folder, found, said)
        sidecar = found[0].with_name(found[0].name.removesuffix(".nii.gz") + ".json")
        if sidecar.exists():
            sidecar.replace(image.with_name(image.name.removesuffix(".nii.gz") + ".json"))
        found[0].replace(image)
    return image


def _dcm2niix() -> str:
    """Path of the program: that of the Python package, else one on the path."""
    try:
        import dcm2niix
    except ImportError:
        found = shutil.which("dcm2niix")
        if found is None:
            raise InstallationError(
                "a folder of DICOM files: expected dcm2niix, which converts them, found none. Install it with "
                "`pip install dcm2niix`, or give a NIfTI file."
            ) from None
        return found
    return str(dcm2niix.bin)


def _run(command: list[str], folder: Path) -> str:
    """Standard output and error of dcm2niix; its exit status says little, for it differs where there is nothing."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=_SECONDS,
            env=os.environ | {"LC_ALL": "C"},
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise UnreadableScanError(
            folder, expected=SERIES, found=f"so much that dcm2niix was not done after {_SECONDS} s",
            do="Give the folder of the T1-weighted series alone.",
        ) from error  # fmt: skip
    except OSError as error:
        raise InstallationError(f"{command[0]}: expected dcm2niix, found {error.strerror}. Install it anew.") from error
    return done.stdout + done.stderr


def _not_one(folder: Path, found: list[Path], said: str) -> UnreadableScanError:
    if found:
        names = ", ".join(path.name.removesuffix(".nii.gz") for path in found[:_AT_MOST_NAMED])
        more = ", ..." if len(found) > _AT_MOST_NAMED else ""
        return UnreadableScanError(
            folder,
            expected=SERIES,
            found=f"{len(found)} images: {names}{more} (number, name and sequence of each series)",
            do="Give the folder of the T1-weighted series alone, or convert them with dcm2niix and choose one.",
        )
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("Conversion required")]
    last = f"; dcm2niix said last: {lines[-1][:_LAST_LINE]}" if lines else ""
    return UnreadableScanError(
        folder, expected=SERIES, found=f"none that can be converted{last}",
        do="Give the folder of one series, or a NIfTI file; a BIDS dataset goes to `cerebatch run`.",
    )  # fmt: skip
