"""A head in a random pose, contrast, field of view and state, on the voxels of the network that finds heads."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cerebatch.library.tissues import TISSUE_OF_CODE, TISSUES
from cerebatch.networks.auxiliary.head import CAVITY, SIDE, STRUCTURES, VOXEL_MM, as_input
from cerebatch.spatial.space import Affine
from cerebatch.training.transforms.contrast import Kind, random_intensities
from cerebatch.training.transforms.draw import choice

CODES = tuple(sorted(TISSUE_OF_CODE))
"""Codes of head maps; their indices are ids."""

_CODES_OF = {
    "left cerebral white matter": (2, 77, 251, 252, 253, 254, 255), "right cerebral white matter": (41,),
    "left cortex": (3, 25), "right cortex": (42, 57),
    "left lateral ventricle": (4, 5, 31), "right lateral ventricle": (43, 44, 63),
    "left deep grey matter": (10, 11, 12, 13, 26, 28, 136, 163),
    "right deep grey matter": (49, 50, 51, 52, 58, 60, 137, 164),
    "left hippocampus and amygdala": (17, 18), "right hippocampus and amygdala": (53, 54),
    "left cerebellum": (7, 8), "right cerebellum": (46, 47), "brain stem": (16,), "third ventricle": (14, 80),
    "fourth ventricle": (15,), "other fluid and vessels": (24, 30, 62, 72, 85),
    "soft tissue": (502, 506, 507, 508, 509, 511, 514, 516), "bone": (515, 530), "spinal cord": (512,),
}  # fmt: skip
_NAME_OF_CODE = {code: name for name, codes in _CODES_OF.items() for code in codes}
STRUCTURE_OF_ID = tuple(STRUCTURES.index(_NAME_OF_CODE.get(code, "outside")) for code in CODES)

_PAIRS = {2: 41, 3: 42, 4: 43, 5: 44, 7: 46, 8: 47, 10: 49, 11: 50, 12: 51, 13: 52, 17: 53, 18: 54, 25: 57, 26: 58}
_PAIRS |= {28: 60, 30: 62, 31: 63, 136: 137, 163: 164}
_OTHER_SIDE = {name: name.replace("left", "right") for name in STRUCTURES if name.startswith("left")}
_CONTRASTS: dict[Kind, float] = {"T1-like": 0.45, "T2-like": 0.1, "arbitrary": 0.45}

_PARTS_MM = np.array([(-1, -1, -1), (1, 1, -1), (1, -1, 1), (-1, 1, 1)]) * VOXEL_MM / 4
"""Four of the eight halves of a voxel: each half of every axis twice."""

_FAR_TURNED = 0.15
_LARGEST_SCALE, _SMALLEST_SCALE = 1.25, 0.6
_ELASTIC_MM = ((60.0, 4.0), (25.0, 2.0))
_CENTRE_MM = np.array([0.0, -20.0, 0.0])
"""Of the heads in MNI; where the middle of a view lies, more or less."""


@dataclass(frozen=True)
class HeadMap:
    """A head to draw from.

    Attributes
    ----------
    ids : (X, Y, Z) uint8
        Indices of `CODES`.
    index_from_mni : (4, 4) float
        MNI millimetres -> voxels.
    """

    ids: NDArray[np.uint8]
    index_from_mni: Affine


@dataclass(frozen=True)
class HeadSample:
    """What the network is shown and what it should say.

    Attributes
    ----------
    image : (1, 1, X, Y, Z) float32 tensor
    labels : (P, X, Y, Z) uint8 tensor
        Structures of the parts of each voxel.
    places : (3, X / 2, Y / 2, Z / 2) float32 tensor
        MNI millimetres.
    inside : (X / 2, Y / 2, Z / 2) float32 tensor
        Share of each coarse voxel that lies inside the skull and is seen.
    """

    image: Tensor
    labels: Tensor
    places: Tensor
    inside: Tensor


def draw_head(head: HeadMap) -> HeadSample:
    """A sample; draws from torch's global generator."""
    mirrored = bool(torch.rand(1) < 0.5)
    mni_from_view = _random_pose()
    places = _apply(mni_from_view, _view_points()) + _elastic()
    sides = np.array([-1.0, 1.0, 1.0]) if mirrored else np.ones(3)
    own = torch.from_numpy(head.index_from_mni[:3, :3] * sides)
    index = (
        torch.einsum("ij,jxyz->ixyz", own.float(), places)
        + torch.from_numpy(head.index_from_mni[:3, 3]).float()[:, None, None, None]
    )
    step = (head.index_from_mni[:3, :3] * sides) @ mni_from_view[:3, :3]
    ids = torch.stack([_looked_up(head.ids, index, step @ part) for part in _PARTS_MM])
    structures = torch.tensor(STRUCTURE_OF_ID, dtype=torch.uint8)
    labels = structures[_MIRROR][ids.long()] if mirrored else structures[ids.long()]
    image = _contrast(ids)
    seen = _field_of_view(places) * _state(labels, places)
    image = _scanned(image * seen, seen)
    labels = labels * (seen > 0.5)
    inside = ((labels >= CAVITY.start) & (labels < CAVITY.stop)).float().mean(dim=0)
    return HeadSample(
        as_input(image),
        labels,
        functional.avg_pool3d(places[None], 2)[0],
        functional.avg_pool3d(inside[None, None], 2)[0, 0],
    )


