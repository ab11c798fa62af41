// An image at a list of points, trilinear.
#pragma once

#include <array>
#include <cstdint>

#include "cerebatch/simd.hpp"

namespace cerebatch::detail {

CEREBATCH_INLINE float between(float a, float b, float part) { return a + part * (b - a); }

// Points in voxels, in lists of fixed length.
template <int capacity>
struct Points {
    std::array<float, capacity> x, y, z;
};

// What lies around such points in an image.
template <int capacity>
struct Neighbourhoods {
    std::array<std::int32_t, capacity> at, to_x, to_y, to_z;
    std::array<float, capacity> part_x, part_y, part_z;
    std::array<std::array<float, capacity>, 8> corner;
};

// Finds the voxels around the first `count` points, all between the first and the last voxel, and has them fetched;
// `row` and `slice` are voxels from one index of y and of x to the next.
// A voxel without weight is not read, so a NaN counts only where it has a part in the value.
template <int capacity>
CEREBATCH_INLINE void locate(const Points<capacity>& points, int count, const float* image, std::int32_t row,
                             std::int32_t slice, Neighbourhoods<capacity>& near_by) {
    CEREBATCH_INDEPENDENT
    for (int m = 0; m < count; ++m) {
        const auto i = static_cast<std::int32_t>(points.x[m]);
        const auto j = static_cast<std::int32_t>(points.y[m]);
        const auto k = static_cast<std::int32_t>(points.z[m]);
        const float part_x = points.x[m] - static_cast<float>(i);
        const float part_y = points.y[m] - static_cast<float>(j);
        const float part_z = points.z[m] - static_cast<float>(k);
        near_by.part_x[m] = part_x;
        near_by.part_y[m] = part_y;
        near_by.part_z[m] = part_z;
        near_by.at[m] = i * slice + j * row + k;
        near_by.to_x[m] = part_x > 0.0f ? slice : 0;
        near_by.to_y[m] = part_y > 0.0f ? row : 0;
        near_by.to_z[m] = part_z > 0.0f ? 1 : 0;
    }
    for (int m = 0; m < count; ++m) {
        const float* near = image + near_by.at[m];
        const float* far = near + near_by.to_x[m];
        CEREBATCH_PREFETCH(near);
        CEREBATCH_PREFETCH(near + near_by.to_y[m]);
        CEREBATCH_PREFETCH(far);
        CEREBATCH_PREFETCH(far + near_by.to_y[m]);
    }
}

// Values of the image at the points that were located.
template <int capacity>
CEREBATCH_INLINE void sample(const float* image, Neighbourhoods<capacity>& near_by, int count, float* values) {
    auto& corner = near_by.corner;
    for (int m = 0; m < count; ++m) {
        const float* near = image + near_by.at[m];
        const float* far = near + near_by.to_x[m];
        const std::int32_t dy = near_by.to_y[m], dz = near_by.to_z[m];
        corner[0][m] = near[0];
        corner[1][m] = near[dz];
        corner[2][m] = near[dy];
        corner[3][m] = near[dy + dz];
        corner[4][m] = far[0];
        corner[5][m] = far[dz];
        corner[6][m] = far[dy];
        corner[7][m] = far[dy + dz];
    }
    CEREBATCH_INDEPENDENT
    for (int m = 0; m < count; ++m) {
        const float z = near_by.part_z[m], y = near_by.part_y[m];
        const float near = between(between(corner[0][m], corner[1][m], z), between(corner[2][m], corner[3][m], z), y);
        const float far = between(between(corner[4][m], corner[5][m], z), between(corner[6][m], corner[7][m], z), y);
        values[m] = between(near, far, near_by.part_x[m]);
    }
}

}  // namespace cerebatch::detail
