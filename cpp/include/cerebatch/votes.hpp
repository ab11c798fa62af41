// The weighted vote of label fusion, on a list of voxels where the labels of the cases differ.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "cerebatch/simd.hpp"

namespace cerebatch {

// N images and N label maps of one shape, C-contiguous.
struct Cases {
    std::vector<const float*> images;
    std::vector<const std::uint8_t*> labels;
};

namespace detail {

// Voxels that are counted at once; a multiple of every width of vectors.
constexpr int lanes = 64;

// Voxels on one list. Their votes stay in the second-level cache for some hundred cases.
constexpr int ballot_capacity = 512;

// Votes of N cases on up to `ballot_capacity` voxels; those of case n start at n * ballot_capacity.
struct Ballots {
    explicit Ballots(std::size_t cases) : labels(cases * ballot_capacity), weights(cases * ballot_capacity) {}

    std::vector<std::uint8_t> labels;
    std::vector<float> weights;
    std::array<std::uint8_t, ballot_capacity> winners{};
    std::array<float, ballot_capacity> shares{};
};

// Equation 2 of DeepCERES, 1 / (1 + d |I - L|); 0, which is no vote, where the difference is not finite.
CEREBATCH_INLINE float weight(float target, float image, float d) {
    const float difference = std::fabs(target - image);
    const float w = 1.0f / (1.0f + d * difference);
    return difference <= std::numeric_limits<float>::max() ? w : 0.0f;
}

// Counts `lanes` voxels whose ballots start at `labels` and `weights`. The label with the largest sum wins, ties go
// to the smaller code; without any weight the winner is 0 with a share of 0. Sums are made in float, in the order of
// the cases. Every voxel goes through its own labels in ascending order, so 256 bins need not be cleared.
CEREBATCH_INLINE void count_lanes(const std::uint8_t* labels, const float* weights, int cases,
                                  std::uint8_t* winners, float* shares) {
    std::uint8_t code[lanes], last[lanes], next[lanes], larger[lanes];
    std::int32_t wide_code[lanes];
    float sum[lanes], best[lanes], total[lanes];
    for (int v = 0; v < lanes; ++v) {
        code[v] = 255;
        last[v] = 0;
        winners[v] = 0;
        best[v] = total[v] = 0.0f;
    }
    for (int n = 0; n < cases; ++n) {
        for (int v = 0; v < lanes; ++v) {
            const std::uint8_t label = labels[n * ballot_capacity + v];
            code[v] = label < code[v] ? label : code[v];
            last[v] = label > last[v] ? label : last[v];
        }
        for (int v = 0; v < lanes; ++v) total[v] += weights[n * ballot_capacity + v];
    }
    for (;;) {
        for (int v = 0; v < lanes; ++v) {
            wide_code[v] = code[v];
            sum[v] = 0.0f;
        }
        for (int n = 0; n < cases; ++n) {
            for (int v = 0; v < lanes; ++v) {
                const std::int32_t label = labels[n * ballot_capacity + v];
                const float w = weights[n * ballot_capacity + v];
                sum[v] += label == wide_code[v] ? w : 0.0f;
            }
        }
        for (int v = 0; v < lanes; ++v) {
            larger[v] = sum[v] > best[v];
            best[v] = sum[v] > best[v] ? sum[v] : best[v];
        }
        int unfinished = 0;
        for (int v = 0; v < lanes; ++v) {
            winners[v] = larger[v] ? code[v] : winners[v];
            unfinished |= code[v] < last[v];
        }
        if (!unfinished) break;
        // A voxel that is finished gets 255: nobody's label, or one whose sum is no longer larger than the best.
        for (int v = 0; v < lanes; ++v) next[v] = 255;
        for (int n = 0; n < cases; ++n) {
            for (int v = 0; v < lanes; ++v) {
                const std::uint8_t label = labels[n * ballot_capacity + v];
                const std::uint8_t later = label > code[v] ? label : std::uint8_t{255};
                next[v] = later < next[v] ? later : next[v];
            }
        }
        for (int v = 0; v < lanes; ++v) code[v] = next[v];
    }
    for (int v = 0; v < lanes; ++v) shares[v] = total[v] > 0.0f ? best[v] / total[v] : 0.0f;
}

// Counts the first `count` voxels; what lies beyond in the last lanes is computed and ignored.
CEREBATCH_INLINE void count_votes(Ballots& ballots, int cases, int count) {
    for (int begin = 0; begin < count; begin += lanes) {
        count_lanes(ballots.labels.data() + begin, ballots.weights.data() + begin, cases,
                    ballots.winners.data() + begin, ballots.shares.data() + begin);
    }
}

}  // namespace detail
}  // namespace cerebatch
