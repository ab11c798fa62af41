// One body, compiled for several widths of vectors; the widest that the processor has is chosen at run time.
// A body only uses IEEE operations in a given order per voxel, so the bytes do not depend on the width.
#pragma once

#include <string>
#include <utility>
#include <vector>

// Clang calls itself GNU too. MSVC has neither target attributes nor this builtin: it gets the baseline.
#if defined(__x86_64__) && defined(__GNUC__)
#define CEREBATCH_X86_VECTORS
#endif

// What a body calls must become part of it, or it would keep the baseline's instructions.
#ifdef _MSC_VER
#define CEREBATCH_INLINE __forceinline
#define CEREBATCH_PREFETCH(address) ((void)(address))
#else
#define CEREBATCH_INLINE inline __attribute__((always_inline))
#define CEREBATCH_PREFETCH(address) __builtin_prefetch(address)
#endif

// The turns of the loop that follows do not touch each other's memory, which no compiler can know of so many pointers.
#if defined(__clang__)
#define CEREBATCH_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define CEREBATCH_INDEPENDENT _Pragma("GCC ivdep")
#elif defined(_MSC_VER)
#define CEREBATCH_INDEPENDENT __pragma(loop(ivdep))
#else
#define CEREBATCH_INDEPENDENT
#endif

namespace cerebatch {

enum class Simd { baseline, avx2, avx512 };

// What this processor and operating system can run, narrowest first.
inline std::vector<Simd> simd_levels() {
    std::vector<Simd> levels{Simd::baseline};
#ifdef CEREBATCH_X86_VECTORS
    if (__builtin_cpu_supports("avx2")) levels.push_back(Simd::avx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        levels.push_back(Simd::avx512);
    }
#endif
    return levels;
}

inline Simd widest_simd() {
    static const Simd widest = simd_levels().back();
    return widest;
}

inline std::string simd_name(Simd level) {
    if (level == Simd::avx512) return "avx512";
    if (level == Simd::avx2) return "avx2";
#if defined(__x86_64__) || defined(_M_X64)
    return "sse2";
#elif defined(__aarch64__) || defined(_M_ARM64)
    return "neon";
#else
    return "baseline";
#endif
}

namespace detail {

#ifdef CEREBATCH_X86_VECTORS
template <class Body, class... Args>
__attribute__((target("avx2"))) void run_avx2(Args&&... args) {
    Body::run(std::forward<Args>(args)...);
}

template <class Body, class... Args>
__attribute__((target("avx2,avx512f,avx512bw,avx512dq,avx512vl"))) void run_avx512(Args&&... args) {
    Body::run(std::forward<Args>(args)...);
}
#endif

// `Body::run` is a static CEREBATCH_INLINE function.
template <class Body, class... Args>
void run_with(Simd level, Args&&... args) {
#ifdef CEREBATCH_X86_VECTORS
    if (level == Simd::avx512) return run_avx512<Body>(std::forward<Args>(args)...);
    if (level == Simd::avx2) return run_avx2<Body>(std::forward<Args>(args)...);
#else
    (void)level;
#endif
    Body::run(std::forward<Args>(args)...);
}

}  // namespace detail
}  // namespace cerebatch
