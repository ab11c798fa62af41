"""A network of the cascade learns to name the classes of its task."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cerebatch.labels import STRUCTURES
from cerebatch.networks.architectures.build import CLASSES, build
from cerebatch.networks.card import Architecture, Card, Task
from cerebatch.training.loss import log_dice_bce
from cerebatch.training.samples import Samples
from cerebatch.training.tasks.base import Forward

_CLASS_NAMES: dict[Task, tuple[str, ...]] = {"sides": ("left", "right"), "lobules": STRUCTURES}


class SegmentationLesson:
    """A network of the cascade names the classes of its task.

    Parameters
    ----------
    samples : Samples
    architecture : {"dpn", "unet", "dpn-refined", "unet-refined"}
    task : {"sides", "lobules"}
        The samples' own.
    cases : int
        Validation cases that are looked at, of different heads.
    """

    card = Card

    def __init__(self, samples: Samples, architecture: Architecture, task: Task, cases: int) -> None:
        self._samples, self._architecture, self._task = samples, architecture, task
        own = samples.validation
        self._checked = own[:: max(1, len(own) // cases)][:cases]
        self.figures = tuple(f"dice_{name}" for name in _CLASS_NAMES[task])

    def network(self) -> nn.Module:
        """One of the architecture."""
        return build(self._architecture, self._task)

    def loss(self, forward: Forward, seed: int) -> Tensor:
        """Equation 1 on a random sample."""
        sample = self._samples.draw(seed)
        logits = forward(sample.image)
        return log_dice_bce(logits, sample.target.to(logits.device))

    def check(self, forward: Forward) -> NDArray[np.float64]:
        """Mean Dice of each class but the background over the validation cases."""
        scores = []
        for index in self._checked:
            sample = self._samples.canonical(index)
            found = forward(sample.image).argmax(dim=1)[0].cpu()
            scores.append(_dice(found, sample.target, CLASSES[self._task]))
        return np.nanmean(scores, axis=0) if scores else np.full(len(self.figures), np.nan)


def _dice(found: Tensor, truth: Tensor, classes: int) -> NDArray[np.float64]:
    sizes = torch.bincount(found.ravel(), minlength=classes) + torch.bincount(truth.ravel(), minlength=classes)
    common = torch.bincount(truth[found == truth], minlength=classes)
    scores: NDArray[np.float64] = (2.0 * common / sizes).numpy().astype(np.float64)
    return scores[1:]
