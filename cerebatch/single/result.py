"""What came of one scan, for Python: label map, volumes, quality, and all of it into a folder."""

from __future__ import annotations

import shutil
import weakref
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cerebatch.errors import DatasetError
from cerebatch.report.pages import FOLDER, Order, write_page
from cerebatch.report.result import Person, Result, Row, read_result

if TYPE_CHECKING:
    from nibabel.spatialimages import SpatialImage
    from pandas import DataFrame


class Segmentation:
    """A segmented scan.

    Parameters
    ----------
    name : str
        Of the case, ``sub-X``.
    folder : Path
        All outputs, as `cerebatch run` writes them; removed when this object goes.
    case_folder : Path
        That holds ``anat/``, in it.
    """

    def __init__(self, name: str, folder: Path, case_folder: Path) -> None:
        self.name = name
        self._folder = folder
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._case_folder = case_folder
        self._result: Result = read_result(name, case_folder)

    def __repr__(self) -> str:
        whole = self._result.volume("cerebellum", "both")["volume_cm3"]
        return f"<Segmentation of {self.name}: cerebellum {float(whole):.1f} cm3, quality {self.rating}>"

    @cached_property
    def labels(self) -> SpatialImage:
        """Label map on the scan's own grid; `cerebatch.LABELS` has the codes."""
        return self._image("seg-lobules_dseg")

    @cached_property
    def labels_mni(self) -> SpatialImage:
        """Label map on the template, in the cerebellum box."""
        return self._image("space-*_seg-lobules_res-*[0-9]_dseg")

    @cached_property
    def probabilities(self) -> SpatialImage | None:
        """Probability of background and of each label, in the order of their codes, on the grid of `labels_mni`.

        None where none were asked for, and with the method atlas.
        """
        return self._image("space-*_seg-lobules_res-*[0-9]_probseg")

    @cached_property
    def volumes(self) -> DataFrame:
        """Structures, lobes and the whole, each left, right and both: cm3, per cent of ICV, asymmetry."""
        return _frame(self._result.volumes)

    @cached_property
    def quality(self) -> DataFrame:
        """Metrics of quality; `rating` and `flags` say what they mean."""
        return _frame(self._result.quality)

    @cached_property
    def confidence(self) -> DataFrame | None:
        """How sure the networks are of each structure; None with the method atlas."""
        return _frame(self._result.confidence) if self._result.confidence else None

    @property
    def rating(self) -> str:
        """A, B or C."""
        return str(self._result.rating["Rating"])

    @property
    def flags(self) -> list[str]:
        """What is wrong with the scan or its labels, a sentence each."""
        return [flag["Message"] for flag in self._result.rating["Flags"]]

    @property
    def warnings(self) -> list[str]:
        """What is unusual about the scan, a sentence each."""
        return list(self._result.sidecar["Warnings"])

    @property
    def icv_cm3(self) -> float:
        """Intracranial volume."""
        return float(self._result.icv["VolumeCM3"])

    @property
    def information(self) -> dict[str, Any]:
        """Method, weights, settings and versions: the sidecar of the label map."""
        return dict(self._result.sidecar)

    def save(self, folder: Path | str, *, pdf: bool = False) -> Path:
        """Write all files and the page, as `cerebatch segment` does.

        Parameters
        ----------
        folder : Path or str
            Made where it is not there. May hold results of other scans.
        pdf : bool
            Write the page as PDF, too.

        Returns
        -------
        page : Path
            HTML.

        Raises
        ------
        DatasetError
            The folder has results under this name already, or the page could not be written.
        """
        out, source = Path(folder).expanduser().absolute(), self._folder
        case_folder = out / self._case_folder.relative_to(source)
        if (case_folder / "anat").exists():
            raise DatasetError(
                out, expected=f"no results of {self.name} yet", found="such results",
                do="Give another folder, or segment with another name=.",
            )  # fmt: skip
        shutil.copytree(source, out, dirs_exist_ok=True)
        (out / FOLDER).mkdir(exist_ok=True)
        written = write_page(Order(self.name, case_folder, out / FOLDER, Person(), pdf=pdf))
        if written.reason:
            raise DatasetError(out, expected="a page", found="none", do=written.reason)
        return out / FOLDER / f"{self.name}.html"

    def _image(self, what: str) -> Any:
        """An image of the outputs, read into memory; None where there is none."""
        import nibabel as nib
        import numpy as np

        paths = [
            path
            for path in (self._case_folder / "anat").glob(f"{self.name}_{what}.nii.gz")
            if "_desc-" not in path.name
        ]
        if not paths:
            return None
        image = nib.load(paths[0])
        return nib.Nifti1Image(np.asanyarray(image.dataobj), image.affine, image.header)


def _frame(rows: list[Row]) -> DataFrame:
    """Rows as a table; n/a is missing, figures are numbers."""
    import pandas as pd

    table = pd.DataFrame(rows).replace("n/a", float("nan"))
    for column in table:
        numbers = pd.to_numeric(table[column], errors="coerce")
        if numbers.notna().sum() == table[column].notna().sum():
            table[column] = numbers
    return table
