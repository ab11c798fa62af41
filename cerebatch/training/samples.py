"""Training samples: a case of the library, deformed, in a random contrast, with its flaws, as a network sees it.

Fine-tuning draws half of them from an augmentation set (section 3.6).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cerebatch.labels import WHITE_MATTER
from cerebatch.library.augmented.splits import people_of_set
from cerebatch.library.augmented.store import AugmentedSet
from cerebatch.library.layout import CONTRASTS
from cerebatch.library.store import Library
from cerebatch.library.tissues import TISSUES
from cerebatch.networks.card import Task
from cerebatch.networks.inputs import (
    brain_region,
    crop_around,
    image_channel,
    lobules_input,
    lobules_of,
    sides_input,
    sides_of,
)
from cerebatch.spatial.space import LabelMap
from cerebatch.training.atlases import TrainingAtlases
from cerebatch.training.transforms.contrast import Kind, random_intensities, render
from cerebatch.training.transforms.deformation import Strength, deformed, deformed_labels, random_grid
from cerebatch.training.transforms.draw import choice
from cerebatch.training.transforms.flaws import degraded, extraction

_T1W: dict[Kind, float] = {"T1-like": 0.85, "arbitrary": 0.15}
_T2W: dict[Kind | Literal["absent", "T1w"], float] = {"absent": 0.45, "T2-like": 0.35, "arbitrary": 0.1, "T1w": 0.1}
_ATLAS_ABSENT, _ATLAS_DEGRADED = 0.15, 0.3
_BLIND = 0.15
_AUGMENTED = 0.5
"""How often a sample is of the augmentation set, where there is one."""
_JITTER = Strength(degrees=2.0, scale=0.02, shift_mm=1.0, elastic_mm=((24.0, 1.0),))
"""How far a degraded atlas lies beside the truth."""
_BRAIN = [TISSUES.index(name) for name in ("CSF", "GM", "WM")]
_GREY, _WHITE = TISSUES.index("GM"), TISSUES.index("WM")
_CORES = torch.tensor(WHITE_MATTER, dtype=torch.uint8)


@dataclass(frozen=True)
class Sample:
    """What one training step sees.

    Attributes
    ----------
    image : (1, 3, X, Y, Z) float32 tensor
        T1w, T2w and atlas as `networks.inputs` makes them.
    target : (X, Y, Z) int64 tensor
        Classes of the task.
    """

    image: Tensor
    target: Tensor


class Samples:
    """Draws samples.

    Parameters
    ----------
    library : Library
    atlases : TrainingAtlases
    task : {"sides", "lobules"}
    hold_out : tuple of str
        People whose cases and votes are not used. There are atlases without one person; with more than one held out
        the atlas channel is always empty.
    hold_out_heads : collection of str
        Heads that are not used; their cases of other people are for validation.
    augmented : AugmentedSet, optional
        Carried cases that half of the samples are of; those whose source is held out are not used.
    """

    def __init__(
        self,
        library: Library,
        atlases: TrainingAtlases,
        task: Task,
        *,
        hold_out: tuple[str, ...] = (),
        hold_out_heads: tuple[str, ...] = (),
        augmented: AugmentedSet | None = None,
    ) -> None:
        self._library, self._atlases, self._task, self._hold_out = library, atlases, task, hold_out
        own = [k for k, person in enumerate(library.persons) if person not in hold_out]
        self.training = [k for k in own if library.heads[k] not in hold_out_heads]
        self.validation = [k for k in own if library.heads[k] in hold_out_heads]
        self._augmented = augmented
        self.carried = [] if augmented is None else _allowed(augmented, hold_out, hold_out_heads)
        self._region = brain_region(library.resolution)
        self._shares = lru_cache(maxsize=None)(library.tissue)
        self._dseg = lru_cache(maxsize=None)(library.dseg)
        self._lobules = lru_cache(maxsize=None)(library.lobules)

    def draw(self, seed: int) -> Sample:
        """A random sample; the same for the same seed."""
        torch.manual_seed(seed)
        if self.carried and torch.rand(1) < _AUGMENTED:
            return self._drawn_carried()
        index = self.training[int(torch.randint(len(self.training), (1,)))]
        seen, (truth, lobules, atlas) = self._deformed(index)
        cerebellum = truth > 0
        if not self._library.rendered[index]:
            t1w, t2w = self._scanned(seen)
            return self._sample(t1w, t2w, truth, self._random_atlas(atlas), cerebellum)
        if torch.rand(1) < _BLIND:
            seen, cerebellum = without_borders(seen, lobules)
        t1w, t2w = self._images(seen)
        return self._sample(t1w, t2w, truth, self._random_atlas(atlas), cerebellum)

    def _drawn_carried(self) -> Sample:
        """A random case of the augmentation set, which looks as it was carried."""
        carried = self._augmented
        assert carried is not None
        index = self.carried[int(torch.randint(len(self.carried), (1,)))]
        known = carried.has_atlas and not set(self._hold_out) & self._voters[index]
        dseg = carried.dseg(index)
        votes = carried.atlas(index) if known else np.zeros_like(dseg)
        grid = random_grid(self._library.grid.shape, self._library.resolution, Strength())
        images = deformed(torch.from_numpy(carried.stored("image", index).astype(np.float32)), grid)
        truth, atlas = deformed_labels(torch.from_numpy(np.stack([dseg, votes])), grid)
        t1w, t2w = self._scanned(images)
        return self._sample(t1w, t2w, truth, self._random_atlas(atlas) if known else None, truth > 0)

    @cached_property
    def _voters(self) -> list[set[str]]:
        """People who voted for the atlas of each case of the augmentation set."""
        assert self._augmented is not None
        return [set(people.split(",")) for people in self._augmented.atlas_columns()["atlas_persons"]]

    def canonical(self, index: int) -> Sample:
        """A case as it lies in the library, with both contrasts and its atlas; for validation."""
        dseg, atlas = self._dseg(index), self._atlas(index)
        torch.manual_seed(index)
        t1w, t2w = (degraded(torch.from_numpy(self._library.image(index, name))) for name in ("T1w", "T2w"))
        truth = torch.from_numpy(dseg)
        return self._sample(t1w, t2w, truth, atlas, truth > 0)

    def _deformed(self, index: int) -> tuple[Tensor, Tensor]:
        """What is seen of a case, and truth, lobules with their white matter, and atlas (3, X, Y, Z).

        Of a rendered case that is the shares of tissues in 1/255 (T, X, Y, Z), of a real scan T1w and T2w (2, X, Y, Z).
        """
        atlas = self._atlas(index)
        votes = np.zeros_like(self._dseg(index)) if atlas is None else atlas
        grid = random_grid(self._library.grid.shape, self._library.resolution, Strength())
        labels = torch.from_numpy(np.stack([self._dseg(index), self._lobules(index), votes]))
        if self._library.rendered[index]:
            seen = torch.from_numpy(self._shares(index)).float()
        else:
            seen = torch.from_numpy(np.stack([self._library.image(index, name) for name in CONTRASTS]))
        return deformed(seen, grid), deformed_labels(labels, grid)

    def _atlas(self, index: int) -> LabelMap | None:
        if len(self._hold_out) > 1:
            return None
        return self._atlases.read(index, *self._hold_out)

    def _images(self, shares: Tensor) -> tuple[Tensor, Tensor | None]:
        """A T1w and perhaps a T2w, brain-extracted alike."""
        mask = extraction(shares[_BRAIN].sum(0) / 255)
        t1w = degraded(render(shares, random_intensities(choice(_T1W)))) * mask
        kind = choice(_T2W)
        if kind == "absent":
            return t1w, None
        if kind == "T1w":
            return t1w, t1w
        return t1w, degraded(render(shares, random_intensities(kind))) * mask

    def _scanned(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """A real T1w and perhaps its T2w, or the T1w in its place; their contrast is their own."""
        t1w, kind = degraded(images[0]), choice(_T2W)
        if kind == "absent" or not images[1].any():
            return t1w, None
        return t1w, t1w if kind == "T1w" else degraded(images[1])

    def _random_atlas(self, atlas: Tensor) -> LabelMap | None:
        fate = float(torch.rand(1))
        if fate < _ATLAS_ABSENT or len(self._hold_out) > 1:
            return None
        if fate < _ATLAS_ABSENT + _ATLAS_DEGRADED:
            grid = random_grid(self._library.grid.shape, self._library.resolution, _JITTER)
            atlas = deformed_labels(atlas[None], grid)[0]
        return _array(atlas)

    def _sample(
        self, t1w: Tensor, t2w: Tensor | None, truth: Tensor, atlas: LabelMap | None, cerebellum: Tensor
    ) -> Sample:
        one = image_channel(_array(t1w), self._region)
        other = image_channel(None if t2w is None else _array(t2w), self._region)
        if self._task == "sides":
            image, target = sides_input(one, other, atlas), sides_of(_array(truth))
        else:
            found = _imperfect(cerebellum)
            block = crop_around(found)
            image = lobules_input(one, other, atlas, found)[:, *block]
            target = lobules_of(_array(truth))[block]
        return Sample(torch.from_numpy(np.ascontiguousarray(image))[None], torch.from_numpy(target.astype(np.int64)))


def _allowed(augmented: AugmentedSet, hold_out: tuple[str, ...], hold_out_heads: tuple[str, ...]) -> list[int]:
    people = people_of_set(augmented)
    return [k for k in augmented.usable if not people[augmented.names[k]] & {*hold_out, *hold_out_heads}]


def without_borders(shares: Tensor, lobules: Tensor) -> tuple[Tensor, Tensor]:
    """A case whose borders inside the cerebellum are erased: what a network names there it did not read.

    Parameters
    ----------
    shares : (T, X, Y, Z) float32 tensor
    lobules : (X, Y, Z) tensor of uint8
        Labels with the white matter of the folia in their lobules.

    Returns
    -------
    shares : (T, X, Y, Z) float32 tensor
        Grey matter inside the closed outline, but for a smooth core of white matter.
    closed : (X, Y, Z) bool tensor
        The closed outline.
    """
    grown = functional.max_pool3d((lobules > 0).float()[None, None], 5, stride=1, padding=2)
    closed = -functional.max_pool3d(-grown, 5, stride=1, padding=2)[0, 0]
    core = functional.avg_pool3d(torch.isin(lobules, _CORES).float()[None, None], 5, stride=1, padding=2)[0, 0]
    inside = torch.zeros_like(shares)
    inside[_WHITE] = 255 * (core > 0.5)
    inside[_GREY] = 255 - inside[_WHITE]
    return torch.where(closed > 0, inside, shares), closed > 0


def _imperfect(cerebellum: Tensor) -> NDArray[np.bool_]:
    """The mask that a first network might find: its surface moved by up to a voxel, here out and there in."""
    near = functional.avg_pool3d(cerebellum.float()[None, None], 3, stride=1, padding=1)[0, 0]
    coarse = torch.rand(1, 1, *(max(2, n // 8) for n in cerebellum.shape))
    uneven = functional.interpolate(coarse, cerebellum.shape, mode="trilinear")[0, 0]
    return _array(near > 0.15 + 0.7 * uneven)


def _array(tensor: Tensor) -> NDArray[Any]:
    return tensor.numpy()
