"""Folders that were copied, archived, or lie where clocks are coarse: times are others and bytes the same."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cerebatch.batch.advance import Call, advance
from cerebatch.batch.case import CaseJob
from cerebatch.batch.cluster.profile import Serial
from cerebatch.batch.job import Job
from cerebatch.batch.ledger.records import Record, read_record, write_model
from cerebatch.batch.reporting.completed import finished_cases
from cerebatch.batch.reporting.status import gather
from cerebatch.batch.run import run_jobs
from cerebatch.io.bids import Case
from cerebatch.io.stamp import FileStamp
from cerebatch.stages.settings import RunSettings


def by_cp(source: Path, target: Path) -> None:
    """All times are those of the copy."""
    subprocess.run(["cp", "-r", source, target], check=True)


def by_tar(source: Path, target: Path) -> None:
    """Times lose their fractions of a second."""
    target.mkdir()
    archive = target.with_suffix(".tar")
    subprocess.run(["tar", "--format=ustar", "-cf", archive, "-C", source, "."], check=True)
    subprocess.run(["tar", "-xf", archive, "-C", target], check=True)


def to_a_coarse_clock(source: Path, target: Path) -> None:
    """Times become even seconds, as on FAT and some network file systems."""
    shutil.copytree(source, target)
    for path in target.rglob("*"):
        second = int(path.stat().st_mtime) // 2 * 2
        os.utime(path, (second, second))


@pytest.fixture(params=[by_cp, by_tar, to_a_coarse_clock])
def copy(request: pytest.FixtureRequest) -> Callable[[Path, Path], None]:
    """A way to copy a folder."""
    way: Callable[[Path, Path], None] = request.param
    return way


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose bytes were read to get their digest."""
    names: list[str] = []
    digest = hashlib.file_digest

    def noting(stream: Any, kind: str) -> Any:
        names.append(Path(stream.name).name)
        return digest(stream, kind)

    monkeypatch.setattr(hashlib, "file_digest", noting)
    return names


def run(jobs: list[Job]) -> dict[str, str]:
    """Run cases; their statuses."""
    outcomes = run_jobs(jobs, Serial(kind="serial"), jobs[0].out_dir, lambda event: None)
    return {outcome.case: outcome.status for outcome in outcomes}


def moved(jobs: list[Any], out: Path) -> list[Any]:
    """The same cases in another folder."""
    return [replace(job, out_dir=out, work_dir=out / "work") for job in jobs]


class TestOutputs:
    def test_a_copied_folder_is_done(self, make_jobs: Any, tmp_path: Path, copy: Callable[[Path, Path], None]) -> None:
        jobs, there = make_jobs(2), tmp_path / "copied"
        run(jobs)
        copy(tmp_path / "out", there)
        before = (there / "starts.log").read_text()
        assert set(run(moved(jobs, there)).values()) == {"skipped"}
        assert (there / "starts.log").read_text() == before

    def test_status_and_the_group_see_it_before_any_run_has_looked(
        self, make_jobs: Any, tmp_path: Path, copy: Callable[[Path, Path], None]
    ) -> None:
        jobs, there = make_jobs(2), tmp_path / "copied"
        run(jobs)
        copy(tmp_path / "out", there)
        assert gather(there).counts["done"] == 2
        assert set(finished_cases(there).folders) == {job.name for job in jobs}

    def test_a_case_goes_on_from_its_intermediate_files(
        self, make_jobs: Any, tmp_path: Path, copy: Callable[[Path, Path], None]
    ) -> None:
        (job,), there = make_jobs(1), tmp_path / "copied"
        for stage in ("prepare", "atlas"):
            advance(Call(job, stage, job.needs()[stage]), lambda event: None)
        copy(tmp_path / "out", there)
        assert run(moved([job], there)) == {job.name: "done"}
        starts = [line.split()[1] for line in (there / "starts.log").read_text().splitlines()]
        assert starts == ["prepare", "atlas", "segment", "measure"]

    def test_bytes_are_read_once_and_times_remembered(
        self, make_jobs: Any, tmp_path: Path, read: list[str], copy: Callable[[Path, Path], None]
    ) -> None:
        jobs, there = make_jobs(1), tmp_path / "copied"
        run(jobs)
        copy(tmp_path / "out", there)
        for expected in (["text"], []):
            read.clear()
            run(moved(jobs, there))
            assert [name for name in read if name == "text"] == expected

    def test_a_copy_with_other_bytes_is_made_anew(self, make_jobs: Any, tmp_path: Path) -> None:
        (job,), there = make_jobs(1), tmp_path / "copied"
        run([job])
        by_cp(tmp_path / "out", there)
        text = there / "results" / job.name / "text"
        right = text.read_bytes()
        text.write_bytes(right[::-1])  # as long as it was
        assert run(moved([job], there)) == {job.name: "done"}
        assert text.read_bytes() == right


class TestInputs:
    @pytest.fixture
    def done(self, tmp_path: Path) -> CaseJob:
        """A case whose records say that it is done."""
        paths = {"t1w": tmp_path / "bids/T1w.nii", "t2w": tmp_path / "bids/T2w.nii"}
        labelled = tmp_path / "labelled.nii"
        for path in (*paths.values(), labelled):
            path.parent.mkdir(exist_ok=True)
            path.write_text(path.name)
        settings = RunSettings(method="single case", labelled_case=labelled)
        job = CaseJob("sub-1", tmp_path / "out", tmp_path / "work", case=Case("1", None, **paths), settings=settings)
        for stage in job.plan():
            stage.folder.mkdir(parents=True, exist_ok=True)
            (stage.folder / stage.name).write_text(stage.name)
            outputs = {stage.name: FileStamp.of(stage.folder / stage.name)}
            told = {"stage": stage.name, "version": stage.version, "key": stage.key, "settings": stage.settings}
            write_model(job.record_path(stage.name), Record(inputs=stage.inputs, outputs=outputs, **told))
        return job

    def test_copied_scans_are_read_once_and_their_times_remembered(self, done: CaseJob, read: list[str]) -> None:
        scans = [done.case.t1w, done.case.t2w, done.settings.labelled_case]
        for path in scans:
            assert path is not None
            os.utime(path, (10**9, 10**9))
        for expected in (["T1w.nii", "T2w.nii", "labelled.nii"], []):
            read.clear()
            progress = advance(Call(done, "prepare", done.needs()["prepare"]), lambda event: None)
            assert (progress.failure, progress.ran, progress.next) == (None, "", "")
            assert sorted(read) == expected
        record = read_record(done.record_path("prepare"))
        assert record is not None
        assert record.inputs == {"T1w": FileStamp.of(done.case.t1w), "T2w": FileStamp.of(scans[1])}  # type: ignore[arg-type]

    def test_another_scan_of_the_same_size_makes_the_case_anew(self, done: CaseJob) -> None:
        done.case.t1w.write_text("t1W.nii")
        progress = advance(Call(done, "measure", done.needs()["measure"]), lambda event: None)
        assert progress.next == "prepare"


def test_a_record_that_cannot_be_written_holds_nobody_up(
    make_jobs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,), there = make_jobs(1), tmp_path / "copied"
    run([job])
    by_cp(tmp_path / "out", there)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cerebatch.batch.advance.write_model", full)
    assert run(moved([job], there)) == {job.name: "skipped"}
