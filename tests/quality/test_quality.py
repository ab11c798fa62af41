"""Metrics of faults that are put into a phantom's labels, and the flags that they raise."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cerebatch.labels import LABELS, STRUCTURES, mirrored
from cerebatch.quality.inputs import QualityInputs
from cerebatch.quality.io import read_rating, write_quality
from cerebatch.quality.metric import DESCRIPTIONS, Metric
from cerebatch.quality.metrics import all_metrics
from cerebatch.quality.rating import SEVERITIES, raised, rate, rules, thresholds_digest
from cerebatch.simulation.phantom.cerebellum import template_case
from cerebatch.spatial.space import Grid, cerebellum_box, resample
from cerebatch.spatial.template import t1w


@pytest.fixture(scope="module")
def sound() -> QualityInputs:
    """The phantom's labels at 1 mm on an image that has its tissues where they say, in the template's place."""
    dseg, _ = template_case(1.0)
    white = np.isin(dseg, [13, 26])
    rng = np.random.default_rng(1)
    image = np.where(white, 250.0, np.where(dseg > 0, 150.0, 50.0)) + rng.normal(0, 4, dseg.shape)
    head, grid = t1w(2)
    scan = (1000.0 * head + rng.normal(0, 5, head.shape)).astype(np.float32)
    return QualityInputs(
        dseg=dseg, t1w=image.astype(np.float32), scan=scan, scan_grid=grid, stored_grid=grid,
        mni_from_native=np.diag([1.1, 1.1, 1.1, 1.0]), resolution=1.0, local_correlation=0.7, icv_cm3=1504.4,
    )  # fmt: skip


def flagged(case: QualityInputs) -> dict[str, str]:
    """Flag -> severity, notes and proportions left out: a phantom is no person."""
    found: dict[str, str] = {}
    for flag in raised(all_metrics(case)):
        if flag.rule.severity != "note" and flag.rule.flag not in ("proportion", "cerebellum of head"):
            found.setdefault(flag.rule.flag, flag.rule.severity)  # the gravest comes first
    return found


def value(case: QualityInputs, metric: str, structure: str = "cerebellum", side: str = "both") -> float:
    (found,) = [m.value for m in all_metrics(case) if (m.name, m.structure, m.side) == (metric, structure, side)]
    return found


def test_nothing_is_raised_where_nothing_is_wrong(sound: QualityInputs) -> None:
    assert flagged(sound) == {}


def test_exchanged_sides_are_a_problem(sound: QualityInputs) -> None:
    assert flagged(replace(sound, dseg=mirrored(sound.dseg)))["sides"] == "problem"


def test_a_lobule_that_is_gone_is_a_problem(sound: QualityInputs) -> None:
    gone = np.where(sound.dseg == 6, 0, sound.dseg).astype(np.uint8)
    assert flagged(replace(sound, dseg=gone))["missing"] == "problem"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_labels_that_are_5_mm_off_are_found_with_their_distance(sound: QualityInputs, axis: int) -> None:
    off = replace(sound, dseg=np.roll(sound.dseg, 5, axis))
    assert value(off, "label_offset") == pytest.approx(5.0, abs=1.0)
    assert flagged(off)["labels off"] == "problem"


def test_a_lobule_in_pieces_is_a_warning_and_two_pieces_of_x_are_none(sound: QualityInputs) -> None:
    broken = sound.dseg.copy()
    places = np.argwhere(broken == 6)
    middle = int(np.median(places[:, 1]))
    broken[:, middle - 1 : middle + 2][broken[:, middle - 1 : middle + 2] == 6] = 13
    assert flagged(replace(sound, dseg=broken))["pieces"] == "warning"
    two = [Metric("largest_piece", 62.0, "X", "left"), Metric("largest_piece", 55.0, "I-II", "left")]
    assert raised(two) == []


def test_an_intracranial_volume_that_is_off_is_a_problem(sound: QualityInputs) -> None:
    assert flagged(replace(sound, icv_cm3=1.3 * sound.icv_cm3))["head size"] == "problem"


def test_a_wrong_scale_is_a_problem(sound: QualityInputs) -> None:
    assert flagged(replace(sound, mni_from_native=np.diag([1.5, 1.5, 1.5, 1.0])))["affine scale"] == "problem"


def test_a_scan_that_is_empty_where_tissue_should_be_is_measured_all_the_same(sound: QualityInputs) -> None:
    away = replace(sound, scan=np.where(sound.scan > 0, 0.0, sound.scan).astype(np.float32))
    values = {metric.name: metric.value for metric in all_metrics(away)}
    assert all(np.isnan(values[name]) for name in ("scan_contrast", "scan_noise", "scan_bias", "scan_air"))


def test_a_field_of_view_that_ends_in_the_cerebellum_is_a_problem(sound: QualityInputs) -> None:
    grid = sound.stored_grid
    cut = Grid(grid.shape, grid.affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 26], [0, 0, 0, 1.0]]))
    assert flagged(replace(sound, stored_grid=cut))["field of view"] == "problem"


def test_labels_at_the_edge_of_the_box_are_a_warning(sound: QualityInputs) -> None:
    reaching = sound.dseg.copy()
    reaching[:, :, 0][20:100, 20:80] = 12
    assert flagged(replace(sound, dseg=reaching))["edge of box"] == "warning"


def test_noise_is_measured_as_what_was_put_in(sound: QualityInputs) -> None:
    rng = np.random.default_rng(2)
    noisy = replace(sound, scan=sound.scan + rng.normal(0, 60, sound.scan.shape).astype(np.float32))
    bright = float(np.median(sound.scan[sound.scan > 700]))
    assert value(noisy, "scan_noise") == pytest.approx(100 * 60 / bright, rel=0.25)
    assert flagged(noisy)["noise of scan"] == "warning"


def test_bias_is_measured_as_the_range_of_white_matter(sound: QualityInputs) -> None:
    slope = np.linspace(0.5, 1.5, sound.scan.shape[1], dtype=np.float32)[None, :, None]
    assert value(replace(sound, scan=sound.scan * slope), "scan_bias") > 34 > value(sound, "scan_bias")


def test_low_confidence_of_one_structure_is_a_warning_that_names_it(sound: QualityInputs) -> None:
    values: list[float | None] = [0.9] * len(LABELS)
    values[5] = 0.4
    flags = [f for f in raised(all_metrics(replace(sound, confidence={"probability": values}))) if "sure" in f.message]
    assert [flag.message for flag in flags] == ["The networks are not sure of left Crus I: mean probability 0.4."]


def test_votes_are_the_mean_share_inside_each_structure(sound: QualityInputs) -> None:
    votes = np.where(sound.dseg == 6, 0.5, 0.9)
    assert value(replace(sound, votes=votes), "votes", "Crus I", "left") == pytest.approx(0.5)


class TestTheTable:
    def test_names_metrics_structures_and_severities_that_there_are(self) -> None:
        for rule in rules():
            assert rule.metric in DESCRIPTIONS
            assert rule.structure in (*STRUCTURES, "cerebellum", "*")
            assert rule.comparison in ("<", ">")
            assert rule.severity in SEVERITIES
            assert rule.message.endswith(".")

    def test_a_line_for_a_structure_takes_the_place_of_that_for_all(self) -> None:
        assert [f.rule.severity for f in raised([Metric("volume", 0.0, "I-II", "left")])] == ["note"]
        assert [f.rule.severity for f in raised([Metric("volume", 0.0, "III", "left")])] == ["problem"]

    def test_what_cannot_be_told_is_not_flagged(self) -> None:
        assert raised([Metric("scan_air", float("nan"))]) == []

    def test_the_rating_is_that_of_the_gravest_flag(self) -> None:
        note, warning, problem = (
            raised([metric])
            for metric in (Metric("volume", 0.0, "I-II"), Metric("largest_voxel", 3.0), Metric("label_offset", 5.0))
        )
        assert [rate(flags) for flags in ([], note, warning, [*note, *warning, *problem])] == ["A", "A", "B", "C"]


class TestTheFile:
    METRICS = (Metric("volume", 0.0, "III", "left"), Metric("label_offset", 0.0))

    def test_it_says_its_version_and_is_read_back(self, tmp_path: Path) -> None:
        write_quality(tmp_path / "quality.tsv", self.METRICS)
        content = json.loads((tmp_path / "quality.json").read_text())
        assert content["FormatVersion"] == 2
        found = read_rating(content)
        assert found["Rating"] == "C"
        assert [flag["Message"] for flag in found["Flags"]] == [flag.message for flag in raised(self.METRICS)]

    def test_version_1_is_read_as_this_one(self, tmp_path: Path) -> None:
        write_quality(tmp_path / "quality.tsv", self.METRICS)
        content = json.loads((tmp_path / "quality.json").read_text())
        old = content | {"Flags": [{**flag, "Words": flag["Message"]} for flag in content["Flags"]]}
        del old["FormatVersion"]
        for flag in old["Flags"]:
            del flag["Message"]
        assert read_rating(old) == read_rating(content)

    def test_the_digest_is_that_of_the_table_of_thresholds(self) -> None:
        table = Path(__file__).parents[2] / "cerebatch/quality/flags.tsv"
        assert thresholds_digest() == hashlib.sha256(table.read_bytes()).hexdigest()


def test_the_finer_grid_gives_the_same_offset(sound: QualityInputs) -> None:
    fine = cerebellum_box(0.5)
    dseg = np.kron(sound.dseg, np.ones((2, 2, 2), dtype=np.uint8))
    image = resample(sound.t1w, sound.box, fine, np.eye(4), order=0)
    assert value(replace(sound, dseg=np.roll(dseg, 10, 2), t1w=image, resolution=0.5), "label_offset") == 5.0
