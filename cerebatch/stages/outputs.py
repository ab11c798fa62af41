"""Where the files of one case lie and what they are called, by BIDS derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cerebatch.io.bids import Case, output_name
from cerebatch.spatial.space import RESOLUTIONS, TEMPLATE_SPACE


@dataclass(frozen=True)
class Outputs:
    """Paths of what `measure` writes.

    Attributes
    ----------
    case : Case
    folder : Path
        Gets ``anat/`` and ``figures/``.
    resolution : float
        Edge of the MNI grid in millimetres.
    """

    case: Case
    folder: Path
    resolution: float

    @property
    def on_mni(self) -> dict[str, str]:
        """Entities of a file on the MNI grid."""
        return {"space": TEMPLATE_SPACE, "res": RESOLUTIONS[str(float(self.resolution))]}

    def make_folders(self) -> None:
        """Make both folders, which are not there yet."""
        for kind in ("anat", "figures"):
            (self.folder / kind).mkdir()

    def native(self, suffix: str, extension: str, **entities: str) -> Path:
        """A file in the frame of the scan, or in none; entities as `io.bids.output_name` takes them."""
        return self.folder / "anat" / output_name(self.case, suffix, extension, **entities)

    def mni(self, suffix: str, extension: str, **entities: str) -> Path:
        """A file on the MNI grid."""
        return self.native(suffix, extension, **entities, **self.on_mni)

    def figure(self, suffix: str, **entities: str) -> Path:
        """A picture."""
        return self.folder / "figures" / output_name(self.case, suffix, ".png", **entities)
