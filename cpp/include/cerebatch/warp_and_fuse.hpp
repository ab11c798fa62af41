// Label fusion of cases that are warped on the way: no warped image or label map is ever stored.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cerebatch/displacement.hpp"
#include "cerebatch/simd.hpp"
#include "cerebatch/tiles.hpp"
#include "cerebatch/trilinear.hpp"
#include "cerebatch/votes.hpp"

namespace cerebatch {
namespace detail {

// Voxels of a tile, which is made of whole rows along z. Sample points of 20 cases take a quarter of a megabyte.
constexpr std::ptrdiff_t warp_tile = 1024;

// Stands for x of a sample point where the displacement is not finite: that case has no label and no vote.
constexpr float nowhere = -1.0f;

struct WarpScratch {
    WarpScratch(std::size_t cases, std::size_t voxels, const Lattice& lattice)
        : x(cases * voxels), y(cases * voxels), z(cases * voxels), labels(cases * voxels), displacement(lattice),
          differs(voxels), index(voxels), where(voxels), target(ballot_capacity), ballots(cases) {}

    std::vector<float> x, y, z;  // sample points in voxels, one case after the other
    std::array<std::vector<float>, 3> halfway{};  // of the tile's voxels, where a field leads through a space between
    std::vector<std::uint8_t> labels;
    DisplacementRow displacement;
    std::vector<std::uint8_t> differs;
    std::vector<std::int32_t> index, where;
    std::vector<float> target;
    Points<ballot_capacity> points{};
    std::array<float, ballot_capacity> x_or_nowhere{};
    Neighbourhoods<ballot_capacity> near_by{};
    Ballots ballots;
};

struct WarpedFusion {
    const float* target;
    const Cases& cases;
    const std::vector<const float*>& fields;
    const float* through;  // null: the fields begin at the target
    const Lattice& lattice;
    std::ptrdiff_t tile_voxels;
    float d;
    std::uint8_t* dseg;
    float* share;
};

// Positions where `differs` is not 0, ascending; returns how many.
CEREBATCH_INLINE int positions(const std::uint8_t* differs, int count, std::int32_t* where) {
    int found = 0;
    for (int v = 0; v < count; ++v) {
        where[found] = v;
        found += differs[v] != 0;
    }
    return found;
}

struct WarpTile {
    // Rows begin..end, counted along y and x.
    static CEREBATCH_INLINE void run(const WarpedFusion& fusion, std::ptrdiff_t begin, std::ptrdiff_t end,
                                     WarpScratch& scratch) {
        const std::ptrdiff_t start = begin * fusion.lattice.shape[2];
        const int count = static_cast<int>((end - begin) * fusion.lattice.shape[2]);
        std::uint8_t* differs = scratch.differs.data();
        const std::uint8_t* first = scratch.labels.data();
        std::fill_n(differs, count, std::uint8_t{0});
        if (fusion.through != nullptr) go_halfway(fusion, begin, end, scratch);
        for (std::size_t n = 0; n < fusion.cases.labels.size(); ++n) {
            fusion.through == nullptr ? place(fusion, n, begin, end, scratch) : place_from_halfway(fusion, n, count, scratch);
            nearest(fusion, n, count, scratch);
            const float* x = scratch.x.data() + n * fusion.tile_voxels;
            const std::uint8_t* other = scratch.labels.data() + n * fusion.tile_voxels;
            CEREBATCH_INDEPENDENT
            for (int v = 0; v < count; ++v) {
                const int missing = x[v] < 0.0f;
                differs[v] |= static_cast<std::uint8_t>((first[v] ^ other[v]) | missing);
            }
        }
        std::copy_n(first, count, fusion.dseg + start);
        std::fill_n(fusion.share + start, count, 1.0f);

        const int mixed = positions(differs, count, scratch.where.data());
        for (int at = 0; at < mixed; at += ballot_capacity) {
            vote(fusion, start, scratch.where.data() + at, std::min(mixed - at, ballot_capacity), scratch);
        }
    }

    // Sample points of case n.
    static CEREBATCH_INLINE void place(const WarpedFusion& fusion, std::size_t n, std::ptrdiff_t begin,
                                       std::ptrdiff_t end, WarpScratch& scratch) {
        const auto& shape = fusion.lattice.shape;
        const int length = static_cast<int>(shape[2]);
        const float last_x = static_cast<float>(shape[0] - 1);
        const float last_y = static_cast<float>(shape[1] - 1);
        const float last_z = static_cast<float>(shape[2] - 1);
        for (std::ptrdiff_t row = begin; row < end; ++row) {
            const std::ptrdiff_t i = row / shape[1], j = row % shape[1];
            displacements(fusion.lattice, fusion.fields[n], i, j, scratch.displacement);
            const float* by_x = scratch.displacement.fine[0].data();
            const float* by_y = scratch.displacement.fine[1].data();
            const float* by_z = scratch.displacement.fine[2].data();
            const std::ptrdiff_t to = n * fusion.tile_voxels + (row - begin) * shape[2];
            float* x = scratch.x.data() + to;
            float* y = scratch.y.data() + to;
            float* z = scratch.z.data() + to;
            const float from_x = static_cast<float>(i), from_y = static_cast<float>(j);
            CEREBATCH_INDEPENDENT
            for (int k = 0; k < length; ++k) {
                const float zero_or_nan = (by_x[k] - by_x[k]) + (by_y[k] - by_y[k]) + (by_z[k] - by_z[k]);
                const float at_x = clamped(from_x + by_x[k], last_x);
                x[k] = zero_or_nan == 0.0f ? at_x : nowhere;
                y[k] = clamped(from_y + by_y[k], last_y);
                z[k] = clamped(static_cast<float>(k) + by_z[k], last_z);
            }
        }
    }

