"""The way of one scan: prepare, atlas, segment, measure."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from cerebatch.batch.job import STAGES, Job, Needs, Stage
from cerebatch.batch.ledger.records import read_record
from cerebatch.errors import UnreadableScanError
from cerebatch.io.bids import Case
from cerebatch.io.files import require_absolute
from cerebatch.io.scan import stored_voxels
from cerebatch.io.stamp import FileStamp
from cerebatch.library.found import WORTH
from cerebatch.library.mean import mean_digest
from cerebatch.library.store import digest as library_digest
from cerebatch.networks import folder as weight_files
from cerebatch.networks.auxiliary.loading import helper_card
from cerebatch.networks.card import Helper
from cerebatch.quality.rating import thresholds_digest
from cerebatch.stages import atlas, measure, prepare, segment
from cerebatch.stages.settings import RunSettings

SOFTWARE = ("cerebatch", "antspyx", "nibabel", "nilearn", "numpy", "picsl-greedy", "scipy")

_MEMORY_GB = {"prepare": (2.0, 4.0), "atlas": (2.0, 8.0), "segment": (2.0, 8.0), "measure": (2.0, 4.0)}
"""Of a case at 1 and at 0.5 mm, about twice what was measured."""
_NETWORKS_GB = (4.0, 16.0)
"""Of `segment` where it holds networks, at 1 and at 0.5 mm."""


@dataclass(frozen=True)
class CaseJob(Job):
    """A scan of a BIDS dataset.

    Attributes
    ----------
    case : Case
    settings : RunSettings
        Its paths absolute.
    """

    case: Case = field(kw_only=True)
    settings: RunSettings = field(kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_absolute(*(value for _, value in self.settings if isinstance(value, Path)))

    def needs(self) -> dict[str, Needs]:
        """What each stage needs; ANTs runs on one thread, the atlas on those of the settings, networks in actors."""
        settings = self.settings
        fine = settings.resolution < 1
        threads = {"prepare": 1}
        needs = {
            stage: Needs("cpu", threads.get(stage, settings.threads), _MEMORY_GB[stage][fine])
            for stage in STAGES
            if stage != "atlas" or settings.library is not None
        }
        if settings.method == "networks":
            needs["segment"] = Needs("gpu", 1, _NETWORKS_GB[fine])
        return needs

    def memory_gb(self, stage: str) -> float:
        """Of `prepare` by the voxels in the headers of its scans; 0 where they cannot be read."""
        if stage != "prepare":
            return 0.0
        scans = [path for path in (self.case.t1w, self.case.t2w) if path is not None]
        try:
            return prepare.memory_gb([stored_voxels(path) for path in scans])
        except UnreadableScanError:
            return 0.0

    def plan(self) -> list[Stage]:
        """The stages with the keys that today's inputs and settings give.

        Raises
        ------
        UnreadableScanError
            A scan cannot be opened.
        """
        case, settings = self.case, self.settings
        known = _known_stamps(self)
        scans: dict[str, FileStamp | str] = {}
        for role, path in (("T1w", case.t1w), ("T2w", case.t2w)):
            if path is not None:
                scans[role] = _stamp(path, known.get(role))
        at = {"resolution": settings.resolution}
        prepared = Stage(
            "prepare", prepare.VERSION,
            scans | _helper("icv", settings.icv) | _helper("superres", settings.superres),
            at | {"seed": settings.seed}, self.scratch / "prepare",
            lambda folder: prepare.prepare(
                case.t1w, folder, t2w=case.t2w, resolution=settings.resolution, seed=settings.seed, icv=settings.icv,
                superres=settings.superres,
            ),
        )  # fmt: skip
        labelled, origin = _labelled(self, prepared, known)
        segmented = labelled[-1]
        measured = Stage(
            "measure", measure.VERSION, {"segment": segmented.key, "thresholds": thresholds_digest()}, at,
            (self.out_dir / case.folder).parent,
            lambda folder: measure.measure(
                case, prepared.folder, segmented.folder, folder,
                provenance=_provenance(settings, origin), resolution=settings.resolution, threads=settings.threads,
            ),
        )  # fmt: skip
        return [prepared, *labelled, measured]


def _labelled(job: CaseJob, prepared: Stage, known: dict[str, FileStamp]) -> tuple[list[Stage], dict[str, Any]]:
    """The stages that give a prepared scan its labels, the last being `segment`, and where these come from."""
    settings, folder = job.settings, job.scratch / "segment"
    at = {"resolution": settings.resolution}
    origin: dict[str, Any] = {"Method": settings.method}
    stages: list[Stage] = []
    if settings.library is not None:
        library = settings.library
        digest = library_digest(library)
        origin["Library"] = {"Name": library.name, "Digest": digest, "Note": WORTH}
        inputs: dict[str, FileStamp | str] = {"prepare": prepared.key, "library": digest}
        by = _helper("registration", settings.registration)
        if settings.composed:
            by["mean"] = mean_digest(library)
        origin["Registration"] = by.get("registration", "composed" if settings.composed else "greedy")
        stages.append(Stage(
            "atlas", atlas.VERSION, inputs | by, at, job.scratch / "atlas",
            lambda folder: atlas.atlas(
                library, prepared.folder, folder,
                threads=settings.threads, registration=settings.registration, composed=settings.composed,
            ),
        ))  # fmt: skip
    if settings.weights is not None:
        return [*stages, _by_networks(job, prepared, stages, origin)], origin
    if stages:
        (made,) = stages
        segmented = Stage(
            "segment", segment.VERSION, {"atlas": made.key}, {}, folder,
            lambda folder: segment.segment_by_atlas(made.folder, folder),
        )  # fmt: skip
        return [made, segmented], origin
    case = settings.labelled_case
    assert case is not None  # RunSettings saw to it
    stamp = _stamp(case, known.get("labelled_case"))
    segmented = Stage(
        "segment", segment.VERSION, {"prepare": prepared.key, "labelled_case": stamp}, at, folder,
        lambda folder: segment.segment_by_case(
            case, folder, resolution=settings.resolution, threads=settings.threads
        ),
    )  # fmt: skip
    origin["LabelledCase"] = {"File": case.name, "SHA256": stamp.sha256}
    return [segmented], origin


def _by_networks(job: CaseJob, prepared: Stage, atlases: list[Stage], origin: dict[str, Any]) -> Stage:
    """The visit to the actors; tells where the networks come from and whether they saw an atlas."""
    settings = job.settings
    weights = settings.weights
    assert weights is not None
    digest = weight_files.digest(weights)
    origin |= {"Weights": {"Name": weights.name, "Digest": digest}, "AtlasChannel": bool(atlases)}
    votes = atlases[0].folder if atlases else None
    inputs: dict[str, FileStamp | str] = {"prepare": prepared.key, "weights": digest}
    synthesis = None if job.case.t2w is not None else settings.t2_synthesis
    inputs |= _helper("t2synth", synthesis)
    if synthesis is not None:
        origin["T2w"] = f"made up from the T1w by network {inputs['t2synth']}"
    return Stage(
        "segment", segment.VERSION, inputs | {stage.name: stage.key for stage in atlases},
        {"precision": settings.precision, "probseg": settings.probseg}, job.scratch / "segment",
        lambda folder: segment.segment_by_networks(
            weights, prepared.folder, votes, folder, precision=settings.precision, probseg=settings.probseg,
            t2_synthesis=synthesis,
        ),
    )  # fmt: skip


def _helper(name: Helper, weights: Path | None) -> dict[str, FileStamp | str]:
    """Digest of a helper network's weights as an input of a stage; nothing where none is used."""
    return {} if weights is None else {name: helper_card(weights, name).sha256}


def _known_stamps(job: CaseJob) -> dict[str, FileStamp]:
    """Stamps in earlier records, so that bytes are read again only where size or time changed."""
    known: dict[str, FileStamp] = {}
    for stage in ("prepare", "segment"):
        record = read_record(job.record_path(stage))
        if record is not None:
            known |= {role: stamp for role, stamp in record.inputs.items() if isinstance(stamp, FileStamp)}
    return known


def _stamp(path: Path, known: FileStamp | None) -> FileStamp:
    try:
        return FileStamp.of(path, known)
    except OSError as error:
        raise UnreadableScanError(
            path, expected="a file that can be read", found=error.strerror or str(error), do="Check path and rights."
        ) from error


def _provenance(settings: RunSettings, origin: dict[str, Any]) -> dict[str, Any]:
    return {
        **origin,
        "Settings": {"resolution": settings.resolution, "seed": settings.seed},
        "Software": _software(),
    }


@cache
def _software() -> dict[str, str]:
    return {name: version(name) for name in SOFTWARE}
