"""From a configuration to what the loop trains: data made ready, the lesson, and the card that tells of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path
from typing import Any

from cerebatch.errors import DatasetError, LabelMapError, LibraryError
from cerebatch.io.bids import find_cases
from cerebatch.io.scan import read_scan
from cerebatch.library.augmented.store import AugmentedSet, open_augmented
from cerebatch.library.store import Library, open_library
from cerebatch.networks.auxiliary.intracranial import VOXEL_MM
from cerebatch.networks.card import BaseCard, Card, HelperCard, read_card
from cerebatch.spatial.space import Volume
from cerebatch.training.atlases import TrainingAtlases
from cerebatch.training.config import (
    CascadeConfig,
    IcvConfig,
    LibraryConfig,
    LoopConfig,
    RegistrationConfig,
    SuperresConfig,
    T2SynthConfig,
    TrainingConfig,
)
from cerebatch.training.geometry import COARSE_MM, Geometries
from cerebatch.training.outlined import OutlinedScan, read_outlined
from cerebatch.training.samples import Samples
from cerebatch.training.tasks.base import Lesson
from cerebatch.training.tasks.cascade import CascadeLesson
from cerebatch.training.tasks.icv import HeadShares, IcvLesson
from cerebatch.training.tasks.registration import RegistrationLesson
from cerebatch.training.tasks.segmentation import SegmentationLesson
from cerebatch.training.tasks.superres import SuperresLesson
from cerebatch.training.tasks.t2synth import T2SynthLesson

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Course:
    """What a configuration asks for.

    Attributes
    ----------
    lesson : Lesson
    card : callable
        Number of parameters -> card of the weights.
    """

    lesson: Lesson
    card: Callable[[int], BaseCard]


@singledispatch
def course_of(config: LoopConfig, tell: Tell) -> Course:
    """Make ready what a training needs.

    Parameters
    ----------
    config : LoopConfig
        Of any network.
    tell : callable
        Gets a line for each thing that had to be made first.

    Raises
    ------
    LibraryError, LabelMapError
        The data cannot be used, or do not know whom to hold out.
    WeightsError
        The weights to start from cannot be used.
    """
    raise TypeError(f"no course for {type(config).__name__}")


@course_of.register
def _segmentation(config: TrainingConfig, tell: Tell) -> Course:
    library = _library(config.library, config.hold_out, config.hold_out_heads)
    atlases = TrainingAtlases(library, config.atlases)
    if len(config.hold_out) <= 1:  # with more there is no atlas without them all
        for name in atlases.make(config.threads):
            tell(f"atlas of {name}")
    augmented = None if config.augmented is None else _augmented(config.augmented, library)
    samples = Samples(
        library,
        atlases,
        config.task,
        hold_out=config.hold_out,
        hold_out_heads=config.hold_out_heads,
        augmented=augmented,
    )
    training = {
        "library": library.digest,
        "persons": sorted({library.persons[k] for k in samples.training}),
        "heads": sorted({library.heads[k] for k in samples.training}),
        **({} if augmented is None else {"augmented": augmented.digest, "augmented cases": len(samples.carried)}),
        **_told(config, Card),
    }
    return Course(
        SegmentationLesson(samples, config.architecture, config.task, config.validation_cases),
        lambda parameters: Card(
            architecture=config.architecture,
            task=config.task,
            resolution_mm=library.resolution,
            parameters=parameters,
            training=training,
        ),
    )


@course_of.register
def _cascade(config: CascadeConfig, tell: Tell) -> Course:
    library = _library(config.library, config.hold_out, ())
    geometries = Geometries(library, config.geometries, config.count, config.hold_out)
    learnt, checked = ([_outlined(config, name) for name in names] for names in (config.learnt, config.checked))
    training = {
        "library": library.digest,
        "persons": sorted({library.persons[k] for k in geometries.cases}),
        "heads": sorted({library.heads[k] for k in geometries.cases}),
        "geometries": config.count,
        "outlined scans": list(config.learnt),
        "outlined scans to judge by": list(config.checked),
        "loss": "cross-entropy on soft targets and Dice; minus the logarithm of the allowed classes' sum",
        **_told(config, Card),
    }
    return Course(
        CascadeLesson(geometries, learnt, checked, config.architecture, config.task),
        lambda parameters: Card(
            format=2,
            architecture=config.architecture,
            task=config.task,
            channels=("T1w", "T2w", "atlas, one channel a class"),
            resolution_mm=COARSE_MM,
            parameters=parameters,
            training=training,
        ),
    )


def _outlined(config: CascadeConfig, name: str) -> OutlinedScan:
    assert config.prepared is not None and config.outlines is not None
    found = sorted(config.outlines.rglob(f"{name}_desc-manual_dseg.nii.gz"))
    if len(found) != 1 or not (config.prepared / name / "prepared.json").exists():
        raise DatasetError(
            config.outlines,
            expected=f"one manual label map of {name}, and its prepared scan in {config.prepared / name}",
            found=f"{len(found)} label maps" if len(found) != 1 else "no prepared scan",
            do="Correct `learnt` and `checked`.",
        )
    return read_outlined(config.prepared / name, found[0])


@course_of.register
def _icv(config: IcvConfig, tell: Tell) -> Course:
    heads = HeadShares(_head_maps(config.heads), config.kept)
    if strangers := set(config.hold_out_heads) - set(heads.names):
        raise LabelMapError(
            config.heads,
            expected=f"{', '.join(sorted(strangers))} among its heads, to be held out",
            found=", ".join(heads.names),
            do="Correct `hold_out_heads`.",
        )
    for name in heads.make(config.threads):
        tell(f"made ready: {name}")
    learnt = sorted(set(heads.names) - set(config.hold_out_heads))
    return Course(
        IcvLesson(heads, config.hold_out_heads),
        lambda parameters: HelperCard(
            network="icv",
            channels=("T1w",),
            resolution_mm=VOXEL_MM,
            parameters=parameters,
            training={"heads": learnt, **_told(config, HelperCard)},
            licence="Apache-2.0",
        ),
    )


@course_of.register
def _superres(config: SuperresConfig, tell: Tell) -> Course:
    library = _library(config.library, config.hold_out)
    learnt, checked = (_scans(config.scans, names) for names in (config.learn_scans, config.check_scans))
    return Course(
        SuperresLesson(library, learnt, hold_out=config.hold_out, checked=checked),
        _helper_card(config, library, {"scans": sorted(config.learn_scans)}),
    )


def _scans(dataset: Path | None, names: tuple[str, ...]) -> list[Volume]:
    """Scans of the people that are named; no name, no scans."""
    if dataset is None or not names:
        return []
    cohort = find_cases(dataset, participants=names)
    if cohort.problems:
        problem = cohort.problems[0]
        raise DatasetError(
            problem.path,
            expected=f"a T1w of {', '.join(names)}",
            found=problem.reason,
            do="Correct `learn_scans` and `check_scans`.",
        )
    return [read_scan(case.t1w).image for case in cohort.cases]


@course_of.register
def _t2synth(config: T2SynthConfig, tell: Tell) -> Course:
    library = _library(config.library, config.hold_out)
    return Course(T2SynthLesson(library, config.hold_out), _helper_card(config, library))


@course_of.register
def _registration(config: RegistrationConfig, tell: Tell) -> Course:
    library = _library(config.library, config.hold_out)
    return Course(RegistrationLesson(library, config.hold_out), _helper_card(config, library))


def _library(path: Path, hold_out: tuple[str, ...], hold_out_heads: tuple[str, ...] = ()) -> Library:
    """A library that knows whom to hold out."""
    library = open_library(path)
    for asked, known in ((hold_out, library.persons), (hold_out_heads, library.heads)):
        if strangers := set(asked) - set(known):
            raise LibraryError(
                path,
                expected=f"{', '.join(sorted(strangers))} among its people and heads, to be held out",
                found=", ".join(sorted(set(known))),
                do="Correct `hold_out` and `hold_out_heads`.",
            )
    return library


def _augmented(path: Path, library: Library) -> AugmentedSet:
    """An augmentation set on the library's grid."""
    augmented = open_augmented(path)
    if augmented.resolution != library.resolution:
        raise LibraryError(
            path,
            expected=f"cases of {library.resolution:g} mm, like the library's",
            found=f"cases of {augmented.resolution:g} mm",
            do="Make the set from this library.",
        )
    return augmented


def _helper_card(
    config: LibraryConfig, library: Library, more: dict[str, Any] | None = None
) -> Callable[[int], BaseCard]:
    persons = sorted(set(library.persons) - set(config.hold_out))
    training = {"library": library.digest, "persons": persons, **(more or {}), **_told(config, HelperCard)}
    return lambda parameters: HelperCard(
        network=config.network,
        channels=("fixed T1w", "moving T1w") if config.network == "registration" else ("T1w",),
        resolution_mm=library.resolution,
        parameters=parameters,
        training=training,
    )


def _head_maps(folder: Path) -> tuple[Path, ...]:
    paths = tuple(sorted(folder.glob("*_dseg.nii.gz")))
    if not paths:
        raise LabelMapError(
            folder,
            expected="whole-head label maps, *_dseg.nii.gz",
            found="none",
            do="Give a folder of maps such as SynthSeg's training label maps.",
        )
    return paths


def _told(config: LoopConfig, kind: type[BaseCard]) -> dict[str, Any]:
    """What every card tells of a training."""
    start = None if config.start is None else read_card(config.start, kind).training
    return {"steps": config.steps, "seed": config.seed, "start": start}