def _mirror_table() -> Tensor:
    """Id -> id of the structure on the other side."""
    pairs = _PAIRS | {right: left for left, right in _PAIRS.items()}
    return torch.tensor([CODES.index(pairs.get(code, code)) for code in CODES])


_MIRROR = _mirror_table()


def _view_points() -> Tensor:
    """Centres of the voxels of the view in its millimetres, (3, X, Y, Z)."""
    line = (torch.arange(SIDE) - (SIDE - 1) / 2) * VOXEL_MM
    return torch.stack(torch.meshgrid(line, line, line, indexing="ij"))


def _apply(affine: Affine, points: Tensor) -> Tensor:
    matrix = torch.from_numpy(affine).float()
    return torch.einsum("ij,jxyz->ixyz", matrix[:3, :3], points) + matrix[:3, 3, None, None, None]


def _uniform(low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand(1))


def _random_pose() -> Affine:
    """MNI millimetres from those of the view: upright more or less, now and then in any of the 24 orders of axes."""
    axis = torch.randn(3).numpy().astype(np.float64)
    angle = float(torch.randn(1)) * math.radians(22.0)
    turn = _rotation(axis / np.linalg.norm(axis), angle)
    if torch.rand(1) < _FAR_TURNED:
        turn = turn @ _quarter_turns()
    scale = math.exp(_uniform(math.log(_SMALLEST_SCALE), math.log(_LARGEST_SCALE)))
    scales = scale * np.exp(0.06 * torch.randn(3).numpy().astype(np.float64))
    pose = np.eye(4)
    # The view shows a head of this scale: MNI = R (view - shift) / scale.
    pose[:3, :3] = np.diag(1 / scales) @ turn
    off = np.array([_uniform(-25, 25), _uniform(-30, 30), _uniform(-50, 30)]) * float(torch.rand(1))
    pose[:3, 3] = _CENTRE_MM + off
    return pose


def _rotation(axis: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross)


def _quarter_turns() -> NDArray[np.float64]:
    """One of the rotations that exchange and flip axes."""
    order = torch.randperm(3).numpy()
    matrix = np.eye(3)[order] * np.where(torch.rand(3).numpy() < 0.5, -1.0, 1.0)[:, None]
    if np.linalg.det(matrix) < 0:
        matrix[:, 0] *= -1
    return np.asarray(matrix)


def _elastic() -> Tensor:
    moved = torch.zeros(3, SIDE, SIDE, SIDE)
    for spacing, amplitude in _ELASTIC_MM:
        control = math.ceil(SIDE * VOXEL_MM / spacing) + 1
        drawn = torch.randn(1, 3, control, control, control) * amplitude * torch.rand(1)
        moved = moved + functional.interpolate(drawn, (SIDE,) * 3, mode="trilinear", align_corners=True)[0]
    return moved


def _looked_up(ids: NDArray[np.uint8], index: Tensor, offset: NDArray[np.float64]) -> Tensor:
    """Ids at voxel coordinates (3, X, Y, Z), nearest; 0 beyond the map."""
    x, y, z = ((index[k] + float(offset[k])).round().int() for k in range(3))
    within = (x >= 0) & (x < ids.shape[0]) & (y >= 0) & (y < ids.shape[1]) & (z >= 0) & (z < ids.shape[2])
    flat = ((x * ids.shape[1] + y) * ids.shape[2] + z) * within
    found: Tensor = torch.from_numpy(np.take(ids.ravel(), flat.numpy())) * within
    return found


