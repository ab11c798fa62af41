// The floor of the benchmarks: reading buffers once and adding them up.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "cerebatch/simd.hpp"
#include "cerebatch/tiles.hpp"

namespace cerebatch {

struct Buffer {
    const unsigned char* bytes;
    std::ptrdiff_t size;
};

namespace detail {

struct SumBuffer {
    static CEREBATCH_INLINE void run(const Buffer& buffer, std::uint64_t& sum) {
        std::uint64_t own = 0;
        std::ptrdiff_t at = 0;
        for (; at + 8 <= buffer.size; at += 8) {
            std::uint64_t word;
            std::memcpy(&word, buffer.bytes + at, 8);
            own += word;
        }
        for (; at < buffer.size; ++at) own += buffer.bytes[at];
        sum += own;
    }
};

}  // namespace detail

// Sum of the words of 8 bytes of every buffer, and of the bytes that are left over at its end, modulo 2^64.
inline std::uint64_t sum_words(const std::vector<Buffer>& buffers, int threads) {
    constexpr std::ptrdiff_t piece = std::ptrdiff_t{1} << 20;
    std::vector<Buffer> pieces;
    for (const Buffer& buffer : buffers) {
        for (std::ptrdiff_t at = 0; at < buffer.size; at += piece) {
            pieces.push_back({buffer.bytes + at, std::min(piece, buffer.size - at)});
        }
    }
    const auto number = static_cast<std::ptrdiff_t>(pieces.size());
    const int workers = detail::workers(number, 1, threads);
    std::vector<std::uint64_t> sums(workers);
    detail::for_each_tile(number, 1, workers, [&](std::ptrdiff_t begin, std::ptrdiff_t, int worker) {
        detail::run_with<detail::SumBuffer>(widest_simd(), pieces[begin], sums[worker]);
    });
    std::uint64_t sum = 0;
    for (const auto part : sums) sum += part;
    return sum;
}

}  // namespace cerebatch
