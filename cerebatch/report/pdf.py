"""The same page as PDF, where WeasyPrint and Pango are installed."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

HOW_TO_GET_THEM = (
    "No PDFs were written: WeasyPrint is not installed (`pip install 'cerebatch[pdf]'`) or does not find Pango. On "
    "Debian and Ubuntu install libpango-1.0-0, libpangoft2-1.0-0 and libharfbuzz-subset0, with conda weasyprint, on "
    "macOS pango by Homebrew; or print the pages from a browser."
)


@cache
def can_write_pdf() -> bool:
    """Whether WeasyPrint and the libraries that it needs are there."""
    try:
        import weasyprint  # noqa: F401
    except (ImportError, OSError):
        return False
    return True


def write_pdf(html: str, path: Path) -> None:
    """Write a page as PDF.

    Parameters
    ----------
    html : str
        A page that needs nothing from elsewhere.
    path : Path
    """
    from weasyprint import HTML

    # It says in its log what CSS of the screen it does not know.
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    HTML(string=html).write_pdf(path)
