// Label map through a displacement field by linear vote, as in resample_labels.hpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cerebatch/resample_labels.hpp"

namespace cerebatch {

// All arrays are C-contiguous and of one shape; `field` holds three displacements in voxels at each voxel. The label at
// index + displacement is looked up, outside the map it is 0. The bytes do not depend on `threads`.
inline void warp_labels(const std::uint8_t* source, const float* field, std::uint8_t* target, const Shape& shape,
                        int threads) {
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(threads)
#else
    (void)threads;
#endif
    for (std::ptrdiff_t i = 0; i < shape[0]; ++i) {
        for (std::ptrdiff_t j = 0; j < shape[1]; ++j) {
            for (std::ptrdiff_t k = 0; k < shape[2]; ++k) {
                const std::ptrdiff_t at = (i * shape[1] + j) * shape[2] + k;
                const float* d = field + 3 * at;
                target[at] = detail::sample(source, shape, static_cast<double>(i) + static_cast<double>(d[0]),
                                            static_cast<double>(j) + static_cast<double>(d[1]),
                                            static_cast<double>(k) + static_cast<double>(d[2]));
            }
        }
    }
}

}  // namespace cerebatch
