"""Tissue means and normalised intensities, on the template taken for a scan."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from cerebatch.errors import StageError
from cerebatch.intensity.tissue import (
    CEILING,
    TARGETS,
    Contrast,
    TissueMeans,
    normalised,
    tissue_classes,
    tissue_maps,
    tissue_means,
)
from cerebatch.spatial import template
from cerebatch.spatial.space import Grid, Volume, resample

MNI_FROM_NATIVE = np.eye(4)
CSF, GM, WM = 1, 2, 3
BETWEEN_FLUID_AND_GRAY = 450
"""Halfway between the fluid (250) and the grey matter (650) of the scan below."""

intensities = hnp.arrays(np.float32, st.integers(1, 50), elements=st.floats(-1000, 5000, width=32))


@st.composite
def ascending_means(draw: st.DrawFn) -> list[float]:
    """Three positive intensities that differ by more than rounding."""
    steps = draw(st.tuples(*[st.floats(1, 1000)] * 3))
    return [sum(steps[: n + 1]) for n in range(3)]


def in_order_of(contrast: Contrast, ascending: list[float]) -> TissueMeans:
    """The means of a scan of this contrast."""
    return TissueMeans(*(ascending if contrast == "T1w" else ascending[::-1]))


@pytest.fixture(scope="module")
def scan() -> tuple[Volume, Grid, NDArray[np.bool_]]:
    """The template at 2 mm with white matter near 900, noise of 2 % of it, and its brain mask."""
    image, grid = template.t1w(2)
    noise = np.random.default_rng(1).normal(0, 20, image.shape)
    return np.where(image > 0, np.maximum(1000 * image + noise, 1), 0).astype(np.float32), grid, template.brain_mask(2)


@pytest.fixture(scope="module")
def probabilities(scan: tuple[Volume, Grid, NDArray[np.bool_]]) -> dict[int, Volume]:
    """The template's probability of each tissue on the grid of `scan`; what is missing to 1 counts as fluid."""
    gm_map, wm_map, map_grid = template.tissue_probabilities()
    gm, wm = (resample(each, map_grid, scan[1], MNI_FROM_NATIVE, order=1) for each in (gm_map, wm_map))
    return {CSF: 1 - gm - wm, GM: gm, WM: wm}


