// Label fusion by local intensities (DeepCERES, equation 2) of cases that are already on the target's grid.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "cerebatch/simd.hpp"
#include "cerebatch/tiles.hpp"
#include "cerebatch/votes.hpp"

namespace cerebatch {
namespace detail {

// The byte per voxel of a tile stays in the first-level cache while the label maps stream by.
constexpr int fuse_tile = 4096;

// Voxels that go to the vote together: mixed voxels lie side by side, and blocks are copied faster than voxels.
constexpr int block = 8;
static_assert(ballot_capacity % block == 0);

struct FuseScratch {
    explicit FuseScratch(std::size_t cases)
        : differs(fuse_tile), blocks(fuse_tile / block), target(ballot_capacity), ballots(cases) {}

    std::vector<std::uint8_t> differs;
    std::vector<std::int32_t> blocks;
    std::vector<float> target;
    Ballots ballots;
};

struct Fusion {
    const float* target;
    const Cases& cases;
    float d;
    std::uint8_t* dseg;
    float* share;
};

// Copies the blocks that start at from[at[0]], from[at[1]], ... one behind the other; `end` may cut the last one.
template <class Value>
CEREBATCH_INLINE void gather_blocks(const Value* from, const std::int32_t* at, int number, int end, Value* to) {
    for (int b = 0; b < number; ++b) {
        if (at[b] + block <= end) {
            std::memcpy(to + b * block, from + at[b], block * sizeof(Value));
        } else {
            std::copy_n(from + at[b], end - at[b], to + b * block);
        }
    }
}

struct FuseTile {
    static CEREBATCH_INLINE void run(const Fusion& fusion, std::ptrdiff_t begin, std::ptrdiff_t end,
                                     FuseScratch& scratch) {
        const int count = static_cast<int>(end - begin);
        std::uint8_t* differs = scratch.differs.data();
        const std::uint8_t* first = fusion.cases.labels[0] + begin;
        std::fill(scratch.differs.begin(), scratch.differs.end(), std::uint8_t{0});
        for (std::size_t n = 1; n < fusion.cases.labels.size(); ++n) {
            const std::uint8_t* other = fusion.cases.labels[n] + begin;
            CEREBATCH_INDEPENDENT
            for (int v = 0; v < count; ++v) differs[v] |= static_cast<std::uint8_t>(first[v] ^ other[v]);
        }
        std::copy_n(first, count, fusion.dseg + begin);
        std::fill_n(fusion.share + begin, count, 1.0f);

        int mixed = 0;
        for (int v = 0; v < count; v += block) {
            std::uint64_t any;
            static_assert(sizeof any == block);
            std::memcpy(&any, differs + v, block);
            scratch.blocks[mixed] = v;
            mixed += any != 0;
        }
        constexpr int most = ballot_capacity / block;
        for (int b = 0; b < mixed; b += most) {
            vote(fusion, begin, count, scratch.blocks.data() + b, std::min(mixed - b, most), scratch);
        }
    }

    static CEREBATCH_INLINE void vote(const Fusion& fusion, std::ptrdiff_t begin, int end, const std::int32_t* at,
                                      int number, FuseScratch& scratch) {
        const int cases = static_cast<int>(fusion.cases.labels.size());
        const float d = fusion.d;
        float* target = scratch.target.data();
        gather_blocks(fusion.target + begin, at, number, end, target);
        for (int n = 0; n < cases; ++n) {
            float* weights = scratch.ballots.weights.data() + n * ballot_capacity;
            std::uint8_t* labels = scratch.ballots.labels.data() + n * ballot_capacity;
            if (n + 1 < cases) {
                const float* next = fusion.cases.images[n + 1] + begin;
                for (int b = 0; b < number; ++b) CEREBATCH_PREFETCH(next + at[b]);
            }
            gather_blocks(fusion.cases.labels[n] + begin, at, number, end, labels);
            gather_blocks(fusion.cases.images[n] + begin, at, number, end, weights);
            CEREBATCH_INDEPENDENT
            for (int m = 0; m < number * block; ++m) weights[m] = weight(target[m], weights[m], d);
        }
        count_votes(scratch.ballots, cases, number * block);
        for (int b = 0; b < number; ++b) {
            for (int v = at[b]; v < std::min(at[b] + block, end); ++v) {
                const int m = b * block + v - at[b];
                // In a block there are voxels where all agree.
                if (scratch.differs[v] == 0) continue;
                fusion.dseg[begin + v] = scratch.ballots.winners[m];
                fusion.share[begin + v] = scratch.ballots.shares[m];
            }
        }
    }
};

}  // namespace detail

// All arrays have `voxels` elements. Where all cases carry one label it wins with a share of 1 and no intensity is
// read. Elsewhere every case votes with its weight, see votes.hpp; `share` is the winner's part of all weights.
inline void fuse(const float* target, const Cases& cases, std::ptrdiff_t voxels, float d, std::uint8_t* dseg,
                 float* share, int threads, Simd simd = widest_simd()) {
    const int workers = detail::workers(voxels, detail::fuse_tile, threads);
    std::vector<detail::FuseScratch> scratch(workers, detail::FuseScratch(cases.labels.size()));
    const detail::Fusion fusion{target, cases, d, dseg, share};
    const auto work = [&](std::ptrdiff_t begin, std::ptrdiff_t end, int worker) {
        detail::run_with<detail::FuseTile>(simd, fusion, begin, end, scratch[worker]);
    };
    detail::for_each_tile(voxels, detail::fuse_tile, workers, work);
}

}  // namespace cerebatch
