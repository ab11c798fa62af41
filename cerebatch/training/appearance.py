"""From a geometry to a T1w, perhaps a T2w, and what is true of them.

What an image must not do is draw the answer. White matter inside the lobules is grown by the library away from their
neighbours, so that it outlines them where no fissure is seen; therefore in half of the images it is blind to labels: it
lies where fluid is far, whatever lobule that is. Real grey matter is no peak: unresolved folia make it a broad mixture.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cerebatch.labels import WHITE_MATTER, mirrored
from cerebatch.library.tissues import TISSUES
from cerebatch.spatial.space import LabelMap
from cerebatch.spatial.stride import decompose
from cerebatch.training.geometry import DEPTH_MM, LABELLED, Geometry
from cerebatch.training.transforms.contrast import Kind, random_intensities
from cerebatch.training.transforms.draw import choice
from cerebatch.training.transforms.flaws import degraded, extraction

_T1W: dict[Kind, float] = {"T1-like": 0.85, "arbitrary": 0.15}
_T2W: dict[Kind | Literal["absent", "T1w"], float] = {"absent": 0.45, "T2-like": 0.35, "arbitrary": 0.1, "T1w": 0.1}
_BLIND = 0.5
_WHITE_SHARE = (0.1, 0.3)
"""Of the voxels outside the core that are white where the arbor is blind to labels."""
_EDGE_MM = (0.05, 0.5)
"""How gradually white matter gives way to grey."""
_UNRESOLVED = (0.0, 0.45)
"""White matter that grey matter holds unseen, as a share."""
_TEXTURE = 0.12
_CSF, _GM, _WM = (TISSUES.index(name) for name in ("CSF", "GM", "WM"))


@dataclass(frozen=True)
class Scene:
    """One image and its truth on the cerebellum box of 1 mm.

    Attributes
    ----------
    t1w, t2w : (X, Y, Z) float32, or None
    truth : (8, X, Y, Z) uint8
        Cerebatch codes of the eight fine voxels of each voxel, in the order of `stride.OFFSETS`.
    atlas : (X, Y, Z) uint8 or None
        What other people's maps vote.
    """

    t1w: NDArray[np.float32]
    t2w: NDArray[np.float32] | None
    truth: LabelMap
    atlas: LabelMap | None


def drawn_scene(geometry: Geometry) -> Scene:
    """A random image of a geometry, mirrored or not; draws from torch's global generator."""
    codes = torch.from_numpy(geometry.codes)
    # What is drawn for each voxel is drawn for those of the cerebellum alone, a tenth of the box.
    place = torch.from_numpy(np.flatnonzero(geometry.codes >= LABELLED))
    cerebellum = _Cerebellum.of(geometry, place)
    white = cerebellum.white()
    truth = geometry.lobules
    truth.reshape(-1)[place] = np.where(white > 0.5, cerebellum.cores, cerebellum.lobules)
    unresolved = _between(_UNRESOLVED) + _TEXTURE * (cerebellum.noise(1.0) + cerebellum.noise(3.0))
    mixed = torch.maximum(white, unresolved.clamp(0, 0.8))
    brain = torch.zeros(256)
    brain[[_CSF, _GM, _WM]], brain[LABELLED:] = 1, 1
    mask = extraction(_pooled(brain[codes.int()]))

    def image(kind: Kind) -> Tensor:
        intensities = random_intensities(kind)
        table = torch.zeros(256)
        table[: len(TISSUES)] = intensities
        fine = table[codes.int()]
        fine.view(-1)[place] = intensities[_GM] + mixed * (intensities[_WM] - intensities[_GM])
        return degraded(_pooled(fine)) * mask

    t1w = image(choice(_T1W))
    kind = choice(_T2W)
    t2w = None if kind == "absent" else t1w if kind == "T1w" else image(kind)
    scene = Scene(t1w.numpy(), None if t2w is None else t2w.numpy(), decompose(truth), _vote(geometry.votes))
    return scene if torch.rand(1) < 0.5 else turned(scene)


