"""The exceptions of cerebatch.

CerebatchError
├── InputError              a file that a user gave cannot be used; names the file and the way out
│   ├── ScanError           one image
│   │   ├── UnreadableScanError     missing, truncated, no image at all
│   │   ├── ScanGeometryError       axes, orientation, voxel size or field of view
│   │   └── ScanVoxelError          the values of the voxels
│   ├── DatasetError        a BIDS dataset, its participants or filters
│   ├── LabelMapError       a label map outside the protocol or outside the box
│   ├── LibraryError        a library of labelled cases cannot be used
│   ├── DownloadError       a published file does not come, or is not what its digest says
│   └── WeightsError        weights of a network or their card cannot be used
├── SettingsError           settings that contradict each other or the machine
├── StageError              a stage ran and what it made cannot be trusted
│   └── RegistrationError   an affine that no head can have
├── QueueError              a command of the batch scheduler did not do what it should
├── ActorLostError          an actor with networks ended between calls; another may do better
├── ActorUnfitError         an actor with networks cannot start, and no other could
└── InstallationError       the compiled kernels or the template are not there
"""

from __future__ import annotations

from pathlib import Path


class CerebatchError(Exception):
    """Root of everything that cerebatch raises on purpose."""


class InputError(CerebatchError):
    """A file that a user gave cannot be used.

    Parameters
    ----------
    path : Path or str
        The file or folder.
    expected : str
        What would have been accepted.
    found : str
        What is there instead.
    do : str
        What the user can do about it, as a sentence.
    """

    def __init__(self, path: Path | str, *, expected: str, found: str, do: str) -> None:
        self.path = Path(path)
        self.expected = expected
        self.found = found
        self.do = do
        super().__init__(f"{path}: expected {expected}, found {found}. {do}")

    @property
    def reason(self) -> str:
        """The message without the path, as sentences."""
        return f"Expected {self.expected}, found {self.found}. {self.do}"

    def __reduce__(self) -> tuple[object, ...]:
        # Errors travel from worker processes to the driver; keyword-only arguments need help.
        return _rebuild, (type(self), self.path, self.expected, self.found, self.do)


def _rebuild(kind: type[InputError], path: Path, expected: str, found: str, do: str) -> InputError:
    return kind(path, expected=expected, found=found, do=do)


class ScanError(InputError):
    """One image cannot be used."""


class UnreadableScanError(ScanError):
    """The image is missing, truncated or no image at all."""


class ScanGeometryError(ScanError):
    """Axes, orientation, voxel size or field of view cannot be used."""


class ScanVoxelError(ScanError):
    """The values of the voxels cannot be used."""


class DatasetError(InputError):
    """A BIDS dataset, its participants or a filter cannot be used."""


class LabelMapError(InputError):
    """A label map holds codes outside the protocol or voxels outside the box."""


class LibraryError(InputError):
    """A library of labelled cases cannot be used."""


class DownloadError(InputError):
    """A published file does not come, is not what its digest says, or cannot be kept.

    Parameters
    ----------
    path : str or Path
        Its address, or where it should lie.
    expected, found, do : str
    final : bool
        Whether asking again cannot help.
    """

    def __init__(self, path: Path | str, *, expected: str, found: str, do: str, final: bool = False) -> None:
        super().__init__(path, expected=expected, found=found, do=do)
        self.final = final


class WeightsError(InputError):
    """Weights of a network, or the card beside them, cannot be used."""


class SettingsError(CerebatchError):
    """Settings contradict each other or the machine."""


class StageError(CerebatchError):
    """A stage ran and what it made cannot be trusted."""


class RegistrationError(StageError):
    """The affine to the template is one that no head can have."""


class QueueError(CerebatchError):
    """A command of the batch scheduler did not do what it should."""


class ActorLostError(CerebatchError):
    """An actor ended between calls; another may do better."""


class ActorUnfitError(CerebatchError):
    """An actor cannot start, and no other could."""


class InstallationError(CerebatchError):
    """A part of the installation is missing."""
