"""A training from its configuration to weights with a card."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import yaml
from pydantic import ValidationError

from cerebatch.errors import LibraryError, SettingsError
from cerebatch.files import write_json
from cerebatch.library.store import open_library
from cerebatch.networks.blocks import parameters_of
from cerebatch.networks.card import Card, read_card
from cerebatch.networks.weights import write_weights
from cerebatch.training.atlases import TrainingAtlases
from cerebatch.training.config import TrainingConfig
from cerebatch.training.lesson import SegmentationLesson
from cerebatch.training.log import TrainingLog
from cerebatch.training.loop import CHECKPOINT, Training
from cerebatch.training.samples import Samples

CONFIG_NAME = "config.json"


def read_config(path: Path) -> TrainingConfig:
    """Read the YAML file of a training; relative paths in it start at its folder.

    Raises
    ------
    SettingsError
        No such file, no YAML, or not what a configuration says.
    """
    try:
        content = yaml.safe_load(path.read_text())
        config = TrainingConfig.model_validate(content)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"{path}: expected a YAML file with settings of a training, found {error}") from error
    except ValidationError as error:
        problems = "; ".join(f"`{'.'.join(map(str, one['loc']))}`: {one['msg']}" for one in error.errors())
        raise SettingsError(f"{path}: {problems}") from error
    base = path.resolve().parent
    paths = {name: base / value for name in ("library", "atlases", "start") if (value := getattr(config, name))}
    return config.model_copy(update=paths)


def train(config: TrainingConfig, folder: Path, tell: Callable[[str], None]) -> Path:
    """Train a network, or go on with one.

    Parameters
    ----------
    config : TrainingConfig
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
    LibraryError
        The library cannot be used, or does not know whom to hold out.
    WeightsError
        The weights to start from cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _claim(folder, config)
    library = open_library(config.library)
    _require_known(config, library.path, library.persons, library.heads)
    atlases = TrainingAtlases(library, config.atlases)
    for name in atlases.make(config.threads):
        tell(f"atlas of {name}")
    samples = Samples(library, atlases, config.task, hold_out=config.hold_out, hold_out_heads=config.hold_out_heads)
    lesson = SegmentationLesson(samples, config.architecture, config.task, config.validation_cases)
    training = Training(config, lesson, folder)
    with TrainingLog(folder, lesson.figures) as log:
        for progress in training.run():
            log.add(progress)
            dice = "" if progress.figures is None else f", Dice {progress.figures.mean():.3f}"
            tell(f"step {progress.step}: loss {progress.loss:.3f}, {progress.seconds:.2f} s a step{dice}")
    persons = sorted({library.persons[k] for k in samples.training})
    card = Card(
        architecture=config.architecture,
        task=config.task,
        resolution_mm=library.resolution,
        parameters=parameters_of(training.network),
        training={
            "library": library.digest,
            "persons": persons,
            "heads": sorted({library.heads[k] for k in samples.training}),
            "steps": config.steps,
            "seed": config.seed,
            "start": None if config.start is None else read_card(config.start).training,
        },
    )
    return write_weights(folder, training.averaged.module, card)


def _claim(folder: Path, config: TrainingConfig) -> None:
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


def _require_known(config: TrainingConfig, path: Path, persons: tuple[str, ...], heads: tuple[str, ...]) -> None:
    for asked, known in ((set(config.hold_out), persons), (set(config.hold_out_heads), heads)):
        if strangers := asked - set(known):
            raise LibraryError(
                path,
                expected=f"{', '.join(sorted(strangers))} among its people and heads, to be held out",
                found=", ".join(sorted(set(known))),
                do="Correct `hold_out` and `hold_out_heads`.",
            )
