"""Grids, frames, and sampling from one to another."""

from __future__ import annotations

import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from cerebatch.spatial.space import BOX_MM, Affine, Grid, apply, cerebellum_box, resample, resample_labels

RESOLUTIONS = (0.5, 1.0, 4.0)
OCTANTS = list(itertools.product((0, 1), repeat=3))


@st.composite
def affines(draw: st.DrawFn) -> Affine:
    """Rotation, scales as between heads, a little shear, and a shift in millimetres."""
    angles = draw(hnp.arrays(np.float64, 3, elements=st.floats(-np.pi, np.pi)))
    scales = draw(hnp.arrays(np.float64, 3, elements=st.floats(0.6, 1.7)))
    affine = np.eye(4)
    affine[:3, :3] = nib.eulerangles.euler2mat(*angles) @ np.diag(scales)
    affine[:3, :3] @= np.eye(3) + np.triu(draw(hnp.arrays(np.float64, (3, 3), elements=st.floats(-0.3, 0.3))), 1)
    affine[:3, 3] = draw(hnp.arrays(np.float64, 3, elements=st.floats(-150, 150)))
    return affine


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Any orientation, voxels between 0.6 and 1.7 mm."""
    return Grid(draw(st.tuples(*[st.integers(1, 7)] * 3)), draw(affines()))


def points_mm(least: int = 1) -> st.SearchStrategy[NDArray[np.float64]]:
    return st.integers(least, 6).flatmap(lambda n: hnp.arrays(np.float64, (n, 3), elements=st.floats(-200, 200)))


def ball(grid: Grid, radius_mm: float) -> NDArray[np.uint8]:
    """Two halves of a ball in the middle of the grid: 1 and 2."""
    mm = apply(grid.affine, np.moveaxis(np.indices(grid.shape), 0, -1).reshape(-1, 3))
    from_centre = mm - grid.corners_mm().mean(axis=0)
    inside = np.linalg.norm(from_centre, axis=1) < radius_mm
    return np.where(inside, np.where(from_centre[:, 0] < 0, 1, 2), 0).astype(np.uint8).reshape(grid.shape)


class TestTheCerebellumBox:
    @pytest.mark.parametrize("resolution", RESOLUTIONS)
    def test_its_outer_corners_are_the_faces_in_the_table(self, resolution: float) -> None:
        corners = cerebellum_box(resolution).corners_mm()
        np.testing.assert_array_equal(np.unique(corners, axis=0), list(itertools.product(*BOX_MM)))

    @pytest.mark.parametrize("resolution", RESOLUTIONS)
    def test_its_voxels_have_the_resolution_that_was_asked_for(self, resolution: float) -> None:
        np.testing.assert_array_equal(cerebellum_box(resolution).voxel_sizes_mm, [resolution] * 3)

    @pytest.mark.parametrize("resolution", RESOLUTIONS)
    def test_it_is_its_own_mirror_image_about_the_midplane(self, resolution: float) -> None:
        grid = cerebellum_box(resolution)
        x = apply(grid.affine, np.eye(3)[[0]] * np.arange(grid.shape[0])[:, None])[:, 0]
        np.testing.assert_array_equal(x, -x[::-1])

    def test_at_half_a_millimetre_every_side_divides_by_sixteen(self) -> None:
        assert [n % 16 for n in cerebellum_box(0.5).shape] == [0, 0, 0]

    @pytest.mark.parametrize("octant", OCTANTS)
    def test_every_second_voxel_of_the_fine_box_is_the_coarse_box_a_quarter_millimetre_off(
        self, octant: tuple[int, int, int]
    ) -> None:
        fine, coarse = cerebellum_box(0.5), cerebellum_box(1.0)
        every_second = fine.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
        every_second[:3, 3] = apply(fine.affine, np.array([octant], dtype=float))[0]
        assert np.empty(fine.shape)[tuple(slice(start, None, 2) for start in octant)].shape == coarse.shape
        np.testing.assert_array_equal(every_second[:3, :3], coarse.affine[:3, :3])
        np.testing.assert_array_equal(every_second[:3, 3] - coarse.affine[:3, 3], np.array(octant) / 2 - 0.25)


class TestGrids:
    def test_a_grid_of_an_image_has_its_affine_and_its_first_three_lengths(self) -> None:
        affine = np.diag([-2.0, 3.0, 4.0, 1.0])
        grid = Grid.of(nib.Nifti1Image(np.zeros((5, 6, 7, 2), dtype=np.uint8), affine))
        assert grid.shape == (5, 6, 7)
        np.testing.assert_array_equal(grid.affine, affine)

    @given(affines())
    @settings(deadline=None)
    def test_a_voxel_is_as_large_as_the_parallelepiped_of_its_edges(self, affine: Affine) -> None:
        grid = Grid((2, 2, 2), affine)
        a, b, c = affine[:3, :3].T
        assert grid.voxel_volume_mm3 == pytest.approx(abs(np.cross(a, b) @ c))
        assert grid.voxel_sizes_mm == pytest.approx([np.sqrt(edge @ edge) for edge in (a, b, c)])

    def test_the_outer_corners_are_half_a_voxel_beyond_the_centres(self) -> None:
        grid = Grid((2, 3, 4), np.diag([-1.0, 2.0, 10.0, 1.0]))
        assert {tuple(corner) for corner in grid.corners_mm()} == set(
            itertools.product((0.5, -1.5), (-1.0, 5.0), (-5.0, 35.0))
        )

    @given(grids(), affines())
    @settings(deadline=None)
    def test_corners_move_with_the_grid(self, grid: Grid, affine: Affine) -> None:
        moved = Grid(grid.shape, affine @ grid.affine)
        np.testing.assert_allclose(moved.corners_mm(), apply(affine, grid.corners_mm()), atol=1e-9)


class TestPoints:
    @given(points_mm(), affines())
    @settings(deadline=None)
    def test_native_to_mni_to_native_comes_back(self, native: NDArray[np.float64], mni_from_native: Affine) -> None:
        mni = apply(mni_from_native, native)
        np.testing.assert_allclose(apply(np.linalg.inv(mni_from_native), mni), native, atol=1e-9)

    @given(points_mm(), affines(), affines())
    @settings(deadline=None)
    def test_a_product_applies_the_right_factor_first(
        self, points: NDArray[np.float64], second: Affine, first: Affine
    ) -> None:
        np.testing.assert_allclose(apply(second @ first, points), apply(second, apply(first, points)), atol=1e-8)

    def test_an_affine_turns_and_then_shifts(self) -> None:
        quarter_turn = np.array([[0.0, -1, 0, 10], [1, 0, 0, 20], [0, 0, 1, 30], [0, 0, 0, 1]])
        np.testing.assert_array_equal(apply(quarter_turn, np.array([[1.0, 2, 3]])), [[8, 21, 33]])


class TestBlocks:
    @given(grids(), st.data())
    @settings(deadline=None)
    def test_a_block_keeps_the_position_of_every_voxel(self, grid: Grid, data: st.DataObject) -> None:
        bounds = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in grid.shape]
        x, y, z = (slice(low, high) for low, high in bounds)
        block = grid.block((x, y, z))
        index = np.moveaxis(np.indices(grid.shape), 0, -1)[x, y, z]
        assert block.shape == index.shape[:3]
        in_block = np.moveaxis(np.indices(block.shape), 0, -1).reshape(-1, 3)
        np.testing.assert_allclose(apply(block.affine, in_block), apply(grid.affine, index.reshape(-1, 3)), atol=1e-9)

    @given(grids(), st.data())
    @settings(deadline=None)
    def test_a_block_around_points_of_the_grid_holds_them(self, grid: Grid, data: st.DataObject) -> None:
        fractions = data.draw(hnp.arrays(np.float64, (4, 3), elements=st.floats(0, 1)))
        index = fractions * (np.array(grid.shape) - 1)
        around = grid.cropped_around(apply(grid.affine, index))
        for axis, chosen in enumerate(around):
            assert chosen.start <= index[:, axis].min() + 1e-6
            assert chosen.stop - 1 >= index[:, axis].max() - 1e-6

    @given(grids(), points_mm(), st.floats(0, 50))
    @settings(deadline=None)
    def test_a_block_never_leaves_the_grid(self, grid: Grid, points: NDArray[np.float64], margin: float) -> None:
        for chosen, n in zip(grid.cropped_around(points, margin), grid.shape, strict=True):
            assert 0 <= chosen.start <= chosen.stop <= n

    def test_it_is_the_smallest_block_between_voxel_centres(self) -> None:
        grid = Grid((20, 20, 20), np.eye(4))
        points = np.array([[3.2, 4.0, 5.9], [7.7, 4.0, 6.1]])
        assert grid.cropped_around(points) == (slice(3, 9), slice(4, 5), slice(5, 8))

    def test_the_margin_is_in_millimetres_on_every_side(self) -> None:
        grid = Grid((40, 40, 40), np.diag([1.0, 2.0, 4.0, 1.0]))
        middle = apply(grid.affine, np.array([[20.0, 20, 20]]))
        assert grid.cropped_around(middle, margin_mm=8.0) == (slice(12, 29), slice(16, 25), slice(18, 23))

    def test_points_beside_the_grid_give_an_empty_block(self) -> None:
        around = Grid((4, 4, 4), np.eye(4)).cropped_around(np.array([[100.0, 2, 2]]))
        assert np.empty((4, 4, 4))[around].size == 0


class TestImages:
    @pytest.mark.parametrize("order", [1, 3])
    @given(grid=grids(), seed=st.integers(0, 99))
    @settings(deadline=None)
    def test_on_its_own_grid_an_image_stays_as_it_is(self, order: int, grid: Grid, seed: int) -> None:
        image = np.random.default_rng(seed).uniform(100, 200, grid.shape).astype(np.float32)
        np.testing.assert_allclose(resample(image, grid, grid, np.eye(4), order), image, rtol=1e-4)

    def test_a_shift_by_whole_voxels_moves_the_values_and_fills_with_zero(self) -> None:
        grid = Grid((6, 5, 4), np.diag([2.0, 2.0, 2.0, 1.0]))
        image = np.random.default_rng(1).uniform(1, 2, grid.shape).astype(np.float32)
        source_from_target = np.eye(4)
        source_from_target[:3, 3] = [4, 0, -2]
        moved = resample(image, grid, grid, source_from_target, order=1)
        np.testing.assert_array_equal(moved[:4, :, 1:], image[2:, :, :-1])
        assert not moved[4:].any()
        assert not moved[:, :, 0].any()

    def test_a_shift_by_half_a_voxel_gives_the_mean_of_two(self) -> None:
        grid = Grid((3, 1, 1), np.eye(4))
        image = np.array([2.0, 4.0, 10.0], dtype=np.float32).reshape(3, 1, 1)
        source_from_target = np.eye(4)
        source_from_target[0, 3] = 0.5
        moved = resample(image, grid, Grid((2, 1, 1), np.eye(4)), source_from_target, order=1)
        assert moved.ravel().tolist() == [3.0, 7.0]

    def test_outside_the_image_is_zero(self) -> None:
        grid = Grid((4, 4, 4), np.eye(4))
        far_away = np.eye(4)
        far_away[:3, 3] = 100
        assert not resample(np.ones(grid.shape, dtype=np.float32), grid, grid, far_away, order=1).any()

    @given(affines())
    @settings(deadline=None)
    def test_a_linear_ramp_is_sampled_exactly_wherever_the_target_lies_inside(self, source_from_target: Affine) -> None:
        source = Grid((9, 9, 9), np.diag([20.0, 20.0, 20.0, 1.0]))
        target = Grid(
            (3, 3, 3), np.linalg.inv(source_from_target) @ source.affine @ nib.affines.from_matvec(np.eye(3), [2.5] * 3)
        )
        ramp = np.array([1.0, -2.0, 3.0])
        image = (np.moveaxis(np.indices(source.shape), 0, -1) @ ramp).astype(np.float32)
        expected = (np.moveaxis(np.indices(target.shape), 0, -1) + 2.5) @ ramp
        np.testing.assert_allclose(resample(image, source, target, source_from_target, order=1), expected, atol=1e-3)

    def test_the_result_is_float32_whatever_came_in(self) -> None:
        grid = Grid((2, 2, 2), np.eye(4))
        assert resample(np.ones((2, 2, 2)), grid, grid, np.eye(4), order=1).dtype == np.float32


class TestLabelMaps:
    @given(affines())
    @settings(deadline=None, max_examples=20)
    def test_a_round_trip_through_any_affine_keeps_a_compact_label(self, mni_from_native: Affine) -> None:
        native = Grid((24, 24, 24), np.eye(4))
        dseg = ball(native, 9.0)
        spacing = 0.5
        corners = apply(mni_from_native, native.corners_mm())
        low, high = corners.min(axis=0), corners.max(axis=0)
        x, y, z = np.ceil((high - low) / spacing).astype(int) + 1
        mni = Grid((int(x), int(y), int(z)), nib.affines.from_matvec(np.eye(3) * spacing, low))
        native_from_mni = np.linalg.inv(mni_from_native)
        there = resample_labels(dseg, native, mni, native_from_mni)
        back = resample_labels(there, mni, native, mni_from_native)
        for code in (1, 2):
            both = np.count_nonzero((back == code) & (dseg == code))
            dice = 2 * both / (np.count_nonzero(back == code) + np.count_nonzero(dseg == code))
            assert dice > 0.95

    def test_twice_as_fine_and_back_is_where_it_was(self) -> None:
        coarse, fine = Grid((16, 16, 16), np.eye(4)), Grid((32, 32, 32), np.diag([0.5, 0.5, 0.5, 1.0]))
        fine.affine[:3, 3] = -0.25
        dseg = ball(coarse, 6.0)
        there = resample_labels(dseg, coarse, fine, np.eye(4))
        np.testing.assert_array_equal(resample_labels(there, fine, coarse, np.eye(4)), dseg)

    @pytest.mark.parametrize("orientation", ["RAS", "LPS", "PIR", "SAL", "IRA"])
    def test_the_order_of_the_axes_in_memory_does_not_matter(self, orientation: str) -> None:
        affine = np.diag([1.0, 2.0, 3.0, 1.0])
        dseg = np.random.default_rng(1).integers(0, 27, (4, 5, 6)).astype(np.uint8)
        image = nib.Nifti1Image(dseg, affine)
        turned = image.as_reoriented(
            nib.orientations.ornt_transform(
                nib.io_orientation(affine), nib.orientations.axcodes2ornt(tuple(orientation))
            )
        )
        moved = resample_labels(dseg, Grid.of(image), Grid.of(turned), np.eye(4))
        np.testing.assert_array_equal(moved, np.asarray(turned.dataobj))

    def test_outside_the_map_is_background(self) -> None:
        grid = Grid((4, 4, 4), np.eye(4))
        far_away = np.eye(4)
        far_away[:3, 3] = 100
        assert not resample_labels(np.ones(grid.shape, dtype=np.uint8), grid, grid, far_away).any()
