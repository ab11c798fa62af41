"""Every profile that cerebatch brings runs every method as it is, at both resolutions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cerebatch.augment.atlas_pass import AtlasJob
from cerebatch.augment.job import AugmentJob
from cerebatch.augment.registration import Registration
from cerebatch.augment.targets import Target
from cerebatch.batch.case import CaseJob
from cerebatch.batch.cluster.profile import Cluster, load_profile, profile_names, require_fit
from cerebatch.batch.job import KNOWN_STAGES, Job
from cerebatch.io.bids import Case
from cerebatch.stages.settings import RunSettings

SCAN, LIBRARY, WEIGHTS = Path("/bids/sub-1_T1w.nii.gz"), Path("/library.zarr"), Path("/weights")
CASE = Case("1", None, SCAN)
METHODS: dict[str, dict[str, Any]] = {
    "networks": {"method": "networks", "weights": WEIGHTS},
    "networks that see an atlas": {"method": "networks", "weights": WEIGHTS, "library": LIBRARY},
    "networks and all auxiliary ones": {
        "method": "networks", "weights": WEIGHTS, "library": LIBRARY, "registration": WEIGHTS, "icv": WEIGHTS,
        "superres": WEIGHTS, "t2_synthesis": WEIGHTS, "probseg": True,
    },
    "atlas": {"method": "atlas", "library": LIBRARY},
    "single case": {"method": "single case", "labelled_case": SCAN},
}  # fmt: skip
FOLDERS = ("sub-1", Path("/out"), Path("/out/work"))


def jobs_at(resolution: float) -> dict[str, Job]:
    """A job of each kind that commands make."""
    runs = {
        name: CaseJob(*FOLDERS, case=CASE, settings=RunSettings(resolution=resolution, **chosen))
        for name, chosen in METHODS.items()
    }
    of_set: dict[str, Any] = {"store": Path("/set.zarr"), "index": 0, "library": LIBRARY, "digest": "d"}
    target = Target("sub-1", "1", SCAN, CASE)
    return {
        **runs,
        "augment": AugmentJob(*FOLDERS, target=target, registration=Registration(resolution), seed=1, **of_set),
        "augment atlas": AtlasJob(*FOLDERS, sha256="s", source="case", resolution=resolution, count=20, **of_set),
    }


@pytest.mark.parametrize("profile", profile_names())
@pytest.mark.parametrize("resolution", [1.0, 0.5])
@pytest.mark.parametrize("kind", [*METHODS, "augment", "augment atlas"])
def test_every_shipped_profile_runs_every_method(
    profile: str, resolution: float, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "cerebatch.batch.cluster.profile.available_gb", lambda: 16.0
    )  # of a laptop, for the profile `local`
    place = load_profile(profile)
    require_fit(place, place.adjusted(jobs_at(resolution)[kind].needs(), also=KNOWN_STAGES))


@pytest.mark.parametrize("profile", ["slurm", "slurm-gpu"])
def test_a_job_has_memory_for_more_than_its_stages(profile: str) -> None:
    """The worker and Ray live in it, too, and Slurm ends a job that takes more than it asked for."""
    place = load_profile(profile)
    assert isinstance(place, Cluster)
    assert place.gpu is not None
    for resolution in (1.0, 0.5):
        for need in (need for job in jobs_at(resolution).values() for need in job.needs().values()):
            job_class = place.gpu if need.kind == "gpu" else next(one for one in place.workers if one.holds(need))
            at_once = place.gpu.actors if need.kind == "gpu" else min(
                job_class.cores // need.threads, int(job_class.memory_gb / need.memory_gb)
            )  # fmt: skip
            assert job_class.memory_gb - at_once * need.memory_gb >= 1.0, need
