"""Label fusion against plain NumPy and SciPy."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fusion_cases import (
    DS,
    Cases,
    any_numbers,
    assert_same,
    random_cases,
    random_fields,
    some_cases,
    voted,
    warped,
    whole_numbers,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from cerebatch import _kernels
from cerebatch.spatial.fusion import fuse, warp_and_fuse


@given(some_cases(whole_numbers), DS)
@settings(deadline=None)
def test_the_label_with_the_largest_sum_of_weights_wins(cases: Cases, d: float) -> None:
    assert_same(fuse(*cases, d), voted(*cases, d))


@given(some_cases(any_numbers), DS)
@settings(deadline=None)
def test_where_the_difference_is_not_finite_a_case_has_no_vote(cases: Cases, d: float) -> None:
    assert_same(fuse(*cases, d), voted(*cases, d))


@pytest.mark.parametrize("factor", [1, 2])
@given(data=st.data(), d=DS)
@settings(deadline=None, max_examples=60)
def test_warped_on_the_way_is_warped_before(factor: int, data: st.DataObject, d: float) -> None:
    # Quarters and eighths: no rounding in float32, so halves and ties are what they are in float64.
    target, images, labels = data.draw(some_cases(whole_numbers, factor))
    coarse = (len(images), *(n // factor for n in target.shape), 3)
    fields = list(data.draw(hnp.arrays(np.int64, coarse, elements=st.integers(-12, 12))).astype(np.float32) / 4)
    at_target = warped(images, labels, fields, factor)
    found = warp_and_fuse(target, images, labels, fields, d)
    assert_same(found, voted(target, *at_target[:2], d, at_target[2]))


@given(some_cases(any_numbers), st.data())
@settings(deadline=None)
def test_without_displacement_warping_changes_no_byte(cases: Cases, data: st.DataObject) -> None:
    factor = data.draw(st.sampled_from([f for f in (1, 2, 3, 4) if all(n % f == 0 for n in cases[0].shape)]))
    still = [np.zeros((*(n // factor for n in cases[0].shape), 3), dtype=np.float32)] * len(cases[1])
    dseg, share = fuse(*cases, 0.5)
    warped_dseg, warped_share = warp_and_fuse(*cases, still, 0.5)
    assert (dseg.tobytes(), share.tobytes()) == (warped_dseg.tobytes(), warped_share.tobytes())


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_the_number_of_threads_changes_no_byte(factor: int) -> None:
    # Many tiles, the last one cut short.
    shape = (42, 36, 30)
    cases, fields = random_cases(5, shape), random_fields(5, (42 // factor, 36 // factor, 30 // factor))
    for run in (
        lambda n: fuse(*cases, 0.5, n),
        lambda n: warp_and_fuse(*cases, fields, 0.5, n),
        lambda n: warp_and_fuse(*cases, fields, 0.5, n, through=fields[0]),
    ):
        one, two, three = (tuple(array.tobytes() for array in run(n)) for n in (1, 2, 3))
        assert one == two == three


@pytest.mark.parametrize("number", [1, 2, 25, 70])
@pytest.mark.parametrize("codes", [2, 27, 256])
def test_any_number_of_cases_and_codes(number: int, codes: int) -> None:
    cases = random_cases(number, (17, 9, 31), codes)
    assert_same(fuse(*cases, 0.5, 2), voted(*cases, 0.5))
    still = random_fields(number, (17, 9, 31), 0.0)
    assert_same(warp_and_fuse(*cases, still, 0.5, 2), voted(*cases, 0.5))


def test_ties_go_to_the_smaller_code_in_any_order() -> None:
    target, image = np.zeros((1, 1, 1), dtype=np.float32), np.ones((1, 1, 1), dtype=np.float32)
    for pair in ([9, 4], [4, 9], [255, 0], [0, 255]):
        dseg, share = fuse(target, [image] * 2, [np.full((1, 1, 1), code, dtype=np.uint8) for code in pair], 0.5)
        assert (dseg.item(), share.item()) == (min(pair), 0.5)


def test_two_distant_cases_lose_against_a_near_one_and_win_without_d() -> None:
    target = np.zeros((1, 1, 1), dtype=np.float32)
    images = [target + np.float32(value) for value in (0, 6, 6)]
    labels = [np.full((1, 1, 1), code, dtype=np.uint8) for code in (5, 2, 2)]
    assert [a.item() for a in fuse(target, images, labels, 0.5)] == [5, np.float32(1 / 1.5)]
    assert [a.item() for a in fuse(target, images, labels, 0.0)] == [2, np.float32(2 / 3)]


def test_one_case_is_its_own_answer() -> None:
    target, images, labels = random_cases(1, (5, 6, 7), 256)
    dseg, share = fuse(target, [np.full_like(images[0], np.nan)], labels, 0.5)
    np.testing.assert_array_equal(dseg, labels[0])
    assert (share == 1).all()


def test_all_background_is_background() -> None:
    target, images, _ = random_cases(3, (5, 6, 7))
    dseg, share = fuse(target, images, [np.zeros((5, 6, 7), dtype=np.uint8)] * 3, 0.5)
    assert not dseg.any()
    assert (share == 1).all()


def test_where_nobody_votes_the_label_and_the_share_are_0() -> None:
    target, images, labels = random_cases(2, (3, 3, 3))
    labels = [np.full_like(labels[0], 8), np.full_like(labels[0], 9)]
    for cases in ((np.full_like(target, np.nan), images), (target, [np.full_like(target, np.inf)] * 2)):
        dseg, share = fuse(*cases, labels, 0.5)
        assert not dseg.any()
        assert not share.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("component", [0, 1, 2])
def test_where_its_displacement_is_not_finite_a_case_has_no_vote(component: int, bad: float) -> None:
    cases = random_cases(4, (4, 5, 6))
    fields = random_fields(4, (4, 5, 6), 0.0)
    fields[0][1, :, :, component] = bad
    fields[1][1, :, 2:, component] = bad
    known = np.array([np.isfinite(field).all(axis=-1) for field in fields])
    assert_same(warp_and_fuse(*cases, fields, 0.5), voted(*cases, 0.5, known))
    everywhere = [np.full_like(fields[0], bad)] * 4
    assert not np.any(warp_and_fuse(*cases, everywhere, 0.5))


def test_a_whole_displacement_is_a_shift() -> None:
    target, images, labels = random_cases(3, (8, 9, 10))
    by = np.array([2, -1, 3])
    fields = [np.broadcast_to(by.astype(np.float32), (8, 9, 10, 3))] * 3
    shifted = [[np.roll(volume, -by, axis=(0, 1, 2)) for volume in volumes] for volumes in (images, labels)]
    inside = (slice(0, 6), slice(1, 9), slice(0, 7))
    found, expected = warp_and_fuse(target, images, labels, fields, 0.5), fuse(target, *shifted, 0.5)
    for array, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(array[inside], other[inside])


@pytest.mark.parametrize("far", [50.0, 1e9, float(np.finfo(np.float32).max)])
def test_a_displacement_out_of_the_image_ends_at_its_edge(far: float) -> None:
    target, images, labels = random_cases(3, (3, 4, 5))
    for sign, corner in ((-1, (0, 0, 0)), (1, (-1, -1, -1))):
        fields = [np.full((3, 4, 5, 3), sign * far, dtype=np.float32)] * 3
        at_corner = [[np.full_like(volume, volume[corner]) for volume in volumes] for volumes in (images, labels)]
        assert_same(warp_and_fuse(target, images, labels, fields, 0.5), fuse(target, *at_corner, 0.5))


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_a_coarse_field_is_its_linear_refinement(factor: int) -> None:
    shape = (2 * factor, 3 * factor, 4 * factor)
    cases = random_cases(4, shape)
    # Multiples of the cube of the factor, so that thirds of thirds of thirds do not round.
    whole = np.random.default_rng(1).integers(-2, 3, (4, 2, 3, 4, 3))
    coarse = list((whole * factor**3 / 32).astype(np.float32))
    at = (np.indices(shape) + 0.5) / factor - 0.5
    fine = [
        np.stack([ndimage.map_coordinates(f[..., c].astype(float), at, order=1, mode="nearest") for c in range(3)], -1)
        for f in coarse
    ]
    refined = [np.round(1024 * field).astype(np.float32) / 1024 for field in fine]
    assert_same(warp_and_fuse(*cases, coarse, 0.5), warp_and_fuse(*cases, refined, 0.5))


def test_an_empty_volume_stays_empty() -> None:
    cases, fields = random_cases(2, (0, 3, 4)), random_fields(2, (0, 3, 4))
    for dseg, share in (fuse(*cases, 0.5), warp_and_fuse(*cases, fields, 0.5)):
        assert dseg.shape == share.shape == (0, 3, 4)


def test_arrays_that_are_not_contiguous_are_read_as_they_are_indexed() -> None:
    target, images, labels = random_cases(3, (6, 8, 10))
    fields = random_fields(3, (6, 8, 10))
    views = [[volume[::-1, ::2].transpose(2, 1, 0) for volume in volumes] for volumes in ([target], images, labels)]
    copies = [[volume.copy() for volume in volumes] for volumes in views]
    field_views = [field[::-1, ::2].transpose(2, 1, 0, 3) for field in fields]
    assert_same(fuse(views[0][0], *views[1:], 0.5), fuse(copies[0][0], *copies[1:], 0.5))
    assert_same(
        warp_and_fuse(views[0][0], *views[1:], field_views, 0.5),
        warp_and_fuse(copies[0][0], *copies[1:], [f.copy() for f in field_views], 0.5),
    )


def test_nothing_is_written_to() -> None:
    target, images, labels = random_cases(3, (6, 8, 10))
    fields = random_fields(3, (6, 8, 10))
    before = [array.tobytes() for array in (target, *images, *labels, *fields)]
    for array in (target, *images, *labels, *fields):
        array.flags.writeable = False
    fuse(target, images, labels, 0.5)
    warp_and_fuse(target, images, labels, fields, 0.5)
    assert before == [array.tobytes() for array in (target, *images, *labels, *fields)]


@pytest.mark.parametrize("threads", [1, 3])
def test_the_floor_of_the_benchmarks_reads_every_byte(threads: int) -> None:
    arrays = [np.random.default_rng(0).integers(0, 256, n, dtype=np.uint8) for n in (0, 7, 8, 2**21 + 13)]
    whole = [array[: array.size // 8 * 8].view(np.uint64) for array in arrays]
    rest = [array[array.size // 8 * 8 :] for array in arrays]
    assert _kernels.sum_words(arrays, threads) == sum(int(a.sum(dtype=np.uint64)) for a in (*whole, *rest)) % 2**64


@pytest.mark.parametrize("kernel", [_kernels.fuse, _kernels.warp_and_fuse])
def test_other_threads_run_meanwhile(kernel: Any) -> None:
    cases = random_cases(4, (32, 32, 32))
    more = (random_fields(4, (32, 32, 32)), 1) if kernel is _kernels.warp_and_fuse else ()
    started, seen = threading.Lock(), []
    started.acquire()
    other = threading.Thread(target=lambda: (started.acquire(), seen.append("the other thread")))
    other.start()
    interval = sys.getswitchinterval()
    # Python itself does not change threads for so long: the other one runs where a kernel lets it, or not at all.
    sys.setswitchinterval(1000)
    try:
        started.release()
        for _ in range(1000):
            kernel(*cases, *more, 0.5, 1)
            if seen:
                break
        assert seen
    finally:
        sys.setswitchinterval(interval)
        other.join()


PROGRAM = r"""
#include <cstdio>
#include <fstream>
#include <string>
#include "cerebatch/fuse.hpp"
#include "cerebatch/warp_and_fuse.hpp"

