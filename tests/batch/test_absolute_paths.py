"""Jobs on nodes start in other folders: no job is made from a path that means something in this one alone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cerebatch.augment.atlas_pass import AtlasJob
from cerebatch.augment.job import AugmentJob
from cerebatch.augment.registration import Registration
from cerebatch.augment.targets import Target, find_targets
from cerebatch.batch.case import CaseJob
from cerebatch.batch.job import Job
from cerebatch.cli.main import app
from cerebatch.errors import InputError
from cerebatch.io.bids import Case, output_name
from cerebatch.io.description import dataset_description
from cerebatch.io.files import write_json
from cerebatch.spatial.space import TEMPLATE_SPACE
from cerebatch.stages.settings import RunSettings

RELATIVE = Path("here")
SCAN = Path("/bids/sub-1_T1w.nii.gz")
OF_SET: dict[str, Any] = {"store": Path("/set.zarr"), "index": 0, "library": Path("/library.zarr"), "digest": "d"}


def case_job(out: Path = Path("/out"), work: Path = Path("/out/work"), **settings: Any) -> CaseJob:
    """A job of a scan."""
    chosen: dict[str, Any] = {"method": "networks", "weights": Path("/weights")} | settings
    return CaseJob("sub-1", out, work, case=Case("1", None, SCAN), settings=RunSettings(**chosen))


def augment_job() -> AugmentJob:
    """A job of a target."""
    target = Target("sub-1", "1", SCAN)
    folders = ("sub-1", Path("/out"), Path("/out/work"))
    return AugmentJob(*folders, target=target, registration=Registration(1.0), seed=1, **OF_SET)


def atlas_job() -> AtlasJob:
    """A job of a case of a set."""
    folders = ("sub-1", Path("/out"), Path("/out/work"))
    return AtlasJob(*folders, sha256="s", source="case", resolution=1.0, count=20, **OF_SET)


def refused(job: Job, **changes: Any) -> None:
    """See that the job itself is made, and with a relative path is not."""
    message = re.escape(
        "here: expected an absolute path, for jobs start in other folders, found a relative one. "
        f"Give {RELATIVE.absolute()}."
    )
    with pytest.raises(InputError, match=message):
        replace(job, **changes)


@pytest.mark.parametrize("folder", ["out_dir", "work_dir"])
def test_folders_of_a_run(folder: str) -> None:
    refused(case_job(), **{folder: RELATIVE})


@pytest.mark.parametrize(
    "settings",
    [
        {"weights": RELATIVE},
        {"library": RELATIVE},
        {"method": "single case", "weights": None, "labelled_case": RELATIVE},
        {"library": Path("/library.zarr"), "registration": RELATIVE},
        {"icv": RELATIVE},
        {"superres": RELATIVE},
        {"t2_synthesis": RELATIVE},
    ],
    ids=str,
)
def test_files_of_the_settings(settings: dict[str, Any]) -> None:
    refused(case_job(), settings=RunSettings(**({"method": "networks", "weights": Path("/weights")} | settings)))


@pytest.mark.parametrize("what", ["out_dir", "work_dir", "store", "library"])
@pytest.mark.parametrize("job", [augment_job(), atlas_job()], ids=["augment", "augment atlas"])
def test_folders_of_a_set(job: Job, what: str) -> None:
    refused(job, **{what: RELATIVE})


@pytest.mark.parametrize(
    "changes", [{"target": Target("sub-1", "1", RELATIVE)}, {"registration": Registration(1.0, RELATIVE)}], ids=str
)
def test_scans_and_weights_of_a_set(changes: dict[str, Any]) -> None:
    refused(augment_job(), **changes)


def test_targets_of_a_relative_folder_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan = tmp_path / "bids/sub-1/anat/sub-1_T1w.nii.gz"
    case = Case("1", None, scan)
    entities = {"space": TEMPLATE_SPACE, "res": "1", "desc": "preproc"}
    prepared = tmp_path / "out/sub-1/anat" / output_name(case, "T1w", ".nii.gz", **entities)
    for path in (scan, prepared):
        path.parent.mkdir(parents=True)
        path.touch()
    write_json(tmp_path / "out/dataset_description.json", dataset_description("1.0"))
    monkeypatch.chdir(tmp_path)
    assert [target.t1w for target in find_targets(Path("bids"), 1.0).found] == [scan]
    assert [target.t1w for target in find_targets(Path("out"), 1.0).found] == [prepared]


def test_run_resolves_what_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every path of the command line is relative, and the jobs that the runner gets hold none."""
    scan = tmp_path / "bids/sub-1/anat/sub-1_T1w.nii.gz"
    scan.parent.mkdir(parents=True)
    scan.touch()
    weights = tmp_path / "weights"
    weights.symlink_to(Path(__file__).parents[2] / "cerebatch/networks/weights/1mm")
    jobs: list[CaseJob] = []

    def keep(given: list[CaseJob], *_: object, warm_up: Any, **__: object) -> list[Any]:
        assert warm_up.args[0].is_absolute()
        jobs.extend(given)
        return []

    monkeypatch.setattr("cerebatch.batch.run.run_jobs", keep)
    monkeypatch.chdir(tmp_path)
    arguments = ["run", "bids", "out", "participant", "--work", "work", "--weights", "weights", "--no-pages"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (job,) = jobs
    assert job.case.t1w == scan
    assert (job.out_dir, job.work_dir, job.settings.weights) == (tmp_path / "out", tmp_path / "work", weights.resolve())
