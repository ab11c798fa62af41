"""Other tools' and raters' label maps: which of their codes and which of our labels are the same region.

Each protocol is a table in `protocol_tables/`, a row a code of one map (``other`` or ``cerebatch``), the region it
belongs to and what that region is:

    cortex, white matter    scored by region
    group                   the other map draws apart what we split (the vermis): left out of regions and names, part of
                            the whole; the rows of ours tell which lobules are rightly named there
    left out                taken out of both maps wherever the one that has the code has it
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cerebatch.errors import LabelMapError, SettingsError
from cerebatch.io.labelmaps import read_codes
from cerebatch.labels import N_CLASSES
from cerebatch.spatial.space import Affine, Grid, LabelMap, cerebellum_box, inverse, resample_labels

PROTOCOLS = ("cerebnet", "manual-outline", "freesurfer", "suit")
"""CerebNet (Faber et al. 2022), the outlines of the MICCAI 2012 challenge, FreeSurfer's aseg, and SUIT."""

LEFT_OUT = 255
"""Number of what is taken out of both maps."""

_KINDS = ("cortex", "white matter", "group")


@dataclass(frozen=True)
class MergedRegion:
    """What both maps draw, or a group that only the other map draws.

    Attributes
    ----------
    number : int
        From 1 on, in the order of the table.
    name : str
        "left Crus I".
    kind : {"cortex", "white matter", "group"}
    ours : tuple of int
        Cerebatch codes: of the region, or of what is rightly named in a group.
    """

    number: int
    name: str
    kind: str
    ours: tuple[int, ...]


@dataclass(frozen=True)
class Protocol:
    """How two label maps are laid over each other.

    Attributes
    ----------
    name : str
        One of `PROTOCOLS`.
    regions : tuple of MergedRegion
        Groups included.
    other : dict
        The other map's code -> number of its region, or `LEFT_OUT`.
    ours_left_out : tuple of int
        Cerebatch codes that the other map cannot answer.
    """

    name: str
    regions: tuple[MergedRegion, ...]
    other: dict[int, int]
    ours_left_out: tuple[int, ...]

    def of_kind(self, kind: str) -> tuple[MergedRegion, ...]:
        """Regions of one kind."""
        return tuple(region for region in self.regions if region.kind == kind)

    def numbers(self, kind: str) -> list[int]:
        """Numbers of the regions of one kind."""
        return [region.number for region in self.of_kind(kind)]

    def merge_other(self, codes: NDArray[np.integer]) -> LabelMap:
        """Codes of the other map -> numbers of regions; other codes (the rest of a brain) become background.

        Parameters
        ----------
        codes : (X, Y, Z) integer
        """
        top = max(self.other)
        table = np.zeros(top + 1, dtype=np.uint8)
        table[list(self.other)] = list(self.other.values())
        merged: LabelMap = table[np.where((codes < 0) | (codes > top), 0, codes)]
        return merged

    def merge_ours(self, dseg: LabelMap) -> LabelMap:
        """Cerebatch codes -> numbers of regions; groups are none of them.

        Parameters
        ----------
        dseg : (X, Y, Z) uint8
        """
        return self._of_ours[dseg]

    @cached_property
    def _of_ours(self) -> LabelMap:
        table = np.zeros(N_CLASSES, dtype=np.uint8)
        for region in self.regions:
            if region.kind != "group":
                table[list(region.ours)] = region.number
        table[list(self.ours_left_out)] = LEFT_OUT
        return table

    def read(self, path: Path) -> tuple[LabelMap, Grid]:
        """Read a map of the other tool.

        Parameters
        ----------
        path : Path

        Returns
        -------
        merged : (X, Y, Z) uint8
            Numbers of regions.
        grid : Grid
            In the frame of the file.

        Raises
        ------
        LabelMapError
            No label map, or none of the protocol's codes in it.
        """
        codes, grid = read_codes(path)
        merged = self.merge_other(codes)
        if not merged.any():
            listed = sorted(self.other)
            raise LabelMapError(
                path,
                expected=f"codes of the protocol {self.name} ({', '.join(map(str, listed[:8]))} ...)",
                found=f"codes {int(codes.min())} to {int(codes.max())} and none of these",
                do=f"Give the map of that tool, or another --protocol ({', '.join(PROTOCOLS)}).",
            )
        return merged, grid


@lru_cache(maxsize=len(PROTOCOLS))
def read_protocol(name: str) -> Protocol:
    """Read a protocol's table.

    Parameters
    ----------
    name : str
        One of `PROTOCOLS`.

    Raises
    ------
    SettingsError
        No such protocol.

    Examples
    --------
    >>> [region.name for region in read_protocol("manual-outline").of_kind("group")]
    ['vermis I-V', 'vermis VI-VII', 'vermis VIII-X']
    """
    if name not in PROTOCOLS:
        raise SettingsError(f"--protocol {name}: expected one of {', '.join(PROTOCOLS)}.")
    text = resources.files("cerebatch.evaluation").joinpath(f"protocol_tables/{name}.tsv").read_text()
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    kinds: dict[str, str] = {}
    for row in rows:
        if row["kind"] in _KINDS:
            kinds.setdefault(row["region"], row["kind"])

    def codes(which: str, region: str) -> tuple[int, ...]:
        return tuple(int(row["code"]) for row in rows if row["map"] == which and row["region"] == region)

    regions = tuple(
        MergedRegion(number, region, kind, codes("cerebatch", region))
        for number, (region, kind) in enumerate(kinds.items(), start=1)
    )
    other = {code: region.number for region in regions for code in codes("other", region.name)}
    other |= dict.fromkeys(codes("other", ""), LEFT_OUT)
    return Protocol(name, regions, other, codes("cerebatch", ""))


def in_box(merged: LabelMap, grid: Grid, mni_from_native: Affine, resolution: float = 1.0) -> LabelMap:
    """A merged map on the cerebellum box, by the vote of `space.resample_labels`.

    Parameters
    ----------
    merged : (X, Y, Z) uint8
        Of `Protocol.read`.
    grid : Grid
        Native.
    mni_from_native : (4, 4) float
        What `prepare` found (`stages.prepare.Prepared.affine`).
    resolution : float
        Edge of the box's voxels in millimetres.
    """
    return resample_labels(merged, grid, cerebellum_box(resolution), inverse(mni_from_native))
