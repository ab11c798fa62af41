"""Simulated people as a dataset."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from cerebatch import labels
from cerebatch.batch.derivatives import write_description
from cerebatch.errors import DatasetError, SettingsError
from cerebatch.io.bids import find_cases
from cerebatch.io.scan import read_scan
from cerebatch.simulation.cohorts.cohort import TRUTH, VOLUMES, write_simulated
from cerebatch.simulation.cohorts.people import Person, lifespan_people, table1_people
from cerebatch.simulation.cohorts.scanners import LARGEST_VOXEL_MM, scanner_of
from cerebatch.simulation.cohorts.source import Simulated
from cerebatch.simulation.cohorts.template_source import TemplateSource
from cerebatch.simulation.phantom.head import T1_LEVELS
from cerebatch.spatial import space
from lifespan import FitError, compare, fit, read_table
from lifespan.simulated import is_simulated

COARSE_MM = 3.5
"""Voxels of the fixtures' scans."""

OLD = Person(2, 82.0, "F", "CN", "lifespan", "site01")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_it_is_a_bids_dataset_that_run_takes(cohort: Path) -> None:
    found = find_cases(cohort)
    assert [case.name for case in found.cases] == ["sub-sim0001", "sub-sim0002", "sub-sim0003"]
    assert not found.problems
    people = table1_people(3, 5)
    assert [(case.age, case.sex) for case in found.cases] == [(one.age_years, one.sex) for one in people]
    assert all(case.t2w is not None for case in found.cases)
    for case in found.cases:
        assert read_scan(case.t1w).image.max() > 300


def test_the_participants_table_is_explained(cohort: Path) -> None:
    (first, *_) = rows(cohort / "participants.tsv")
    explained = json.loads((cohort / "participants.json").read_text())
    assert set(first) - {"participant_id"} == set(explained)
    assert first["diagnosis"] in explained["diagnosis"]["Levels"]
    assert first["site"] in {row["site"] for row in rows(cohort / TRUTH / "scanners.tsv")}


def test_the_table_of_volumes_counts_the_label_maps(cohort: Path) -> None:
    table = rows(cohort / TRUTH / VOLUMES)
    for name in ("sub-sim0001", "sub-sim0003"):
        own = {(row["structure"], row["side"]): row for row in table if row["participant_id"] == name}
        for column, desc in (("volume_cm3", ""), ("with_folia_cm3", "desc-withfolia_")):
            image = nib.load(cohort / TRUTH / name / "anat" / f"{name}_seg-lobules_{desc}dseg.nii.gz")
            voxel_cm3 = abs(np.linalg.det(image.affine[:3, :3])) / 1000
            counts = np.bincount(np.asarray(image.dataobj).ravel(), minlength=labels.N_CLASSES)
            for label in labels.LABELS:
                written = float(own[label.structure, label.side][column])
                assert written == pytest.approx(counts[label.index] * voxel_cm3, abs=1e-4)
            whole = float(own["cerebellum", "both"][column])
            assert whole == pytest.approx(counts[1:].sum() * voxel_cm3, abs=1e-3)


def test_white_matter_of_the_folia_goes_with_its_lobule_or_with_the_white_matter(cohort: Path) -> None:
    folder = cohort / TRUTH / "sub-sim0001/anat"
    dseg, lobules = (
        np.asarray(nib.load(folder / f"sub-sim0001_seg-lobules_{desc}dseg.nii.gz").dataobj)
        for desc in ("", "desc-withfolia_")
    )
    assert ((dseg > 0) == (lobules > 0)).all()
    other = dseg != lobules
    assert set(np.unique(dseg[other])) == {13, 26}
    assert ((dseg[other] == 13) == (lobules[other] < 13)).all()


