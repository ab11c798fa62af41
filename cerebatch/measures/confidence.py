"""How sure the networks are of each structure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from cerebatch.labels import LABELS

COLUMNS = {
    "index": {"Description": "Code of the structure in the label map"},
    "name": {"Description": "Structure and side"},
    "probability": {"Description": "Mean probability of the structure inside it; 0 to 1"},
    "agreement": {"Description": "Dice of what each architecture says alone; n/a with one architecture"},
    "dice_with_atlas": {"Description": "Dice of the label map with the subject-specific atlas; n/a without a library"},
}
"""Columns of ``*_confidence.tsv``."""


def rows(said: Mapping[str, Sequence[float | None]]) -> Iterator[dict[str, object]]:
    """Rows of ``*_confidence.tsv``.

    Parameters
    ----------
    said : mapping
        Column -> its 26 values in the order of the codes, as `segment_by_networks` writes them; None: not known.
    """
    for place, label in enumerate(LABELS):
        figures = {column: values[place] for column, values in said.items()}
        known = {column: "n/a" if value is None else f"{value:.4f}" for column, value in figures.items()}
        yield {"index": label.index, "name": label.name} | known