def turned(scene: Scene) -> Scene:
    """A scene with left and right exchanged."""
    # The parts of a mirrored volume are the mirrored parts, those of odd x before those of even x.
    truth = mirrored(np.ascontiguousarray(scene.truth[[4, 5, 6, 7, 0, 1, 2, 3], ::-1]))
    t2w = None if scene.t2w is None else np.ascontiguousarray(scene.t2w[::-1])
    atlas = None if scene.atlas is None else mirrored(np.ascontiguousarray(scene.atlas[::-1]))
    return Scene(np.ascontiguousarray(scene.t1w[::-1]), t2w, truth, atlas)


@dataclass(frozen=True)
class _Cerebellum:
    """Its fine voxels in a row.

    Attributes
    ----------
    lobules, cores : (V,) uint8
        Label of each voxel, and that of its side's white matter.
    depth_mm : (V,) float32 tensor
    arbor : (V,) float32 tensor
        Share of neighbours in the arbor vitae that the library grew; 1 in the core.
    shape : tuple of int
        Of the coarse box.
    coarse : (V,) int64 tensor
        Place of each voxel's coarse voxel in the box.
    """

    lobules: LabelMap
    cores: LabelMap
    depth_mm: Tensor
    arbor: Tensor
    shape: tuple[int, ...]
    coarse: Tensor

    @classmethod
    def of(cls, geometry: Geometry, place: Tensor) -> _Cerebellum:
        at = place.numpy()
        lobules = geometry.lobules.reshape(-1)[at]
        cores = np.where(lobules <= WHITE_MATTER[0], np.uint8(WHITE_MATTER[0]), np.uint8(WHITE_MATTER[1]))
        depth_mm = torch.from_numpy(geometry.depth.reshape(-1)[at]).float() * DEPTH_MM
        arbor = torch.from_numpy(geometry.arbor.reshape(-1)[at] | (lobules == cores)).float()
        x, y, z = (one // 2 for one in np.unravel_index(at, geometry.codes.shape))
        shape = tuple(n // 2 for n in geometry.codes.shape)
        return cls(lobules, cores, depth_mm, arbor, shape, torch.from_numpy(np.ravel_multi_index((x, y, z), shape)))

    def white(self) -> Tensor:
        """Share of white matter in each voxel, (V,)."""
        core = torch.from_numpy(self.lobules == self.cores)
        if torch.rand(1) >= _BLIND:
            return torch.where(core, 1.0, self.arbor)
        depth_mm = self.depth_mm * (1 + 0.25 * self.noise(4.0))
        folia = depth_mm[~core]
        least_mm = torch.quantile(folia[:: max(1, folia.numel() // 100_000)], 1 - _between(_WHITE_SHARE))
        return torch.where(core, 1.0, torch.sigmoid((depth_mm - least_mm) / _between(_EDGE_MM)))

    def noise(self, spacing_mm: float) -> Tensor:
        """Smooth noise, (V,), with a standard deviation of about one."""
        coarse = torch.randn(1, 1, *(max(2, round(n / spacing_mm)) for n in self.shape))
        if spacing_mm > 1:
            coarse = 1.5 * functional.interpolate(coarse, self.shape, mode="trilinear", align_corners=True)
        return coarse.view(-1)[self.coarse]


def _vote(votes: LabelMap) -> LabelMap | None:
    """The labels that most of the other people say; where no label has a majority, what one of them says."""
    if not len(votes):
        return None
    chosen = int(torch.randint(len(votes), (1,)))
    if len(votes) < 3:
        return np.asarray(votes[chosen])
    agreed = votes[chosen].copy()
    for one in range(len(votes)):
        same = sum((votes[one] == votes[other]).astype(np.uint8) for other in range(len(votes)))
        agreed = np.where(2 * same > len(votes), votes[one], agreed)
    return np.asarray(agreed)


def _pooled(fine: Tensor) -> Tensor:
    return functional.avg_pool3d(fine[None, None], 2)[0, 0]


def _between(limits: tuple[float, float]) -> float:
    return limits[0] + (limits[1] - limits[0]) * float(torch.rand(1))