def test_image_and_labels_agree_voxel_by_voxel(source: TemplateSource) -> None:
    still = replace(
        scanner_of("site01", 1, 2.0), snr=np.inf, bias=0.0, smoothing_mm=0.0, contrast=1.0, brightness=10_000.0,
        voxel_mm=(2.0, 2.0, 2.0),
    )  # fmt: skip
    made = source.make(OLD, still, 1)
    scan, grid = made.scans["T1w"]
    grey, white = shares(made, grid)
    brightness = scan / 10_000 * T1_LEVELS["wm"]
    inside = grey + white == 1
    assert np.allclose(brightness[inside], (T1_LEVELS["gm"] * grey + T1_LEVELS["wm"] * white)[inside], atol=2e-4)
    # Fissures: more than half fluid, with tissue on both sides along an axis.
    tissue = grey + white
    between = (tissue < 0.6) & (np.roll(tissue, 1, 2) > 0.9) & (np.roll(tissue, -1, 2) > 0.9)
    mixed = T1_LEVELS["gm"] * grey + T1_LEVELS["wm"] * white + T1_LEVELS["csf"] * (1 - tissue)
    assert between.sum() > 50
    assert np.median(np.abs(brightness - mixed)[between]) < 2e-4
    assert brightness[between].mean() < brightness[inside].min()


def shares(made: Simulated, grid: space.Grid) -> tuple[space.Volume, space.Volume]:
    """Shares of grey and white matter in the voxels of a scan, from the truth that is written."""
    found = []
    white = np.isin(made.dseg, (13, 26))
    for mask in ((made.dseg > 0) & ~white, white):
        points = space.apply(made.truth_grid.affine, np.argwhere(mask).astype(float))
        index = np.rint(space.apply(space.inverse(grid.affine), points)).astype(int)
        share = np.zeros(grid.shape)
        np.add.at(share, tuple(index.T), made.truth_grid.voxel_volume_mm3 / grid.voxel_volume_mm3)
        found.append(np.round(share, 6))
    return found[0], found[1]


def test_several_processes_and_fewer_people_give_the_same_bytes(
    cohort: Path, source: TemplateSource, tmp_path: Path
) -> None:
    write_simulated(tmp_path, table1_people(2, 5), source, 5, voxel_mm=COARSE_MM, processes=2)
    written = [path for path in tmp_path.rglob("sub-*") if path.is_file()]
    assert len(written) == 2 * 5
    for path in written:
        assert path.read_bytes() == (cohort / path.relative_to(tmp_path)).read_bytes(), path.name
    for table in ("participants.tsv", f"{TRUTH}/{VOLUMES}"):
        assert (cohort / table).read_bytes().startswith((tmp_path / table).read_bytes())


