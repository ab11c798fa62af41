"""Where labels come from, checked before any case needs it: weights, a library, a labelled case."""

from __future__ import annotations

from pathlib import Path

from cerebatch.errors import LibraryError, WeightsError


def checked_weights(weights: Path | None, resolution: float) -> Path:
    """The folder of the networks of a run.

    Raises
    ------
    SettingsError, WeightsError
        There are none of the resolution, or they cannot be used.
    """
    from cerebatch.networks.folder import read_cards, shipped_weights

    folder = weights or shipped_weights(resolution)
    found = read_cards(folder)[0].resolution_mm
    if found != resolution:
        raise WeightsError(
            folder,
            expected=f"weights for {resolution} mm",
            found=f"weights for {found} mm",
            do=f"Run with --resolution {found}, or with --method atlas.",
        )
    return folder


def check_labels(library: Path | None, labelled_case: Path | None, resolution: float) -> None:
    """Refuse now what would fail every case."""
    if labelled_case is not None:
        from cerebatch.stages.segment import read_labelled_case

        read_labelled_case(labelled_case)
    if library is not None:
        from cerebatch.library.store import open_library

        found = open_library(library).resolution
        if found != resolution:
            raise LibraryError(
                library,
                expected=f"a library of {resolution} mm",
                found=f"one of {found} mm",
                do=f"Run with --resolution {found}, or build a library of {resolution} mm.",
            )
