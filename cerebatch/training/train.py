"""A training from its configuration to weights with a card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cerebatch.errors import SettingsError
from cerebatch.io.files import write_json
from cerebatch.library.found import VARIABLE, find_library
from cerebatch.networks.architectures.blocks import parameters_of
from cerebatch.networks.weights import write_weights
from cerebatch.training.config import NETWORKS, LoopConfig
from cerebatch.training.log import TrainingLog
from cerebatch.training.loop import CHECKPOINT, Training
from cerebatch.training.setups import course_of

CONFIG_NAME = "config.json"

_RESOLUTION = {"cascade": 0.5, "superres": 0.5}
"""Edge of the grid of the library that a network learns from, in millimetres, where it is not 1."""


def read_config(path: Path) -> LoopConfig:
    """Read the YAML file of a training; relative paths in it start at its folder.

    Raises
    ------
    SettingsError
        No such file, no YAML, or not what a configuration says.
    """
    try:
        content = yaml.safe_load(path.read_text())
        model = _model(content)
        config = model.model_validate(_with_library(model, content))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: expected a YAML file with settings of a training, found {error}") from error
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from error
    except ValidationError as error:
        problems = "; ".join(f"`{'.'.join(map(str, one['loc']))}`: {one['msg']}" for one in error.errors())
        raise SettingsError(f"{path}: {problems}") from error
    base = path.resolve().parent
    paths = {name: base / value for name, value in config if isinstance(value, Path)}
    return config.model_copy(update=paths)


def _with_library(model: type[LoopConfig], content: Any) -> Any:
    """What a file says, with the library that is found where a network learns from one and the file names none."""
    if not isinstance(content, dict) or "library" in content or "library" not in model.model_fields:
        return content
    resolution = _RESOLUTION.get(str(content.get("network")), 1.0)
    found = find_library(resolution)
    if found is None:
        raise SettingsError(
            f"`library`: expected the path of a library of {resolution:g} mm, or one that is found by {VARIABLE} or in "
            f"your data folder (`cerebatch library fetch --resolution {resolution}`), found none"
        )
    return content | {"library": str(found.path)}


def _model(content: object) -> type[LoopConfig]:
    """What a file may say, by the network that it names."""
    name = content.get("network") if isinstance(content, dict) else None
    if name not in NETWORKS:
        known = ", ".join(filter(None, NETWORKS))
        raise SettingsError(f"`network`: expected {known}, or none for a network of the ensemble, found {name!r}")
    return NETWORKS[name]


def train(config: LoopConfig, folder: Path, tell: Callable[[str], None]) -> Path:
    """Train a network, or go on with one.

    Parameters
    ----------
    config : LoopConfig
        Of any network.
    folder : Path
        Gets checkpoint, log, weights and card; made where it is missing.
    tell : callable
        Gets a line at each checkpoint.

    Returns
    -------
    path : Path
        Of the weights.

    Raises
    ------
    SettingsError
        The folder holds a training with other settings.
    LibraryError, LabelMapError
        The data cannot be used, or do not know whom to hold out.
    WeightsError
        The weights to start from cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, config)
    course = course_of(config, tell)
    training = Training(config, course.lesson, folder)
    with TrainingLog(folder, course.lesson.figures) as log:
        for progress in training.run():
            log.add(progress)
            mean = "" if progress.figures is None else f", mean of the checks {progress.figures.mean():.3f}"
            tell(f"step {progress.step}: loss {progress.loss:.3f}, {progress.seconds:.2f} s a step{mean}")
    return write_weights(folder, training.averaged.module, course.card(parameters_of(training.network)))


def _claim(folder: Path, config: LoopConfig) -> None:
    """A checkpoint goes with the settings it was made with."""
    path = folder / CONFIG_NAME
    settings = config.model_dump(mode="json", exclude={"threads", "device", "checkpoint_every"})
    if (folder / CHECKPOINT).exists() and path.exists():
        before = yaml.safe_load(path.read_text())
        changed = sorted(name for name in settings if before.get(name) != settings[name])
        if changed:
            raise SettingsError(
                f"{folder}: expected the settings of the training that lies there, found others for "
                f"{', '.join(changed)}. Give another folder, or the old settings."
            )
    write_json(path, settings)
