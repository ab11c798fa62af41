"""The library and an augmentation set as torch datasets, as TorchIO subjects, and drawn half from each."""

from __future__ import annotations

from collections.abc import Collection, Sequence, Sized
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset, WeightedRandomSampler

from cerebatch.library.augmented.store import AugmentedSet
from cerebatch.library.layout import CONTRASTS
from cerebatch.library.store import Library

if TYPE_CHECKING:
    import torchio

Sample = dict[str, Any]


class CaseDataset(Dataset[Sample]):
    """Cases of a library or of an augmentation set, each a dictionary.

    ``image`` (2, X, Y, Z) float32: T1w and T2w at the targets of the normalisation; ``label`` (X, Y, Z) int64:
    cerebatch codes; ``name`` str; with the atlas channel ``atlas`` (X, Y, Z) int64.

    Parameters
    ----------
    source : Library or AugmentedSet
    names : collection of str, optional
        Only these cases, as a `splits.Split` gives them; all usable ones without it.
    with_atlas : bool
        Whether to read the atlas channel of an augmentation set.

    Raises
    ------
    ValueError
        A name that the source does not have, or no atlas where one is asked for.
    """

    def __init__(
        self, source: Library | AugmentedSet, names: Collection[str] | None = None, *, with_atlas: bool = False
    ) -> None:
        usable = source.usable if isinstance(source, AugmentedSet) else list(range(len(source.names)))
        there = {source.names[index]: index for index in usable}
        unknown = [] if names is None else sorted(set(names) - set(there))
        if unknown:
            raise ValueError(f"{source.path}: expected names of usable cases, found {', '.join(unknown[:3])}")
        if with_atlas and not (isinstance(source, AugmentedSet) and source.has_atlas):
            raise ValueError(f"{source.path}: expected a set with atlases; make them with `cerebatch augment atlas`")
        self.source, self._with_atlas = source, with_atlas
        self.indices = [index for name, index in there.items() if names is None or name in set(names)]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, item: int) -> Sample:
        index, source = self.indices[item], self.source
        sample: Sample = {
            "image": torch.from_numpy(source.stored("image", index).astype(np.float32)),
            "label": torch.from_numpy(source.dseg(index).astype(np.int64)),
            "name": source.names[index],
        }
        if self._with_atlas:
            assert isinstance(source, AugmentedSet)
            sample["atlas"] = torch.from_numpy(source.atlas(index).astype(np.int64))
        return sample


class SubjectDataset(Dataset[Any]):
    """The same cases as TorchIO subjects: ``t1``, ``t2``, ``label``, perhaps ``atlas``, on one affine.

    Parameters
    ----------
    cases : CaseDataset
    transform : callable, optional
        A TorchIO transform.
    """

    def __init__(self, cases: CaseDataset, transform: Any = None) -> None:
        self._cases, self._transform = cases, transform

    def __len__(self) -> int:
        return len(self._cases)

    def __getitem__(self, item: int) -> torchio.Subject:
        subject = as_subject(self._cases[item], self._cases.source)
        return subject if self._transform is None else self._transform(subject)


def as_subject(sample: Sample, source: Library | AugmentedSet) -> torchio.Subject:
    """One sample of a `CaseDataset` as a TorchIO subject."""
    import torchio

    # TorchIO has no types.
    scalar: Any = torchio.ScalarImage
    label_map: Any = torchio.LabelMap
    affine = source.grid.affine
    images: dict[str, Any] = {
        contrast[:2].lower(): scalar(tensor=sample["image"][channel][None], affine=affine)
        for channel, contrast in enumerate(CONTRASTS)
    }
    for name in ("label", "atlas"):
        if name in sample:
            images[name] = label_map(tensor=sample[name][None], affine=affine)
    return torchio.Subject(name=sample["name"], **images)


def half_and_half(
    original: Dataset[Any], augmented: Dataset[Any], *, samples: int, seed: int
) -> tuple[ConcatDataset[Any], WeightedRandomSampler]:
    """Each draw is original or augmented with 50% each, whatever their numbers (section 3.6).

    Parameters
    ----------
    original, augmented : Dataset
    samples : int
        Draws of an epoch.
    seed : int

    Returns
    -------
    dataset, sampler
        For a `torch.utils.data.DataLoader`.
    """
    weights = half_weights([original, augmented])
    generator = torch.Generator().manual_seed(seed)
    return ConcatDataset([original, augmented]), WeightedRandomSampler(weights.tolist(), samples, generator=generator)


def half_weights(parts: Sequence[Any]) -> Tensor:
    """Weight of each item, so that every part is drawn equally often.

    Raises
    ------
    ValueError
        A part is empty.
    """
    sizes = [len(part) for part in parts if isinstance(part, Sized)]
    if len(sizes) < len(parts) or 0 in sizes:
        raise ValueError(f"expected parts that each hold something, found sizes {sizes}")
    return torch.cat([torch.full((size,), 1 / (len(sizes) * size), dtype=torch.float64) for size in sizes])
