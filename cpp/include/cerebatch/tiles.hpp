// A flat range of voxels or rows, cut into tiles that threads take one after the other.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>

namespace cerebatch::detail {

// Fewer threads than asked for where there are fewer tiles.
inline int workers(std::ptrdiff_t number, std::ptrdiff_t tile, int threads) {
    return static_cast<int>(std::clamp<std::ptrdiff_t>((number + tile - 1) / tile, 1, threads));
}

// Calls work(begin, end, worker) for every tile; `worker`, from 0, tells which scratch memory is free.
template <class Work>
void for_each_tile(std::ptrdiff_t number, std::ptrdiff_t tile, int workers, const Work& work) {
    // Tiles differ in cost (mixed voxels sit at borders), so each worker takes the next one when it is done.
    std::atomic<std::ptrdiff_t> next{0};
#ifdef _OPENMP
#pragma omp parallel for schedule(static, 1) num_threads(workers)
#endif
    for (int worker = 0; worker < workers; ++worker) {
        for (std::ptrdiff_t begin = next.fetch_add(tile); begin < number; begin = next.fetch_add(tile)) {
            work(begin, std::min(begin + tile, number), worker);
        }
    }
}

}  // namespace cerebatch::detail