template <class Value> std::vector<Value> read(const std::string& path, std::size_t size) {
    std::vector<Value> values(size);
    std::ifstream(path, std::ios::binary).read(reinterpret_cast<char*>(values.data()), size * sizeof(Value));
    return values;
}

int main(int, char** argv) {
    const std::string folder = argv[1];
    const std::array<std::ptrdiff_t, 3> shape{18, 22, 50};
    const std::ptrdiff_t voxels = 18 * 22 * 50, number = 5;
    const auto images = read<float>(folder + "/images", (number + 1) * voxels);
    const auto labels = read<std::uint8_t>(folder + "/labels", number * voxels);
    const auto field = read<float>(folder + "/fields", number * voxels / 8 * 3);
    cerebatch::Cases cases;
    std::vector<const float*> fields;
    for (std::ptrdiff_t n = 0; n < number; ++n) {
        cases.images.push_back(images.data() + (n + 1) * voxels);
        cases.labels.push_back(labels.data() + n * voxels);
        fields.push_back(field.data() + n * voxels / 8 * 3);
    }
    std::vector<std::uint8_t> dseg(voxels);
    std::vector<float> share(voxels);
    std::ofstream out(folder + "/out", std::ios::binary);
    const auto write = [&] {
        out.write(reinterpret_cast<const char*>(dseg.data()), voxels);
        out.write(reinterpret_cast<const char*>(share.data()), voxels * 4);
    };
    for (const auto simd : cerebatch::simd_levels()) {
        std::puts(cerebatch::simd_name(simd).c_str());
        cerebatch::fuse(images.data(), cases, voxels, 0.5f, dseg.data(), share.data(), 2, simd);
        write();
        for (const float* through : {static_cast<const float*>(nullptr), fields[1]}) {
            cerebatch::warp_and_fuse(images.data(), cases, fields, through, shape, 2, 0.5f, dseg.data(), share.data(),
                                     2, simd);
            write();
        }
    }
}
"""


def test_serial_and_with_vectors_of_any_width_the_bytes_are_the_same(tmp_path: Path) -> None:
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler")
    shape = (18, 22, 50)
    target, images, labels = random_cases(5, shape)
    fields = random_fields(5, (9, 11, 25))
    fields[0][3, 3, 3] = np.nan
    for name, arrays in (("images", [target, *images]), ("labels", labels), ("fields", fields)):
        (tmp_path / name).write_bytes(np.stack(arrays).tobytes())
    (tmp_path / "main.cpp").write_text(PROGRAM)
    include = Path(__file__).parents[2] / "cpp" / "include"
    options = ["-std=c++17", "-O3", "-ffp-contract=off", "-fno-trapping-math", f"-I{include}"]
    subprocess.run([compiler, *options, "main.cpp", "-o", "main"], cwd=tmp_path, check=True)
    levels = subprocess.run([tmp_path / "main", tmp_path], check=True, capture_output=True, text=True).stdout.split()
    cases = (target, images, labels)
    composed = warp_and_fuse(*cases, fields, 0.5, 2, through=fields[1])
    results = (*fuse(*cases, 0.5, 2), *warp_and_fuse(*cases, fields, 0.5, 2), *composed)
    expected = b"".join(array.tobytes() for array in results)
    assert levels[-1] == _kernels.SIMD
    assert (tmp_path / "out").read_bytes() == expected * len(levels)
