"""Heads of blocks on the fine box, in memory: a library of 0.5 mm on disk would take a minute to write."""

from __future__ import annotations

from typing import cast

import numpy as np

from cerebatch.labels import WHITE_MATTER, white_matter_of
from cerebatch.library.store import Library
from cerebatch.library.tissues import TISSUES
from cerebatch.spatial.space import LabelMap, Volume, cerebellum_box
from cerebatch.training.geometry import FINE_MM

BOX = cerebellum_box(1.0)
FINE = cerebellum_box(FINE_MM).shape


class Heads:
    """What `Geometries` asks of a library: of each person a case, and its twin, in head h1.

    Person N's lobules are 12 slabs a side, from the front to the back, N voxels further on; a sheet of arbor vitae lies
    in each, and a core in the middle.
    """

    path, resolution = "LIB.zarr", FINE_MM

    def __init__(self, people: int = 3) -> None:
        numbers = range(1, people + 1)
        self.persons = [f"person-{n}" for n in numbers for _ in range(2)]
        self.heads = ["h1"] * len(self.persons)
        self.mirrored = [twin for _ in numbers for twin in (False, True)]
        self.rendered = [True] * len(self.persons)

    def lobules(self, index: int) -> LabelMap:
        """Lobules with their white matter, and the core."""
        shift = int(self.persons[index].removeprefix("person-"))
        found = np.zeros(FINE, dtype=np.uint8)
        for label in range(1, 13):
            slab = slice(30 + 8 * label + shift, 38 + 8 * label + shift)
            found[80:144, slab, 50:110], found[144:208, slab, 50:110] = label, label + 13
        found[110:144, 70:110, 70:90], found[144:178, 70:110, 70:90] = WHITE_MATTER
        return found

    def dseg(self, index: int) -> LabelMap:
        """The same with the arbor vitae as white matter."""
        found = self.lobules(index)
        sheet = np.zeros(FINE, dtype=bool)
        sheet[84:204, :, 76:84] = True
        return np.where(sheet, white_matter_of(found), found).astype(np.uint8)

    def tissue(self, index: int) -> LabelMap:
        """Fat around fluid around grey matter."""
        shares = np.zeros((len(TISSUES), *FINE), dtype=np.uint8)
        fat = np.ones(FINE, dtype=bool)
        fat[20:-20, 10:-10, 10:-10] = False
        inside = self.lobules(index) > 0
        shares[TISSUES.index("fat")] = 255 * fat
        shares[TISSUES.index("GM")] = 255 * inside
        shares[TISSUES.index("CSF")] = 255 * (~fat & ~inside)
        return shares


def library_of(people: int = 3) -> Library:
    """For `Geometries`."""
    return cast(Library, Heads(people))


def t1w_of(labelled: LabelMap) -> Volume:
    """Grey where there is a label."""
    return np.where(labelled > 0, 150, 0).astype(np.float32)
