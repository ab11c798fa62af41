// Displacement fields, which may lie on a grid that is coarser than the target's by an integer factor.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "cerebatch/simd.hpp"
#include "cerebatch/trilinear.hpp"

namespace cerebatch::detail {

// Between which two coarse samples a fine one lies. The grids share their outer faces: fine index i lies at the coarse
// coordinate (i + 0.5) / factor - 0.5, clamped to the first and the last sample.
struct Between {
    Between(std::ptrdiff_t i, std::ptrdiff_t length, std::ptrdiff_t factor) {
        const std::ptrdiff_t twice = std::clamp(2 * i + 1 - factor, std::ptrdiff_t{0}, 2 * (length - factor));
        const std::ptrdiff_t rest = twice % (2 * factor);
        lower = twice / (2 * factor);
        // A sample without weight is not read: if it is NaN it does not matter.
        upper = lower + (rest > 0);
        part = static_cast<float>(static_cast<double>(rest) / static_cast<double>(2 * factor));
    }

    std::ptrdiff_t lower, upper;
    float part;
};

// How a field lies on the target.
struct Lattice {
    Lattice(const std::array<std::ptrdiff_t, 3>& shape, std::ptrdiff_t factor)
        : shape(shape), factor(factor), coarse{shape[0] / factor, shape[1] / factor, shape[2] / factor} {
        // Along a row the samples of one phase, k % factor, all lie alike between their neighbours. Seen from a middle
        // one no edge interferes.
        for (std::ptrdiff_t phase = 0; phase < factor; ++phase) {
            phases.emplace_back(factor + phase, 3 * factor, factor);
        }
    }

    std::array<std::ptrdiff_t, 3> shape;
    std::ptrdiff_t factor;
    std::array<std::ptrdiff_t, 3> coarse;
    std::vector<Between> phases;
};

// Displacements of one row along z, component by component; the coarse ones have one more at either end.
struct DisplacementRow {
    explicit DisplacementRow(const Lattice& lattice) {
        for (auto& component : fine) component.resize(lattice.shape[2]);
        for (auto& component : coarse) component.resize(lattice.coarse[2] + 2);
    }

    std::array<std::vector<float>, 3> fine, coarse;
};

// `phases` is the factor where it is known, so that the stores of one phase and the next become one.
template <int phases>
CEREBATCH_INLINE void refine(const Lattice& lattice, DisplacementRow& row) {
    const std::ptrdiff_t factor = phases > 0 ? phases : lattice.factor, length = lattice.coarse[2];
    for (int c = 0; c < 3; ++c) {
        for (std::ptrdiff_t p = 0; p < factor; ++p) {
            const float* lower = row.coarse[c].data() + lattice.phases[p].lower;
            const float* upper = row.coarse[c].data() + lattice.phases[p].upper;
            const float part = lattice.phases[p].part;
            float* fine = row.fine[c].data() + p;
            CEREBATCH_INDEPENDENT
            for (std::ptrdiff_t q = 0; q < length; ++q) fine[q * factor] = between(lower[q], upper[q], part);
        }
    }
}

// Displacements of the row (i, j) of the target, linear between those of the field.
CEREBATCH_INLINE void displacements(const Lattice& lattice, const float* field, std::ptrdiff_t i, std::ptrdiff_t j,
                                    DisplacementRow& row) {
    const Between x(i, lattice.shape[0], lattice.factor), y(j, lattice.shape[1], lattice.factor);
    const auto samples = [&](std::ptrdiff_t a, std::ptrdiff_t b) {
        return field + (a * lattice.coarse[1] + b) * lattice.coarse[2] * 3;
    };
    const float* near = samples(x.lower, y.lower);
    const std::ptrdiff_t length = lattice.coarse[2];
    if (lattice.factor == 1) {
        float *fine_x = row.fine[0].data(), *fine_y = row.fine[1].data(), *fine_z = row.fine[2].data();
        CEREBATCH_INDEPENDENT
        for (std::ptrdiff_t k = 0; k < length; ++k) {
            fine_x[k] = near[3 * k];
            fine_y[k] = near[3 * k + 1];
            fine_z[k] = near[3 * k + 2];
        }
        return;
    }
    const float* near_up = samples(x.lower, y.upper);
    const float* far = samples(x.upper, y.lower);
    const float* far_up = samples(x.upper, y.upper);
    for (int c = 0; c < 3; ++c) {
        float* coarse = row.coarse[c].data();
        CEREBATCH_INDEPENDENT
        for (std::ptrdiff_t k = 0; k < length; ++k) {
            const std::ptrdiff_t q = 3 * k + c;
            coarse[k + 1] = between(between(near[q], near_up[q], y.part), between(far[q], far_up[q], y.part), x.part);
        }
        coarse[0] = coarse[1];
        coarse[length + 1] = coarse[length];
    }
    lattice.factor == 2 ? refine<2>(lattice, row) : refine<0>(lattice, row);
}

CEREBATCH_INLINE float clamped(float value, float last) {
    const float above = value > 0.0f ? value : 0.0f;
    return above < last ? above : last;
}

// Displacement at a finite point of the target's grid, linear between the samples of the field and continued by its
// edge.
CEREBATCH_INLINE std::array<float, 3> displacement_at(const Lattice& lattice, const float* field,
                                                      const std::array<float, 3>& point) {
    const float scale = 1.0f / static_cast<float>(lattice.factor);
    std::array<std::ptrdiff_t, 3> lower;
    std::array<std::ptrdiff_t, 3> step;
    std::array<float, 3> part;
    const std::array<std::ptrdiff_t, 3> stride{lattice.coarse[1] * lattice.coarse[2] * 3, lattice.coarse[2] * 3, 3};
    for (int axis = 0; axis < 3; ++axis) {
        const float at = clamped((point[axis] + 0.5f) * scale - 0.5f, static_cast<float>(lattice.coarse[axis] - 1));
        const auto whole = static_cast<std::int32_t>(at);
        part[axis] = at - static_cast<float>(whole);
        lower[axis] = whole * stride[axis];
        // A sample without weight is not read.
        step[axis] = part[axis] > 0.0f ? stride[axis] : 0;
    }
    const float* near = field + lower[0] + lower[1] + lower[2];
    const float* far = near + step[0];
    std::array<float, 3> by;
    for (int c = 0; c < 3; ++c) {
        const auto along = [&](const float* from) {
            const float one = between(from[c], from[c + step[2]], part[2]);
            const float other = between(from[c + step[1]], from[c + step[1] + step[2]], part[2]);
            return between(one, other, part[1]);
        };
        by[c] = between(along(near), along(far), part[0]);
    }
    return by;
}

}  // namespace cerebatch::detail
