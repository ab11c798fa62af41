"""The scans of the maps' people out of their archives, named so that a build finds them.

What the two archives hold is known from their names alone: nobody could open them where this was written. So an
image belongs to a person if the person's number is the only one of the maps' in its name, and whatever does not come
out as one T1w and one T2w a person is told and left out.
"""

from __future__ import annotations

import re
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import nibabel as nib

from cerebatch.errors import DownloadError

_IMAGE = re.compile(r"\.(mnc|nii|nii\.gz)$", re.IGNORECASE)
_PERSON = re.compile(r"(?:brain|subject|sub)[-_ ]?0*(\d+)", re.IGNORECASE)
_CONTRASTS = {"t1": "T1w", "t2": "T2w"}


def scans_of_archives(archives: Sequence[Path], folder: Path, tell: Callable[[str], None]) -> Path | None:
    """Unpack ``brainN_T1w.nii.gz`` and ``brainN_T2w.nii.gz`` of each person that has one of each.

    Parameters
    ----------
    archives : sequence of Path
        Named after their contrast: ``t1`` or ``t2`` in the name.
    folder : Path
    tell : callable
        Gets a line about each person that is left out.

    Returns
    -------
    folder : Path or None
        None where nobody has both.

    Raises
    ------
    DownloadError
        An archive cannot be read.
    """
    found: dict[str, dict[str, tuple[Path, str]]] = {}
    for archive in archives:
        contrast = next((name for part, name in _CONTRASTS.items() if part in archive.name.lower()), None)
        if contrast is None:
            tell(f"left out: {archive.name}: neither t1 nor t2 in its name")
            continue
        for person, members in _images_by_person(archive).items():
            if len(members) > 1:
                tell(f"left out: {archive.name}: several images of {person}: {', '.join(members)}")
            else:
                found.setdefault(person, {})[contrast] = (archive, members[0])
    whole = {person: images for person, images in found.items() if len(images) == len(_CONTRASTS)}
    for person in sorted(found.keys() - whole.keys()):
        tell(f"left out: {person}: only a {next(iter(found[person]))}")
    if not whole:
        tell("no person of the maps has a T1w and a T2w in the archives: the library is built without scans")
        return None
    for person, images in sorted(whole.items()):
        for contrast, (archive, member) in images.items():
            _convert(archive, member, folder / f"{person}_{contrast}.nii.gz")
    return folder


def _images_by_person(archive: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    try:
        with tarfile.open(archive) as members:
            for member in members:
                name = PurePosixPath(member.name).name
                numbers = set(_PERSON.findall(name))
                if member.isfile() and _IMAGE.search(name) and len(numbers) == 1:
                    found.setdefault(f"brain{int(numbers.pop())}", []).append(member.name)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise _broken(archive, error) from error
    return found


def _convert(archive: Path, member: str, path: Path) -> None:
    """One image as NIfTI; one that is there already is left."""
    if path.exists():
        return
    ending = _IMAGE.search(member)
    assert ending is not None
    with tempfile.TemporaryDirectory(prefix="cerebatch-") as name:
        unpacked = Path(name) / f"image.{ending[1].lower()}"
        try:
            with tarfile.open(archive) as members:
                source = members.extractfile(member)
                assert source is not None
                with unpacked.open("wb") as target:
                    shutil.copyfileobj(source, target)
            image = nib.load(unpacked)
            converted = nib.Nifti1Image(image.get_fdata(dtype="float32"), image.affine)
        except Exception as error:  # nibabel lets anything through
            raise _broken(archive, error) from error
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}")
        nib.save(converted, unfinished)
        unfinished.replace(path)


def _broken(archive: Path, error: Exception) -> DownloadError:
    return DownloadError(
        archive, expected="an archive of images that can be read", found=type(error).__name__,
        do=f"Delete it and {archive.name}.sha256, and run the same command again; or go without --with-scans.",
    )  # fmt: skip
