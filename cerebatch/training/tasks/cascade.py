"""A network of the cascade learns from simulated heads and from real scans that were outlined by hand, by turns."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cerebatch.labels import STRUCTURES
from cerebatch.networks.architectures.build import build
from cerebatch.networks.card import Architecture, Card, Task
from cerebatch.networks.cascade import Channels, mirrored_channels
from cerebatch.networks.inputs import LOBULES, brain_region, image_channel, sides_of
from cerebatch.networks.one_side import left_structures, seen_mask, side_input, whole_input
from cerebatch.spatial.space import LabelMap, Volume
from cerebatch.training.appearance import Scene, drawn_scene, turned
from cerebatch.training.geometry import COARSE_MM, Geometries
from cerebatch.training.outlined import (
    OutlinedScan,
    allowed_sides,
    allowed_structures,
    check_figures,
    drawn_outlined,
    mirrored_scan,
)
from cerebatch.training.targets import set_loss, soft_loss
from cerebatch.training.tasks.base import Forward
from cerebatch.training.transforms.deformation import Strength, deformed_labels, random_grid

_ATLAS_ABSENT, _ATLAS_MOVED = 0.4, 0.5
_T1W_TWICE = 0.15
_JITTER = Strength(degrees=2.0, scale=0.02, shift_mm=1.0, elastic_mm=((24.0, 1.0),))
_CHECKED = 4
_FIGURES: dict[Task, tuple[str, ...]] = {
    "sides": ("dice", "volume", "dice open", "volume open", "dice simulated"),
    "lobules": ("allowed", *(f"dice_{name}" for name in STRUCTURES)),
}


class CascadeLesson:
    """One of the two networks of a cascade.

    Parameters
    ----------
    geometries : Geometries
    learnt, checked : sequence of OutlinedScan
        Real scans to learn from, and to judge by; without any all samples are simulated.
    architecture : str
    task : {"sides", "lobules"}
    """

    card = Card

    def __init__(
        self,
        geometries: Geometries,
        learnt: Sequence[OutlinedScan],
        checked: Sequence[OutlinedScan],
        architecture: Architecture,
        task: Task,
    ) -> None:
        self._geometries, self._learnt, self._checked = geometries, learnt, checked
        self._architecture, self._task = architecture, task
        self._region = brain_region(COARSE_MM)
        # Both sides of one scene are seen, in two steps.
        self._scene = lru_cache(maxsize=1)(self._drawn)
        self.figures = _FIGURES[task]

    def network(self) -> nn.Module:
        """One of the architecture."""
        return build(self._architecture, self._task)

    def loss(self, forward: Forward, seed: int) -> Tensor:
        """Of a simulated scan and of a real one by turns; of the second network, of both sides of each."""
        if self._task == "sides":
            return self._sides_loss(forward, self._drawn(seed))
        return self._lobules_loss(forward, self._scene(seed // 2), turn=seed % 2 == 1, seed=seed)

    def _drawn(self, seed: int) -> tuple[Volume, Volume, LabelMap | None, Scene | OutlinedScan]:
        torch.manual_seed(seed)
        geometry = self._geometries.read(int(torch.randint(self._geometries.count, (1,))))
        if self._learnt and seed % 2:
            scan, seen = drawn_outlined(self._learnt[int(torch.randint(len(self._learnt), (1,)))], geometry)
            twice = float(torch.rand(1)) < _T1W_TWICE
            return (*self._channels(seen, seen if twice else None), None, scan)
        scene = drawn_scene(geometry)
        return (*self._channels(scene.t1w, scene.t2w), self._random_atlas(scene.atlas), scene)

    def _channels(self, t1w: Volume, t2w: Volume | None) -> tuple[Volume, Volume]:
        return image_channel(t1w, self._region), image_channel(t2w, self._region)

    def _random_atlas(self, atlas: LabelMap | None) -> LabelMap | None:
        fate = float(torch.rand(1))
        if atlas is None or fate < _ATLAS_ABSENT:
            return None
        if fate < _ATLAS_ABSENT + _ATLAS_MOVED:
            grid = random_grid(self._region.shape, COARSE_MM, _JITTER)
            moved: LabelMap = deformed_labels(torch.from_numpy(atlas)[None], grid)[0].numpy()
            return moved
        return atlas

    def _sides_loss(
        self, forward: Forward, drawn: tuple[Volume, Volume, LabelMap | None, Scene | OutlinedScan]
    ) -> Tensor:
        t1w, t2w, atlas, known = drawn
        logits = forward(_tensor(whole_input(t1w, t2w, atlas)))
        if isinstance(known, Scene):
            target = torch.from_numpy(sides_of(known.truth).astype(np.int64)).to(logits.device)
            return soft_loss(logits, target, 8 / int((known.truth > 0).sum()))
        allowed = torch.from_numpy(allowed_sides(known)).to(logits.device)
        return set_loss(logits, allowed, 1 / int((known.manual > 0).sum()))

    def _lobules_loss(
        self,
        forward: Forward,
        drawn: tuple[Volume, Volume, LabelMap | None, Scene | OutlinedScan],
        *,
        turn: bool,
        seed: int,
    ) -> Tensor:
        t1w, t2w, atlas, known = _turned(drawn) if turn else drawn
        torch.manual_seed(seed)
        if isinstance(known, Scene):
            left = left_structures(known.truth)
            seen, block = side_input(t1w, t2w, atlas, seen_mask(imperfect((left > 0).mean(axis=0, dtype=np.float32))))
            logits = forward(_tensor(seen))
            target = torch.from_numpy(left[:, *block].astype(np.int64)).to(logits.device)
            return soft_loss(logits, target, 8 / max(1, int((left > 0).sum())))
        own = (known.manual > 0) & known.left
        seen, block = side_input(t1w, t2w, atlas, seen_mask(imperfect(own.astype(np.float32))))
        logits = forward(_tensor(seen))
        allowed = np.where(own, allowed_structures(known), 1)[block]
        return set_loss(logits, torch.from_numpy(allowed).to(logits.device), 1 / int(own.sum()))

    def check(self, forward: Forward) -> NDArray[np.float64]:
        """Means over real scans that nothing learns from, and over geometries that are not drawn."""
        real = [self._check_real(forward, scan) for scan in self._checked]
        simulated = [self._check_simulated(forward, self._geometries.count + k) for k in range(_CHECKED)]
        count = len(self.figures) - len(simulated[0])
        means = np.nanmean(real, axis=0) if real else np.full(count, np.nan)
        return np.concatenate([means, np.nanmean(simulated, axis=0)])

    def _check_real(self, forward: Forward, scan: OutlinedScan) -> list[float]:
        t1w, t2w = self._channels(scan.t1w, None)
        if self._task == "sides":
            found = forward(_tensor(whole_input(t1w, t2w, None)))[0].float().softmax(0).cpu().numpy()
            return list(check_figures(scan, (found[0] < 0.5).astype(np.uint8)).values())
        shares = []
        for one, image in ((scan, t1w), (mirrored_scan(scan), np.ascontiguousarray(t1w[::-1]))):
            own = (one.manual > 0) & one.left
            seen, block = side_input(image, np.zeros_like(image), None, seen_mask(own))
            answer = forward(_tensor(seen))[0, 1:].argmax(0).cpu().numpy() + 1
            known = np.where(own, allowed_structures(one), 0)[block]
            shares.append(float(((known >> answer) & 1)[known > 1].mean()))
        return [float(np.mean(shares))]

    def _check_simulated(self, forward: Forward, number: int) -> NDArray[np.float64]:
        torch.manual_seed(number)
        scene = drawn_scene(self._geometries.read(number))
        t1w, t2w = self._channels(scene.t1w, scene.t2w)
        truth = np.asarray(scene.truth[0])
        if self._task == "sides":
            found = forward(_tensor(whole_input(t1w, t2w, scene.atlas)))[0].argmax(0).cpu().numpy()
            return np.array([_dice(found > 0, truth > 0)])
        left = left_structures(truth)
        seen, block = side_input(t1w, t2w, scene.atlas, seen_mask(left > 0))
        found = forward(_tensor(seen))[0].argmax(0).cpu().numpy()
        own = left[block]
        return np.array([_dice(found == k, own == k) for k in range(1, LOBULES)])


def imperfect(share: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The mask that a first network might find: its surface moved by up to a voxel, here out and there in."""
    near = functional.avg_pool3d(torch.from_numpy(share)[None, None], 3, stride=1, padding=1)[0, 0]
    coarse = torch.rand(1, 1, *(max(2, n // 8) for n in share.shape))
    uneven = functional.interpolate(coarse, share.shape, mode="trilinear")[0, 0]
    return np.asarray((near > 0.15 + 0.7 * uneven).numpy())


def _turned(
    drawn: tuple[Volume, Volume, LabelMap | None, Scene | OutlinedScan],
) -> tuple[Volume, Volume, LabelMap | None, Scene | OutlinedScan]:
    t1w, t2w, atlas, known = drawn
    seen = mirrored_channels(Channels(t1w, t2w, atlas))
    return seen.t1w, seen.t2w, seen.atlas, turned(known) if isinstance(known, Scene) else mirrored_scan(known)


def _tensor(image: Volume) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image))[None]


def _dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    total = found.sum() + truth.sum()
    return 2 * float((found & truth).sum()) / float(total) if total else np.nan