def test_a_cohort_that_was_killed_goes_on_also_with_more_people(
    cohort: Path, source: TemplateSource, tmp_path: Path
) -> None:
    write_simulated(tmp_path, table1_people(2, 5), source, 5, voxel_mm=COARSE_MM)
    first, second = (tmp_path / f"sub-sim000{k}/anat/sub-sim000{k}_T1w.nii.gz" for k in (1, 2))
    made = first.stat().st_mtime_ns
    # As if it had been killed while the second was written.
    second.write_bytes(second.read_bytes()[:1000])
    (tmp_path / TRUTH / f"sub-sim0002/anat/sub-sim0002_{VOLUMES}").unlink()
    (tmp_path / TRUTH / VOLUMES).unlink()
    told: list[str] = []
    write_simulated(tmp_path, table1_people(3, 5), source, 5, voxel_mm=COARSE_MM, tell=told.append)
    assert told == ["1 of 3 people were there already", "3 of 3 people"]
    assert first.stat().st_mtime_ns == made
    files = sorted(path.relative_to(cohort) for path in cohort.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    assert [name for name in files if (cohort / name).read_bytes() != (tmp_path / name).read_bytes()] == []


def test_every_site_has_a_scanner_of_its_own() -> None:
    found = [scanner_of(f"site{k}", 1, 1.0) for k in range(40)]
    assert found[3] == scanner_of("site3", 1, 1.0) != scanner_of("site3", 2, 1.0)
    for name in ("contrast", "snr", "bias", "smoothing_mm", "brightness", "stretch"):
        assert len({getattr(one, name) for one in found}) == 40
    assert len({one.voxel_mm for one in found}) > 3
    assert all(0.9 <= edge <= 1.2 for one in found for edge in one.voxel_mm)
    assert max(max(scanner_of(f"site{k}", 1, 3.4).voxel_mm) for k in range(40)) == LARGEST_VOXEL_MM


def test_brain_extraction_leaves_the_intracranial_volume(source: TemplateSource) -> None:
    scanner = replace(scanner_of("site01", 1, 3.0), snr=200.0)
    made = replace(source, skull=False).make(OLD, scanner, 1)
    scan, grid = made.scans["T1w"]
    assert (scan > 0).sum() * grid.voxel_volume_mm3 / 1000 == pytest.approx(made.icv_cm3, rel=0.02)


def test_it_says_that_it_is_simulated_and_results_carry_it_on(cohort: Path, tmp_path: Path) -> None:
    for folder in (cohort, cohort / TRUTH):
        description = json.loads((folder / "dataset_description.json").read_text())
        assert description["Simulated"] is True
        assert "No bounds" in description["GeneratedBy"][0]["Description"]
    write_description(tmp_path / "out", cohort)
    assert is_simulated(tmp_path / "out")
    write_description(tmp_path / "real", tmp_path)
    assert not is_simulated(tmp_path / "real")


def test_no_bounds_are_made_from_it_but_it_can_be_compared(source: TemplateSource, tmp_path: Path) -> None:
    write_simulated(tmp_path / "bids", table1_people(2, 5), source, 5, voxel_mm=COARSE_MM)
    truth = tmp_path / "bids" / TRUTH / VOLUMES
    people = read_table(truth)
    assert people.simulated
    assert set(people.texts("participant_id")) == {"sub-sim0001", "sub-sim0002"}
    with pytest.raises(FitError, match="simulated people"):
        fit(truth)
    copied = tmp_path / "elsewhere.tsv"
    copied.write_bytes(truth.read_bytes())
    assert not read_table(copied).simulated
    # Enough rows for a comparison: the same two people under other names.
    many = rows(truth)
    with (tmp_path / "bids/many.tsv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, list(many[0]), delimiter="\t")
        writer.writeheader()
        for turn in range(12):
            for row in many:
                age = f"{float(row['age']) + turn:g}"
                writer.writerow(row | {"participant_id": f"{row['participant_id']}x{turn}", "age": age})
    table = compare(tmp_path / "bids/many.tsv", tmp_path / "bids/many.tsv")
    assert len(table) == 26


def test_no_people_and_a_folder_of_others_are_refused(cohort: Path, source: TemplateSource, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="at least one"):
        write_simulated(tmp_path, [], source, 1)
    before = {path: path.stat().st_mtime_ns for path in cohort.rglob("*")}
    with pytest.raises(DatasetError, match=r"seed 1, found .* seed 5\."):
        write_simulated(cohort, table1_people(3, 1), source, 1, voxel_mm=COARSE_MM)
    with pytest.raises(DatasetError, match=r"without skull.*, found .* with skull"):
        write_simulated(cohort, table1_people(3, 5), replace(source, skull=False), 5, voxel_mm=COARSE_MM)
    for others in (table1_people(2, 5), lifespan_people(4, 5)):
        with pytest.raises(DatasetError, match="of whom some are others or not asked for"):
            write_simulated(cohort, others, source, 5, voxel_mm=COARSE_MM)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DatasetError, match="empty folder"):
        write_simulated(tmp_path, table1_people(3, 5), source, 5, voxel_mm=COARSE_MM)
    assert {path: path.stat().st_mtime_ns for path in cohort.rglob("*")} == before