@pytest.fixture(scope="module")
def classes(scan: tuple[Volume, Grid, NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Classes of `scan`."""
    return tissue_classes(scan[0], tissue_maps(scan[1], MNI_FROM_NATIVE))


class TestClassesOfAT1w:
    def test_fluid_is_darker_than_grey_and_grey_darker_than_white_matter(
        self, scan: tuple[Volume, Grid, NDArray[np.bool_]], classes: NDArray[np.uint8]
    ) -> None:
        means = tissue_means(scan[0], classes, "T1w")
        assert 0 < means.csf < means.gm < means.wm

    @pytest.mark.parametrize("tissue", [GM, WM])
    def test_nearly_all_voxels_of_a_tissue_are_where_the_template_has_it(
        self, classes: NDArray[np.uint8], probabilities: dict[int, Volume], tissue: int
    ) -> None:
        assert np.mean(probabilities[tissue][classes == tissue] > 0.5) > 0.8

    @pytest.mark.parametrize(("tissue", "tolerance"), [(CSF, 0.3), (GM, 0.1), (WM, 0.05)])
    def test_the_mean_of_a_tissue_is_near_that_of_the_voxels_where_the_template_has_nothing_else(
        self,
        scan: tuple[Volume, Grid, NDArray[np.bool_]],
        classes: NDArray[np.uint8],
        probabilities: dict[int, Volume],
        tissue: int,
        tolerance: float,
    ) -> None:
        image, _, mask = scan
        pure = mask & (image > 0) & (probabilities[tissue] > 0.95)
        found = tissue_means(image, classes, "T1w").as_array()[tissue - 1]
        assert found == pytest.approx(np.median(image[pure]), rel=tolerance)

    def test_voxels_outside_the_mask_have_no_class(
        self, scan: tuple[Volume, Grid, NDArray[np.bool_]], classes: NDArray[np.uint8]
    ) -> None:
        assert not classes[~scan[2]].any()

    def test_voxels_that_somebody_set_to_zero_have_no_class(
        self, scan: tuple[Volume, Grid, NDArray[np.bool_]], classes: NDArray[np.uint8]
    ) -> None:
        assert not classes[scan[0] == 0].any()

    @pytest.mark.parametrize("gain", [0.01, 0.5, 7.5])
    def test_the_means_follow_the_gain_of_the_receiver(
        self, scan: tuple[Volume, Grid, NDArray[np.bool_]], classes: NDArray[np.uint8], gain: float
    ) -> None:
        image, grid, _ = scan
        changed = (gain * image).astype(np.float32)
        found = tissue_means(changed, tissue_classes(changed, tissue_maps(grid, MNI_FROM_NATIVE)), "T1w").as_array()
        np.testing.assert_allclose(found, gain * tissue_means(image, classes, "T1w").as_array(), rtol=1e-3)

    @pytest.mark.parametrize("cut_below", [BETWEEN_FLUID_AND_GRAY - 50, BETWEEN_FLUID_AND_GRAY])
    def test_a_scan_whose_fluid_was_cut_out_is_normalised_like_any_other(
        self, scan: tuple[Volume, Grid, NDArray[np.bool_]], probabilities: dict[int, Volume], cut_below: float
    ) -> None:
        image, grid, _ = scan
        cut = np.where(image < cut_below, 0, image).astype(np.float32)
        means = tissue_means(cut, tissue_classes(cut, tissue_maps(grid, MNI_FROM_NATIVE)), "T1w")
        result = normalised(cut, means, "T1w")
        assert np.median(result[probabilities[GM] > 0.9]) == pytest.approx(TARGETS["T1w"].gm, rel=0.15)
        assert np.median(result[probabilities[WM] > 0.9]) == pytest.approx(TARGETS["T1w"].wm, rel=0.15)

    def test_cutting_out_the_fluid_hardly_moves_the_means_of_grey_and_white_matter(
        self, scan: tuple[Volume, Grid, NDArray[np.bool_]], probabilities: dict[int, Volume]
    ) -> None:
        image, grid, _ = scan
        cut = np.where(image < BETWEEN_FLUID_AND_GRAY, 0, image).astype(np.float32)
        found = tissue_means(cut, tissue_classes(cut, tissue_maps(grid, MNI_FROM_NATIVE)), "T1w")
        assert found.gm == pytest.approx(np.median(image[probabilities[GM] > 0.95]), rel=0.1)
        assert found.wm == pytest.approx(np.median(image[probabilities[WM] > 0.95]), rel=0.1)

    def test_an_inverted_contrast_is_refused_and_the_message_says_what_to_check(
        self, scan: tuple[Volume, Grid, NDArray[np.bool_]]
    ) -> None:
        image, grid, _ = scan
        inverted = np.where(image > 0, image.max() + 1 - image, 0).astype(np.float32)
        with pytest.raises(StageError, match=r"expected a T1-weighted scan .* Check that the file is T1-weighted\."):
            tissue_classes(inverted, tissue_maps(grid, MNI_FROM_NATIVE))

    def test_a_scan_without_contrast_is_refused(self, scan: tuple[Volume, Grid, NDArray[np.bool_]]) -> None:
        image, grid, _ = scan
        noise = np.random.default_rng(1).normal(500, 20, image.shape).astype(np.float32)
        with pytest.raises(StageError, match="Check that the file is T1-weighted"):
            tissue_classes(noise, tissue_maps(grid, MNI_FROM_NATIVE))


class TestMeans:
    def test_they_are_of_the_middle_half_and_ignore_what_is_far_off(self) -> None:
        image = np.concatenate([np.full(1000, 10.0), np.full(1000, 20.0), np.full(1000, 30.0)]).astype(np.float32)
        classes = np.repeat(np.array([CSF, GM, WM], dtype=np.uint8), 1000)
        image[classes == WM] += np.where(np.arange(1000) < 200, 5000, 0)
        assert tissue_means(image, classes, "T1w") == TissueMeans(10.0, 20.0, 30.0)

    def test_a_second_contrast_is_measured_where_the_first_found_the_tissues(
        self, scan: tuple[Volume, Grid, NDArray[np.bool_]], classes: NDArray[np.uint8]
    ) -> None:
        t2w = np.where(scan[0] > 0, scan[0].max() + 1 - scan[0], 0).astype(np.float32)
        means = tissue_means(t2w, classes, "T2w")
        assert means.csf > means.gm > means.wm > 0


class TestNormalisedImages:
    @pytest.mark.parametrize("contrast", ["T1w", "T2w"])
    @given(ascending=ascending_means())
    @settings(deadline=None)
    def test_the_means_go_exactly_onto_the_targets(self, contrast: Contrast, ascending: list[float]) -> None:
        means = in_order_of(contrast, ascending)
        found = normalised(means.as_array(), means, contrast)
        np.testing.assert_array_equal(found, np.float32(TARGETS[contrast].as_array()))

    @pytest.mark.parametrize("contrast", ["T1w", "T2w"])
    @given(ascending=ascending_means(), image=intensities)
    @settings(deadline=None)
    def test_what_was_brighter_is_never_darker_afterwards(
        self, contrast: Contrast, ascending: list[float], image: NDArray[np.float32]
    ) -> None:
        found = normalised(np.sort(image), in_order_of(contrast, ascending), contrast)
        assert (np.diff(found) >= 0).all()

    @pytest.mark.parametrize("contrast", ["T1w", "T2w"])
    @given(ascending=ascending_means(), image=intensities)
    @settings(deadline=None)
    def test_background_stays_zero_and_nothing_passes_the_ceiling(
        self, contrast: Contrast, ascending: list[float], image: NDArray[np.float32]
    ) -> None:
        found = normalised(image, in_order_of(contrast, ascending), contrast)
        assert found.dtype == np.float32
        assert (found[image <= 0] == 0).all()
        assert (found >= 0).all() and (found <= CEILING).all()

    @pytest.mark.parametrize("contrast", ["T1w", "T2w"])
    @given(ascending=ascending_means(), image=intensities, gain=st.floats(0.01, 100))
    @settings(deadline=None)
    def test_the_gain_of_the_scanner_does_not_matter(
        self, contrast: Contrast, ascending: list[float], image: NDArray[np.float32], gain: float
    ) -> None:
        louder = [gain * mean for mean in ascending]
        np.testing.assert_allclose(
            normalised(gain * image.astype(np.float64), in_order_of(contrast, louder), contrast),
            normalised(image, in_order_of(contrast, ascending), contrast),
            atol=1e-2,
        )

    def test_a_t1w_has_white_matter_brightest_and_a_t2w_has_fluid_brightest(self) -> None:
        assert astuple(TARGETS["T1w"]) == (50.0, 150.0, 250.0)
        assert astuple(TARGETS["T2w"]) == (250.0, 150.0, 100.0)

    @pytest.mark.parametrize("contrast", ["T1w", "T2w"])
    @given(ascending=ascending_means())
    @settings(deadline=None, max_examples=10)
    def test_means_in_the_order_of_the_other_contrast_are_refused(
        self, contrast: Contrast, ascending: list[float]
    ) -> None:
        other: Contrast = "T2w" if contrast == "T1w" else "T1w"
        with pytest.raises(StageError, match=f"in the order of a {contrast} scan.* Check that the file"):
            normalised(np.zeros(1, dtype=np.float32), in_order_of(other, ascending), contrast)

    @pytest.mark.parametrize("means", [(0.0, 100.0, 200.0), (-5.0, 100.0, 200.0), (100.0, 100.0, 200.0)])
    def test_means_that_are_equal_or_not_above_zero_are_refused(self, means: tuple[float, float, float]) -> None:
        with pytest.raises(StageError, match="expected tissue means"):
            normalised(np.zeros(1, dtype=np.float32), TissueMeans(*means), "T1w")
