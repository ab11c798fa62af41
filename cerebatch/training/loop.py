"""The training loop: one case a step, checkpoints that a killed training goes on from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cerebatch.io.atomic import written_whole
from cerebatch.networks.architectures.blocks import named_device
from cerebatch.networks.architectures.build import part_of
from cerebatch.networks.card import read_card
from cerebatch.networks.memory import keep_memory, release_memory
from cerebatch.networks.weights import fill
from cerebatch.training.config import LoopConfig
from cerebatch.training.tasks.base import Forward, Lesson

CHECKPOINT = "checkpoint.pt"
_ADAM_SHARE = 2 / 3
_LAST_RATE = 0.05
_SEED_OF_STEP = 1_000_003
_RELEASE_EVERY = 10


@dataclass(frozen=True)
class Progress:
    """What a training tells now and then.

    Attributes
    ----------
    step : int
    loss : float
        Mean since the last one.
    seconds : float
        A step, since the last one.
    figures : (K,) float or None
        What the lesson's check found, where the validation cases were looked at.
    """

    step: int
    loss: float
    seconds: float
    figures: NDArray[np.float64] | None = None


class Training:
    """A network in training.

    Parameters
    ----------
    config : LoopConfig
    lesson : Lesson
    folder : Path
        Gets the checkpoint; one that is there is gone on with.
    """

    def __init__(self, config: LoopConfig, lesson: Lesson, folder: Path) -> None:
        self._config, self._lesson, self._folder = config, lesson, folder
        keep_memory()
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self._device = named_device(config.device)
        self.network = lesson.network().to(device=self._device, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        if config.start is not None:
            card = read_card(config.start, lesson.card)
            fill(part_of(self.network, card), config.start, card)
        self.averaged = torch.optim.swa_utils.AveragedModel(self.network, avg_fn=_moving_average(config.average))
        self.step = 0
        self._optimizer = self._make_optimizer()
        checkpoint = folder / CHECKPOINT
        if checkpoint.exists():
            self._resume(torch.load(checkpoint, map_location=self._device, weights_only=True))

    def run(self) -> Iterator[Progress]:
        """Go on to the last step; yields at each checkpoint."""
        losses: list[float] = []
        began = time.perf_counter()
        while self.step < self._config.steps:
            losses.append(self._one_step())
            self.step += 1
            if self.step % _RELEASE_EVERY == 0:
                release_memory()
            last = self.step == self._config.steps
            if last or self.step % self._config.checkpoint_every == 0:
                seconds = (time.perf_counter() - began) / len(losses)
                due = last or self.step % self._config.validate_every == 0
                yield Progress(self.step, float(np.mean(losses)), seconds, self._validate() if due else None)
                self._save()
                losses, began = [], time.perf_counter()

    def _one_step(self) -> float:
        if self._adamax_begins():
            self._optimizer = self._make_optimizer()
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate()
        self.network.train()
        loss = self._lesson.loss(self._forward(self.network), self._config.seed * _SEED_OF_STEP + self.step)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self.averaged.update_parameters(self.network)
        return float(loss.detach())

    def _validate(self) -> NDArray[np.float64]:
        with torch.inference_mode():
            return self._lesson.check(self._forward(self.averaged.module.eval()))

    def _forward(self, network: nn.Module) -> Forward:
        def forward(image: Tensor) -> Tensor:
            with self._precision():
                answer: Tensor = network(image.to(self._device, memory_format=torch.channels_last_3d))
            return answer

        return forward

    def _precision(self) -> AbstractContextManager[Any]:
        if not self._config.mixed_precision:
            return nullcontext()
        return torch.autocast(self._device.type, torch.bfloat16)

    def _rate(self) -> float:
        begins = self._config.falls_from * self._config.steps
        way = max(0.0, self.step - begins) / (self._config.steps - begins)
        falls = 0.5 * (1 + math.cos(math.pi * way))
        return self._config.learning_rate * (_LAST_RATE + (1 - _LAST_RATE) * falls)

    def _is_adam(self) -> bool:
        if self._config.optimizer == "adam, then adamax":
            return self.step < round(_ADAM_SHARE * self._config.steps)
        return self._config.optimizer == "adam"

    def _adamax_begins(self) -> bool:
        return isinstance(self._optimizer, torch.optim.Adam) and not self._is_adam()

    def _make_optimizer(self) -> torch.optim.Optimizer:
        kind = torch.optim.Adam if self._is_adam() else torch.optim.Adamax
        return kind(self.network.parameters(), lr=self._rate())

    def _save(self) -> None:
        state = {
            "step": self.step,
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        with written_whole(self._folder / CHECKPOINT) as unfinished:
            torch.save(state, unfinished)

    def _resume(self, state: dict[str, Any]) -> None:
        self.step = int(state["step"])
        self.network.load_state_dict(state["network"])
        self.averaged.load_state_dict(state["averaged"])
        # A checkpoint was written before the step that would exchange the optimiser.
        before = self.step
        self.step = max(0, before - 1)
        self._optimizer = self._make_optimizer()
        self.step = before
        self._optimizer.load_state_dict(state["optimizer"])


def _moving_average(most: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Exponential; short at first, so that nothing is left of where the weights began."""

    def average(averaged: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
        return torch.lerp(current, averaged, min(most, (1 + int(steps)) / (10 + int(steps))))

    return average
