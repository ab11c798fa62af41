"""A cohort merged: tables, failures, curves, and what a half-written case does."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from cerebatch.batch.ledger.records import Failure, write_model
from cerebatch.batch.reporting.completed import finished_cases
from cerebatch.io.files import write_json
from cerebatch.report.cohort_model import ENOUGH, fit_cohort
from cerebatch.report.group import merge
from cerebatch.report.people import people_of
from cerebatch.report.result import Person, Result, read_result


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(), delimiter="\t"))


def merged(out: Path, phantoms: Path, **options: object) -> None:
    found = finished_cases(out)
    failed = {failure.case: (failure.stage, failure.kind) for failure in found.failures}
    merge(out, found.folders, found.unfinished, failed, people_of(phantoms, found.folders), **options)  # type: ignore[arg-type]


def test_volumes_are_those_of_the_cases_and_every_column_is_explained(out: Path, phantoms: Path) -> None:
    merged(out, phantoms)
    table = rows(out / "volumes.tsv")
    assert [row["participant_id"] for row in table] == ["sub-phantom001", "sub-phantom002"]
    result = read_result("sub-phantom001", out / "sub-phantom001")
    assert table[0]["left_Crus_I_cm3"] == result.volume("Crus I", "left")["volume_cm3"]
    assert table[0]["both_cerebellum_percent_icv"] == result.volume("cerebellum", "both")["percent_icv"]
    participant = next(row for row in rows(phantoms / "participants.tsv") if row["participant_id"] == "sub-phantom001")
    assert (table[0]["age"], table[0]["sex"]) == (participant["age"], participant["sex"])
    for name in ("volumes", "quality", "flags", "failures"):
        told = json.loads((out / f"{name}.json").read_text())
        assert set((out / f"{name}.tsv").read_text().splitlines()[0].split("\t")) == set(told)


def test_exchanged_sides_are_rated_c_with_the_reason_in_the_table_of_flags(out: Path, phantoms: Path) -> None:
    merged(out, phantoms)
    assert rows(out / "volumes.tsv")[1]["rating"] == "C"
    sides = [row for row in rows(out / "flags.tsv") if row["flag"] == "sides"]
    assert {row["participant_id"] for row in sides} == {"sub-phantom002"}
    assert "exchanged" in sides[0]["message"]


def test_a_half_written_case_is_left_out_and_named(out: Path, phantoms: Path) -> None:
    path = out / "sub-phantom002/anat/sub-phantom002_seg-lobules_volumes.tsv"
    path.write_text(path.read_text()[:200])
    merged(out, phantoms)
    assert [row["participant_id"] for row in rows(out / "volumes.tsv")] == ["sub-phantom001"]
    (left,) = rows(out / "failures.tsv")
    assert left["participant_id"] == "sub-phantom002"
    assert "not all there" in left["reason"]


def test_failures_stand_with_stage_and_reason_in_table_and_page(out: Path, phantoms: Path) -> None:
    failure = Failure(case="sub-broken", stage="prepare", kind="ScanVoxelError", message="Found <NaN>\tvoxels.")
    write_model(out / "records/cases/sub-broken/failure.json", failure)
    merged(out, phantoms)
    (row,) = rows(out / "failures.tsv")
    assert (row["stage"], row["kind"]) == ("prepare", "ScanVoxelError")
    assert row["reason"] == "failed in prepare: Found <NaN> voxels."
    assert "Found &lt;NaN&gt;" in (out / "cohort.html").read_text()


def test_merging_again_gives_the_same_bytes_and_leaves_nothing_temporary(out: Path, phantoms: Path) -> None:
    names = ("volumes.tsv", "quality.tsv", "flags.tsv", "cohort.html")
    merged(out, phantoms)
    before = [(out / name).read_bytes() for name in names]
    merged(out, phantoms)
    assert [(out / name).read_bytes() for name in names] == before
    assert not list(out.glob(".*.tmp"))


def test_flagged_cases_have_a_picture(out: Path, phantoms: Path) -> None:
    merged(out, phantoms)
    assert (out / "cohort.html").read_text().count("data:image/webp") == 2


class TestCurves:
    def cohort(self, out: Path, people: int) -> tuple[list[Result], dict[str, Person]]:
        result = read_result("sub-phantom001", out / "sub-phantom001")
        rng = np.random.default_rng(2)
        results, known = [], {}
        for k in range(people):
            name, factor = f"sub-{k:03d}", float(rng.normal(1, 0.05))
            volumes = [
                row | {column: f"{float(row[column]) * factor:.4f}" for column in ("volume_cm3", "percent_icv")}
                for row in result.volumes
            ]
            results.append(Result(**{**vars(result), "name": name, "volumes": volumes}))
            known[name] = Person(float(rng.uniform(20, 70)), "FM"[k % 2])
        return results, known

    def test_are_fitted_when_there_are_enough_people(self, out: Path) -> None:
        model, words = fit_cohort(*self.cohort(out, ENOUGH))
        assert model is not None
        assert "left Crus I" in model.structures
        assert str(ENOUGH) in words

    def test_are_not_when_there_are_not_and_it_is_said_how_many_are_needed(self, out: Path) -> None:
        model, words = fit_cohort(*self.cohort(out, ENOUGH - 1))
        assert model is None
        assert f"{ENOUGH - 1} people have an age, and at least {ENOUGH} are needed" in words

    def test_are_not_from_volumes_of_two_methods(self, out: Path) -> None:
        results, known = self.cohort(out, ENOUGH)
        other = Result(**{**vars(results[0]), "sidecar": results[0].sidecar | {"Method": "atlas"}})
        model, words = fit_cohort([other, *results[1:]], known)
        assert model is None
        assert "must not be mixed" in words


def test_no_curves_are_fitted_to_simulated_people(out: Path, phantoms: Path) -> None:
    write_json(out / "dataset_description.json", {"Simulated": True})
    merged(out, phantoms)
    assert "these people are simulated" in (out / "cohort.html").read_text()
    assert not (out / "lifespan").exists()


def test_without_a_finished_case_nothing_is(tmp_path: Path) -> None:
    found = finished_cases(tmp_path)
    assert (found.folders, found.unfinished) == ({}, {})


@pytest.mark.parametrize("name", ["sub-phantom001", "sub-none"])
def test_people_come_from_the_tables_of_the_dataset(phantoms: Path, name: str) -> None:
    person = people_of(phantoms, [name])[name]
    assert (person.age is not None) == (name == "sub-phantom001")
