"""What a case needs is told from its scan before it gets a place."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cerebatch.batch.case import CaseJob
from cerebatch.batch.cluster.profile import Cluster, Local, Profile, Serial, WorkerClass
from cerebatch.batch.run import own_needs
from cerebatch.io.bids import Case
from cerebatch.stages.settings import RunSettings

SMALL, LARGE = (182, 218, 182), (360, 512, 440)


def job_of(folder: Path, shape: tuple[int, int, int]) -> CaseJob:
    """A job whose scan says in its header that it is so large; it has no voxels at all."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape(shape)
    header.set_sform(np.eye(4), code=1)
    header.set_data_offset(352)
    scan = folder / "sub-1_T1w.nii"
    with scan.open("wb") as file:
        header.write_to(file)
    settings = RunSettings(method="single case", labelled_case=Path("/case.nii.gz"))
    return CaseJob("sub-1", folder, folder / "work", case=Case("1", None, scan), settings=settings)


def given(profile: Profile, job: CaseJob, stage: str = "prepare") -> float:
    """GB that a stage of a job gets."""
    return own_needs(profile, job, stage, profile.adjusted(job.needs())[stage]).memory_gb


def test_a_head_of_half_a_millimetre_gets_more_memory_and_no_other_stage_does(tmp_path: Path) -> None:
    place = Local(kind="local", memory_gb=16.0)
    assert given(place, job_of(tmp_path, SMALL)) == job_of(tmp_path, SMALL).needs()["prepare"].memory_gb
    large = job_of(tmp_path, LARGE)
    assert 2.5 < given(place, large) < 4.0
    assert given(place, large, "measure") == large.needs()["measure"].memory_gb


def test_nobody_waits_for_more_than_a_place_has(tmp_path: Path) -> None:
    assert given(Local(kind="local", memory_gb=2.2), job_of(tmp_path, LARGE)) == 2.2


def test_a_cluster_gives_as_much_as_its_largest_jobs_have(tmp_path: Path) -> None:
    classes = [
        WorkerClass(name=name, jobs=1, cores=1, memory_gb=memory_gb, walltime="01:00:00")
        for name, memory_gb in (("small", 2.1), ("large", 2.4))
    ]
    assert given(Cluster(kind="cluster", scheduler="slurm", workers=tuple(classes)), job_of(tmp_path, LARGE)) == 2.4


def test_a_profile_that_says_how_much_has_the_last_word(tmp_path: Path) -> None:
    place = Local.model_validate({"kind": "local", "memory_gb": 16.0, "stages": {"prepare": {"memory_gb": 2.1}}})
    assert given(place, job_of(tmp_path, LARGE)) == 2.1


@pytest.mark.parametrize("content", [None, b"no image"])
def test_a_scan_that_cannot_be_read_needs_what_all_need(tmp_path: Path, content: bytes | None) -> None:
    job = job_of(tmp_path, SMALL)
    job.case.t1w.unlink()
    if content is not None:
        job.case.t1w.write_bytes(content)
    assert given(Serial(kind="serial"), job) == job.needs()["prepare"].memory_gb