def _contrast(ids: Tensor) -> Tensor:
    """Image of the ids (P, X, Y, Z): an intensity and a spread for each, left as right; mean of the parts."""
    kind = choice(_CONTRASTS)
    tissues = torch.tensor([TISSUE_OF_CODE[code] for code in CODES])
    if kind == "arbitrary":
        means = torch.rand(len(CODES)) * 250
        if torch.rand(1) < 0.5:  # grey matter is alike more or less, and so is white matter
            means = 0.8 * (torch.rand(len(TISSUES)) * 250)[tissues] + 0.2 * means
        means[0] = 0.0 if torch.rand(1) < 0.8 else means[0]
    else:
        means = random_intensities(kind)[tissues]
        means = means * (1 + 0.06 * torch.randn(len(CODES)))
    means = means[_LIKE]
    spread = (torch.rand(len(CODES)) * 30)[_LIKE]
    spread[0] = float(torch.rand(1)) * 5
    long = ids.long()
    return (means[long] + spread[long] * torch.randn(ids.shape)).clamp(min=0).mean(dim=0)


_LIKE = torch.minimum(torch.arange(len(CODES)), _MIRROR)


def _field_of_view(places: Tensor) -> Tensor:
    """1 where the scan reaches: sides of the view or of the head are cut away now and then."""
    seen = torch.ones(places.shape[1:])
    if torch.rand(1) < 0.5:
        low, high = ((0.35 * torch.rand(3) * (torch.rand(3) < 0.5) * SIDE).int().tolist() for _ in range(2))
        box = torch.zeros_like(seen)
        box[tuple(slice(a, SIDE - b) for a, b in zip(low, high, strict=True))] = 1
        seen = seen * box
    if torch.rand(1) < 0.5:
        limits = ((60.0, 95.0), (70.0, 110.0), (40.0, 100.0))
        for axis, (near, far) in enumerate(limits):
            centre = float(_CENTRE_MM[axis])
            for side in (-1, 1):
                if torch.rand(1) < 0.3:
                    seen = seen * (side * (places[axis] - centre) < _uniform(near, far))
    return seen


def _state(labels: Tensor, places: Tensor) -> Tensor:
    """1 where tissue was left: heads are brain-extracted, more or less tightly, or defaced."""
    drawn = float(torch.rand(1))
    if drawn < 0.35:
        brain = (labels >= CAVITY.start) & (labels < CAVITY.stop)
        if torch.rand(1) < 0.5:
            brain = brain & (labels != STRUCTURES.index("other fluid and vessels"))
        soft = brain.float().mean(dim=0)[None, None]
        wide = 2 * int(torch.randint(0, 2, (1,))) + 1
        grown = functional.avg_pool3d(functional.max_pool3d(soft, wide, 1, wide // 2), 3, 1, 1)[0, 0]
        ragged = functional.interpolate(torch.rand(1, 1, 9, 9, 9), (SIDE,) * 3, mode="trilinear")[0, 0]
        return (grown > 0.2 + 0.5 * ragged).float()
    if drawn < 0.5:
        _, y, z = places
        face = (y > _uniform(-10, 30)) & (z + _uniform(-0.6, 0.2) * y < _uniform(-45, -15))
        inside = ((labels >= CAVITY.start) & (labels < CAVITY.stop)).any(dim=0)
        kept: Tensor = ~face | inside
        return kept.float()
    return torch.ones(places.shape[1:])


def _scanned(image: Tensor, seen: Tensor) -> Tensor:
    """Bias, thick slices, gamma and noise."""
    control = torch.randn(1, 1, 4, 4, 4) * _uniform(0, 0.3)
    image = image * functional.interpolate(control, (SIDE,) * 3, mode="trilinear", align_corners=True)[0, 0].exp()
    if torch.rand(1) < 0.3:
        size = [1, 1, 1]
        size[int(torch.randint(3, (1,)))] = 3
        image = functional.avg_pool3d(image[None, None], tuple(size), 1, tuple(s // 2 for s in size))[0, 0]
    top = image.max() + 1e-6
    if torch.rand(1) < 0.4:
        image = top * (image / top) ** math.exp(_uniform(-0.4, 0.4))
    sigma = top * _uniform(0, 0.06)
    noisy = ((image + sigma * torch.randn(image.shape)) ** 2 + (sigma * torch.randn(image.shape)) ** 2).sqrt()
    if torch.rand(1) < 0.07:  # background of MP2RAGE: noise as bright as the head
        noisy = torch.where(image > 0, noisy, top * torch.rand(image.shape))
    return noisy * seen if torch.rand(1) < 0.7 else noisy
