"""Pictures of labels on the prepared scan: planes, mosaic and thumbnail, as data URIs."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cerebatch.io.images import read_grid, read_stored, read_voxels
from cerebatch.labels import LABELS
from cerebatch.spatial.space import RESOLUTIONS, TEMPLATE_SPACE, Grid, LabelMap, Volume, inverse

PLANES = ("sagittal", "coronal", "axial")
PLANES_AT_MM = (8.0, -62.0, -34.0)
MOSAIC_AT_MM: dict[str, tuple[float, ...]] = {
    "coronal": (-82.0, -74.0, -66.0, -58.0, -50.0, -42.0),
    "axial": (-54.0, -46.0, -38.0, -30.0, -22.0, -14.0),
    "sagittal": (-40.0, -24.0, -8.0, 8.0, 24.0, 40.0),
}
"""Slices of the mosaic, MNI millimetres along the normal of each plane."""

_BRIGHTEST = 330.0
_INK = 0.42
_MARGIN_MM = 6.0

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Slice:
    """One picture of a page.

    Attributes
    ----------
    uri : str
        ``data:image/webp;base64,...``
    words : str
        What it shows, for those who do not see it.
    caption : str
    width, height : int
        Pixels.
    """

    uri: str
    words: str
    caption: str
    width: int
    height: int


@dataclass(frozen=True)
class Images:
    """The prepared scan and its labels on the cerebellum box."""

    t1w: Volume
    dseg: LabelMap
    grid: Grid

    @classmethod
    def of(cls, name: str, anat: Path, resolution: float) -> Images:
        """Read the two images of a finished case.

        Parameters
        ----------
        name : str
        anat : Path
        resolution : float
            Edge of the MNI grid in millimetres.
        """
        res = RESOLUTIONS[str(resolution)]
        labels = anat / f"{name}_space-{TEMPLATE_SPACE}_seg-lobules_res-{res}_dseg.nii.gz"
        scan = anat / f"{name}_space-{TEMPLATE_SPACE}_res-{res}_desc-preproc_T1w.nii.gz"
        return cls(read_voxels(scan), read_stored(labels).astype(np.uint8), read_grid(labels))

    def cropped(self) -> Images:
        """The part around the labels, the same on both sides of the midline."""
        found = np.argwhere(self.dseg > 0)
        if not len(found):
            return self
        margin = int(np.ceil(_MARGIN_MM / self.grid.voxel_sizes_mm[0]))
        low = np.maximum(found.min(axis=0) - margin, 0)
        high = np.minimum(found.max(axis=0) + margin + 1, self.dseg.shape)
        x, y, z = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        return Images(self.t1w[x, y, z], self.dseg[x, y, z], self.grid.block((x, y, z)))


def planes(images: Images, pixels_a_mm: float = 4.0) -> list[tuple[Slice, Slice]]:
    """Each of the three planes, plain and with labels.

    Parameters
    ----------
    images : Images
    pixels_a_mm : float
    """
    shown = images.cropped()
    return [
        tuple(_slice(shown, axis, at_mm, pixels_a_mm, labels=labels, quality=82) for labels in (False, True))  # type: ignore[misc]
        for axis, at_mm in enumerate(PLANES_AT_MM)
    ]


def mosaic(images: Images, pixels_a_mm: float = 1.8) -> list[Slice]:
    """Slices through the whole cerebellum with labels.

    Parameters
    ----------
    images : Images
    pixels_a_mm : float
    """
    shown = images.cropped()
    return [
        _slice(shown, PLANES.index(plane), at_mm, pixels_a_mm, labels=True, quality=72)
        for plane, positions in MOSAIC_AT_MM.items()
        for at_mm in positions
    ]


def thumbnail(images: Images, pixels_a_mm: float = 0.9) -> str:
    """Three planes with labels side by side, small, as a data URI.

    Parameters
    ----------
    images : Images
    pixels_a_mm : float
    """
    shown = images.cropped()
    parts = [_drawn(shown, axis, at_mm, pixels_a_mm, labels=True) for axis, at_mm in enumerate(PLANES_AT_MM)]
    tallest = max(part.shape[0] for part in parts)
    padded = [np.pad(part, ((0, tallest - part.shape[0]), (0, 2), (0, 0))) for part in parts]
    return _uri(np.concatenate(padded, axis=1), quality=55)


def _slice(images: Images, axis: int, at_mm: float, pixels_a_mm: float, *, labels: bool, quality: int) -> Slice:
    picture = _drawn(images, axis, at_mm, pixels_a_mm, labels=labels)
    caption = f"{'xyz'[axis]} = {at_mm:g} mm"
    how = "lobules in colour" if labels else "without labels"
    words = f"{PLANES[axis].capitalize()} slice of the cerebellum, {how}, {caption}"
    return Slice(_uri(picture, quality), words, caption, picture.shape[1], picture.shape[0])


def _drawn(images: Images, axis: int, at_mm: float, pixels_a_mm: float, *, labels: bool) -> Picture:
    """One slice as pixels (rows, columns, 3), the person's left on the left, top above, front to the right."""
    from PIL import Image

    middle = np.zeros(4)
    middle[axis], middle[3] = at_mm, 1.0
    index = int(np.clip(np.round((inverse(images.grid.affine) @ middle)[axis]), 0, images.dseg.shape[axis] - 1))
    gray = np.take(images.t1w, index, axis=axis).T[::-1]
    codes = np.take(images.dseg, index, axis=axis).T[::-1]
    factor = pixels_a_mm * images.grid.voxel_sizes_mm[0]
    size = (round(gray.shape[1] * factor), round(gray.shape[0] * factor))
    shades = np.clip(gray / _BRIGHTEST, 0.0, 1.0) ** 0.9 * 255
    base = np.asarray(Image.fromarray(shades.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC))
    picture = np.repeat(base[..., None], 3, axis=2).astype(np.float32)
    if labels:
        large = np.asarray(Image.fromarray(codes).resize(size, Image.Resampling.NEAREST))
        colours = _colours()[large]
        picture = np.where((large > 0)[..., None], (1 - _INK) * picture + _INK * colours, picture)
        edge = _outline(large)
        picture[edge] = 0.15 * picture[edge] + 0.85 * _colours()[np.maximum(large, _neighbour(large))][edge]
    return np.clip(np.rint(picture), 0, 255).astype(np.uint8)


def _outline(codes: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels whose right or lower neighbour has another label."""
    edge = np.zeros(codes.shape, dtype=bool)
    edge[:, :-1] |= codes[:, :-1] != codes[:, 1:]
    edge[:-1] |= codes[:-1] != codes[1:]
    return edge


def _neighbour(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The larger code of the right and lower neighbours: an outline against background has a colour, too."""
    right, below = np.zeros_like(codes), np.zeros_like(codes)
    right[:, :-1], below[:-1] = codes[:, 1:], codes[1:]
    return np.maximum(right, below)


@cache
def _colours() -> NDArray[np.float32]:
    """Colour of every code, (27, 3), 0 to 255."""
    table = [[0, 0, 0], *([int(label.color[k : k + 2], 16) for k in (1, 3, 5)] for label in LABELS)]
    return np.array(table, dtype=np.float32)


def _uri(picture: Picture, quality: int) -> str:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "WEBP", quality=quality, method=4)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


def legend() -> Sequence[tuple[str, str]]:
    """Structure and colour (of the left side; the right one is a shade darker)."""
    return [(label.structure, label.color) for label in LABELS if label.side == "left"]