    // Points of the space between to which `through` leads from the tile's voxels.
    static CEREBATCH_INLINE void go_halfway(const WarpedFusion& fusion, std::ptrdiff_t begin, std::ptrdiff_t end,
                                            WarpScratch& scratch) {
        const auto& shape = fusion.lattice.shape;
        for (std::ptrdiff_t row = begin; row < end; ++row) {
            const std::ptrdiff_t i = row / shape[1], j = row % shape[1];
            displacements(fusion.lattice, fusion.through, i, j, scratch.displacement);
            const std::array<float, 2> from{static_cast<float>(i), static_cast<float>(j)};
            const std::ptrdiff_t to = (row - begin) * shape[2];
            for (int c = 0; c < 3; ++c) {
                const float* by = scratch.displacement.fine[c].data();
                float* halfway = scratch.halfway[c].data() + to;
                CEREBATCH_INDEPENDENT
                for (int k = 0; k < static_cast<int>(shape[2]); ++k) {
                    halfway[k] = (c < 2 ? from[c] : static_cast<float>(k)) + by[k];
                }
            }
        }
    }

    // Sample points of case n, whose field begins at the points halfway.
    static CEREBATCH_INLINE void place_from_halfway(const WarpedFusion& fusion, std::size_t n, int count,
                                                    WarpScratch& scratch) {
        const auto& shape = fusion.lattice.shape;
        const std::array<float, 3> last{static_cast<float>(shape[0] - 1), static_cast<float>(shape[1] - 1),
                                        static_cast<float>(shape[2] - 1)};
        const std::ptrdiff_t to = n * fusion.tile_voxels;
        float *x = scratch.x.data() + to, *y = scratch.y.data() + to, *z = scratch.z.data() + to;
        const float *half_x = scratch.halfway[0].data(), *half_y = scratch.halfway[1].data(),
                    *half_z = scratch.halfway[2].data();
        for (int v = 0; v < count; ++v) {
            const float zero_or_nan = (half_x[v] - half_x[v]) + (half_y[v] - half_y[v]) + (half_z[v] - half_z[v]);
            const std::array<float, 3> halfway{half_x[v], half_y[v], half_z[v]};
            const std::array<float, 3> by =
                zero_or_nan == 0.0f ? displacement_at(fusion.lattice, fusion.fields[n], halfway) : halfway;
            const float sum_or_nan = zero_or_nan + ((by[0] - by[0]) + (by[1] - by[1]) + (by[2] - by[2]));
            x[v] = sum_or_nan == 0.0f ? clamped(halfway[0] + by[0], last[0]) : nowhere;
            y[v] = clamped(halfway[1] + by[1], last[1]);
            z[v] = clamped(halfway[2] + by[2], last[2]);
        }
    }

    // Nearest labels of case n: floor(c + 0.5) along every axis. A point that is nowhere reads a voxel all the same:
    // -1 + 0.5 is cut to 0.
    static CEREBATCH_INLINE void nearest(const WarpedFusion& fusion, std::size_t n, int count, WarpScratch& scratch) {
        const auto row = static_cast<std::int32_t>(fusion.lattice.shape[2]);
        const std::int32_t slice = static_cast<std::int32_t>(fusion.lattice.shape[1]) * row;
        const float* x = scratch.x.data() + n * fusion.tile_voxels;
        const float* y = scratch.y.data() + n * fusion.tile_voxels;
        const float* z = scratch.z.data() + n * fusion.tile_voxels;
        std::int32_t* index = scratch.index.data();
        CEREBATCH_INDEPENDENT
        for (int v = 0; v < count; ++v) {
            index[v] = static_cast<std::int32_t>(x[v] + 0.5f) * slice + static_cast<std::int32_t>(y[v] + 0.5f) * row +
                       static_cast<std::int32_t>(z[v] + 0.5f);
        }
        const std::uint8_t* from = fusion.cases.labels[n];
        std::uint8_t* labels = scratch.labels.data() + n * fusion.tile_voxels;
        for (int v = 0; v < count; ++v) labels[v] = from[index[v]];
    }

