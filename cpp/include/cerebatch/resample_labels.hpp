// Label map on another grid by linear vote: each of the eight voxels around a sample point votes for
// its label with its trilinear weight; the label with the largest sum wins, ties go to the smaller code.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace cerebatch {

using Shape = std::array<std::ptrdiff_t, 3>;

// Rows of a 3x4 matrix: target voxel indices (i, j, k, 1) -> source voxel coordinates.
using VoxelMap = std::array<std::array<double, 4>, 3>;

namespace detail {

// Winner of eight weighted votes. At most eight labels occur, so a linear search beats a table.
inline std::uint8_t winner(const std::array<std::uint8_t, 8>& label, const std::array<double, 8>& weight) {
    std::uint8_t best_label = 0;
    double best_sum = -1.0;
    for (int a = 0; a < 8; ++a) {
        double sum = 0.0;
        for (int b = 0; b < 8; ++b) {
            if (label[b] == label[a]) sum += weight[b];
        }
        if (sum > best_sum || (sum == best_sum && label[a] < best_label)) {
            best_sum = sum;
            best_label = label[a];
        }
    }
    return best_label;
}

inline std::uint8_t sample(const std::uint8_t* source, const Shape& shape, double x, double y, double z) {
    const bool inside = x > -1.0 && y > -1.0 && z > -1.0 && x < static_cast<double>(shape[0]) &&
                        y < static_cast<double>(shape[1]) && z < static_cast<double>(shape[2]);
    if (!inside) return 0;  // also where a coordinate is NaN
    const double fx = std::floor(x), fy = std::floor(y), fz = std::floor(z);
    const auto x0 = static_cast<std::ptrdiff_t>(fx);
    const auto y0 = static_cast<std::ptrdiff_t>(fy);
    const auto z0 = static_cast<std::ptrdiff_t>(fz);
    const double wx[2] = {1.0 - (x - fx), x - fx};
    const double wy[2] = {1.0 - (y - fy), y - fy};
    const double wz[2] = {1.0 - (z - fz), z - fz};

    std::array<std::uint8_t, 8> label{};
    std::array<double, 8> weight{};
    bool all_equal = true;
    for (int corner = 0; corner < 8; ++corner) {
        const std::ptrdiff_t dx = corner >> 2, dy = (corner >> 1) & 1, dz = corner & 1;
        const std::ptrdiff_t i = x0 + dx, j = y0 + dy, k = z0 + dz;
        const bool exists = i >= 0 && j >= 0 && k >= 0 && i < shape[0] && j < shape[1] && k < shape[2];
        label[corner] = exists ? source[(i * shape[1] + j) * shape[2] + k] : std::uint8_t{0};
        weight[corner] = wx[dx] * wy[dy] * wz[dz];
        all_equal = all_equal && label[corner] == label[0];
    }
    return all_equal ? label[0] : winner(label, weight);
}

}  // namespace detail

// Both arrays are C-contiguous. Every voxel is computed on its own, so the bytes do not depend on `threads`.
inline void resample_labels(const std::uint8_t* source, const Shape& source_shape, const VoxelMap& map,
                            std::uint8_t* target, const Shape& target_shape, int threads) {
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(threads)
#else
    (void)threads;
#endif
    for (std::ptrdiff_t i = 0; i < target_shape[0]; ++i) {
        for (std::ptrdiff_t j = 0; j < target_shape[1]; ++j) {
            for (std::ptrdiff_t k = 0; k < target_shape[2]; ++k) {
                const double at[3] = {static_cast<double>(i), static_cast<double>(j), static_cast<double>(k)};
                double point[3];
                for (int r = 0; r < 3; ++r) {
                    point[r] = map[r][0] * at[0] + map[r][1] * at[1] + map[r][2] * at[2] + map[r][3];
                }
                target[(i * target_shape[1] + j) * target_shape[2] + k] =
                    detail::sample(source, source_shape, point[0], point[1], point[2]);
            }
        }
    }
}

}  // namespace cerebatch
