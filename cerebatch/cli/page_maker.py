"""The page of a case as work of the place where its last stage ran."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cerebatch.report.case_table import Layout


@dataclass(frozen=True)
class PageMaker:
    """Writes a page when it is called.

    Attributes
    ----------
    name : str
        Of the case.
    case_folder : Path
        That holds its ``anat/``.
    out, bids_dir : Path
        Folder of the run; dataset whose tables tell who was scanned.
    norms : Path or None
    layout : {"tidy", "ceres"}
    pdf : bool
        Where PDFs can be written.
    """

    name: str
    case_folder: Path
    out: Path
    bids_dir: Path
    norms: Path | None
    layout: Layout
    pdf: bool

    def __call__(self) -> str:
        """Write it, unless it is there already and nothing changed; gives why it could not be, or nothing."""
        from cerebatch.report.pages import FOLDER, Order, write_page
        from cerebatch.report.pdf import can_write_pdf
        from cerebatch.report.people import people_of

        (self.out / FOLDER).mkdir(exist_ok=True)
        person = people_of(self.bids_dir, [self.name])[self.name]
        pdf = self.pdf and can_write_pdf()
        written = write_page(
            Order(self.name, self.case_folder, self.out / FOLDER, person, self.norms, self.layout, pdf)
        )
        return f"no page: {written.reason}" if written.reason else ""
