// The floor of the benchmarks: reading buffers once and adding them up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "cerebatch/simd.hpp"
#include "cerebatch/tiles.hpp"

namespace cerebatch {
namespace detail {

struct SumTile {
    static CEREBATCH_INLINE void run(const unsigned char* bytes, std::ptrdiff_t begin, std::ptrdiff_t end,
                                     std::uint64_t& sum) {
        std::uint64_t own = 0;
        std::ptrdiff_t at = begin;
        for (; at + 8 <= end; at += 8) {
            std::uint64_t word;
            std::memcpy(&word, bytes + at, 8);
            own += word;
        }
        for (; at < end; ++at) own += bytes[at];
        sum += own;
    }
};

}  // namespace detail

// Sum of the words of 8 bytes, and of the bytes that are left over at the end, modulo 2^64.
inline std::uint64_t sum_words(const unsigned char* bytes, std::ptrdiff_t size, int threads) {
    constexpr std::ptrdiff_t tile = std::ptrdiff_t{1} << 20;
    const int workers = detail::workers(size, tile, threads);
    std::vector<std::uint64_t> sums(workers);
    detail::for_each_tile(size, tile, workers, [&](std::ptrdiff_t begin, std::ptrdiff_t end, int worker) {
        detail::run_with<detail::SumTile>(widest_simd(), bytes, begin, end, sums[worker]);
    });
    std::uint64_t sum = 0;
    for (const auto part : sums) sum += part;
    return sum;
}

}  // namespace cerebatch
