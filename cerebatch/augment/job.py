"""The way of a target through the relay: `prepare` where it is a scan, then `augment`, which bends a case onto it.

The voxels go straight into the set; what the relay records is a small file that tells of the case and names the digest
of its voxels. A stage that runs twice, or at once in two places, writes the same bytes twice.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cerebatch.atlas.similar import LeaveOut
from cerebatch.augment.choose import most_similar_case, open_cached
from cerebatch.augment.quality import Checks, check, reasons
from cerebatch.augment.registration import Registration
from cerebatch.augment.targets import Target, read_prepared
from cerebatch.augment.warp import bend
from cerebatch.augment.writing import write_voxels
from cerebatch.batch.job import Job, Needs, Stage
from cerebatch.batch.ledger.records import read_record
from cerebatch.errors import UnreadableScanError
from cerebatch.io.files import require_absolute
from cerebatch.io.stamp import FileStamp
from cerebatch.library.augmented.layout import DONE, SET_ASIDE
from cerebatch.timing import Step, StepLog

VERSION = 1

TOLD = "case.json"
"""Name of the file that tells of a case."""

_PREPARE_GB, _AUGMENT_GB = (2.0, 4.0), (2.0, 8.0)
"""Of a case at 1 and at 0.5 mm."""


@dataclass(frozen=True)
class AugmentJob(Job):
    """One target.

    Attributes
    ----------
    target : Target
    store : Path
        The set that its case goes into.
    index : int
        Place of the case in the set.
    library : Path
    digest : str
        Of the library.
    registration : Registration
        At the resolution of the library.
    seed : int
    keep_set_aside : bool
        Whether the voxels of a case that is set aside are stored.
    hold_out : tuple of str
        People and heads of the library whose cases are not bent.
    """

    target: Target = field(kw_only=True)
    store: Path = field(kw_only=True)
    index: int = field(kw_only=True)
    library: Path = field(kw_only=True)
    digest: str = field(kw_only=True)
    registration: Registration = field(kw_only=True)
    seed: int = field(kw_only=True)
    keep_set_aside: bool = field(kw_only=True, default=False)
    hold_out: tuple[str, ...] = field(kw_only=True, default=())

    def __post_init__(self) -> None:
        super().__post_init__()
        require_absolute(self.target.t1w, self.store, self.library, self.registration.weights)

    @property
    def told(self) -> Path:
        """Where it is told of the case once it is made."""
        return self.out_dir / "made" / self.name / TOLD

    def needs(self) -> dict[str, Needs]:
        """What each stage needs; greedy and ANTs run on one thread, one case a core."""
        fine = self.registration.resolution < 1
        needs = {"augment": Needs("cpu", 1, _AUGMENT_GB[fine])}
        return needs if self.target.case is None else {"prepare": Needs("cpu", 1, _PREPARE_GB[fine])} | needs

    def plan(self) -> list[Stage]:
        """The stages with the keys that today's inputs and settings give.

        Raises
        ------
        UnreadableScanError
            A scan cannot be opened.
        """
        settings = {
            "seed": self.seed,
            "keep_set_aside": self.keep_set_aside,
            "hold_out": list(self.hold_out),
            "target_made_from": list(self.target.made_from),
        }
        if self.target.case is None:
            inputs: dict[str, FileStamp | str] = {"target": _stamp(self, "augment", "target", self.target.t1w)}
            return [self._augment(self.target.t1w, inputs, settings)]
        prepared = self._prepare()
        return [prepared, self._augment(prepared.folder / "T1w.nii.gz", {"prepare": prepared.key}, settings)]

    def _prepare(self) -> Stage:
        """The stage of `run` itself, on the T1w alone: the same key for the same scan."""
        from cerebatch.stages import prepare

        target, resolution, seed = self.target.t1w, self.registration.resolution, self.seed
        return Stage(
            "prepare", prepare.VERSION, {"T1w": _stamp(self, "prepare", "T1w", target)},
            {"resolution": resolution, "seed": seed}, self.scratch / "prepare",
            lambda folder: prepare.prepare(target, folder, resolution=resolution, seed=seed),
        )  # fmt: skip

    def _augment(self, t1w: Path, inputs: dict[str, FileStamp | str], settings: dict[str, Any]) -> Stage:
        inputs = inputs | {"library": self.digest}
        if self.registration.weights is not None:
            inputs |= {"registration": self.registration.told()["tool_version"]}
        return Stage(
            "augment", VERSION, inputs, settings, self.told.parent, lambda folder: augment(self, t1w, folder)
        )  # fmt: skip


def augment(job: AugmentJob, t1w: Path, folder: Path) -> list[Step]:
    """Make the case of one target: its voxels into the set, what is told of it into ``case.json``.

    Parameters
    ----------
    job : AugmentJob
    t1w : Path
        Prepared T1w of the target in the box.
    folder : Path
        Exists; gets ``case.json``.

    Returns
    -------
    steps : list of Step

    Raises
    ------
    ScanError
        The prepared T1w cannot be used.
    LibraryError, WeightsError
        Library, set or weights cannot be used.
    StageError
        Greedy failed.
    """
    log = StepLog()
    with log.step("open"):
        cached = open_cached(job.library, job.digest)
        target = read_prepared(t1w, job.registration.resolution)
    library = cached.library
    with log.step("choose"):
        choice = most_similar_case(target, cached, LeaveOut(job.hold_out, job.hold_out))
    with log.step("read"):
        case, labels = library.image(choice.index, "T1w"), library.dseg(choice.index)
    with log.step("register"):
        displacement = job.registration.field(target, case, cached.region, job.seed)
    with log.step("bend"):
        bent = bend(library, choice.index, displacement)
    with log.step("check"):
        checks = check(target, case, labels, bent, displacement, cached.region, library.grid.voxel_volume_mm3)
        wrong = reasons(checks)
    with log.step("write"):
        sha256 = ""
        if not wrong or job.keep_set_aside:
            sha256 = write_voxels(job.store, job.index, bent, library.rendered[choice.index])
        told = {
            "status": SET_ASIDE if wrong else DONE, "reason": "; ".join(wrong),
            "source": library.names[choice.index], "person": library.persons[choice.index],
            "head": library.heads[choice.index], "mirrored": library.mirrored[choice.index],
            "rendered": library.rendered[choice.index],
            "target": job.target.t1w.name, "target_person": job.target.person,
            "target_made_from": ",".join(job.target.made_from), "distance": choice.distance,
            "seed": job.seed, **job.registration.told(), "sha256": sha256, **_as_told(checks),
        }  # fmt: skip
        (folder / TOLD).write_text(json.dumps(told, indent=1) + "\n")
    return log.steps


def gather(jobs: Sequence[AugmentJob]) -> dict[int, dict[str, Any]]:
    """What is told of the cases that were made, by their places in the set."""
    return {job.index: json.loads(job.told.read_text()) for job in jobs if job.told.is_file()}


def _as_told(checks: Checks) -> dict[str, Any]:
    return asdict(checks)


def _stamp(job: AugmentJob, stage: str, role: str, path: Path) -> FileStamp:
    """Stamp of a scan; its bytes are read again only where size or time differ from the last record."""
    record = read_record(job.record_path(stage))
    known = record.inputs.get(role) if record is not None else None
    try:
        return FileStamp.of(path, known if isinstance(known, FileStamp) else None)
    except OSError as error:
        raise UnreadableScanError(
            path, expected="a file that can be read", found=error.strerror or str(error), do="Check path and rights."
        ) from error