    // Labels of case n at the voxels of the list, and where to look for its intensities.
    static CEREBATCH_INLINE void look_up(const WarpedFusion& fusion, std::size_t n, const std::int32_t* where,
                                         int count, WarpScratch& scratch) {
        const auto row = static_cast<std::int32_t>(fusion.lattice.shape[2]);
        const std::int32_t slice = static_cast<std::int32_t>(fusion.lattice.shape[1]) * row;
        const float* x = scratch.x.data() + n * fusion.tile_voxels;
        const float* y = scratch.y.data() + n * fusion.tile_voxels;
        const float* z = scratch.z.data() + n * fusion.tile_voxels;
        const std::uint8_t* from = scratch.labels.data() + n * fusion.tile_voxels;
        std::uint8_t* labels = scratch.ballots.labels.data() + n * ballot_capacity;
        Points<ballot_capacity>& points = scratch.points;
        for (int m = 0; m < count; ++m) {
            labels[m] = from[where[m]];
            scratch.x_or_nowhere[m] = x[where[m]];
            points.y[m] = y[where[m]];
            points.z[m] = z[where[m]];
        }
        CEREBATCH_INDEPENDENT
        for (int m = 0; m < count; ++m) points.x[m] = scratch.x_or_nowhere[m] > 0.0f ? scratch.x_or_nowhere[m] : 0.0f;
        locate(points, count, fusion.cases.images[n], row, slice, scratch.near_by);
    }

    static CEREBATCH_INLINE void vote(const WarpedFusion& fusion, std::ptrdiff_t start, const std::int32_t* where,
                                      int count, WarpScratch& scratch) {
        const std::size_t cases = fusion.cases.labels.size();
        const float d = fusion.d;
        float* target = scratch.target.data();
        for (int m = 0; m < count; ++m) target[m] = fusion.target[start + where[m]];
        for (std::size_t n = 0; n < cases; ++n) {
            look_up(fusion, n, where, count, scratch);
            float* weights = scratch.ballots.weights.data() + n * ballot_capacity;
            sample(fusion.cases.images[n], scratch.near_by, count, weights);
            CEREBATCH_INDEPENDENT
            for (int m = 0; m < count; ++m) {
                const float w = weight(target[m], weights[m], d);
                weights[m] = scratch.x_or_nowhere[m] < 0.0f ? 0.0f : w;
            }
        }
        count_votes(scratch.ballots, static_cast<int>(cases), count);
        for (int m = 0; m < count; ++m) {
            fusion.dseg[start + where[m]] = scratch.ballots.winners[m];
            fusion.share[start + where[m]] = scratch.ballots.shares[m];
        }
    }
};

}  // namespace detail

// Sample points are computed in float and voxels addressed by 32 bits.
constexpr std::ptrdiff_t longest_warped_axis = std::ptrdiff_t{1} << 22;
constexpr std::ptrdiff_t most_warped_voxels = (std::ptrdiff_t{1} << 31) - 1;

// Target, images and labels have the shape `shape`; field n has the shape (shape / factor, 3) and holds displacements
// in voxels of the target. Case n is sampled at target index + displacement, clamped to its edges: the image linearly,
// the label at floor(c + 0.5). The votes are those of fuse.hpp; where a displacement is not finite its case has none.
// If `through` is not null, it leads from the target into the space where the fields begin, a grid of the same shape:
// case n is sampled at h + field n at h, where h = target index + through; the composed fields are never stored.
inline void warp_and_fuse(const float* target, const Cases& cases, const std::vector<const float*>& fields,
                          const float* through, const std::array<std::ptrdiff_t, 3>& shape, std::ptrdiff_t factor,
                          float d, std::uint8_t* dseg, float* share, int threads, Simd simd = widest_simd()) {
    if (shape[0] * shape[1] * shape[2] == 0) return;
    const std::ptrdiff_t rows = shape[0] * shape[1];
    const std::ptrdiff_t tile = std::max(detail::warp_tile / shape[2], std::ptrdiff_t{1});
    const int workers = detail::workers(rows, tile, threads);
    const detail::Lattice lattice(shape, factor);
    const detail::WarpedFusion fusion{target, cases, fields, through, lattice, tile * shape[2], d, dseg, share};
    std::vector<detail::WarpScratch> scratch(
        workers, detail::WarpScratch(cases.labels.size(), static_cast<std::size_t>(fusion.tile_voxels), lattice));
    if (through != nullptr) {
        for (auto& one : scratch) {
            for (auto& component : one.halfway) component.resize(fusion.tile_voxels);
        }
    }
    detail::for_each_tile(rows, tile, workers, [&](std::ptrdiff_t begin, std::ptrdiff_t end, int worker) {
        detail::run_with<detail::WarpTile>(simd, fusion, begin, end, scratch[worker]);
    });
}

}  // namespace cerebatch
