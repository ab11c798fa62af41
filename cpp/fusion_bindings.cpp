// Label fusion as Python sees it. Sizes are checked here so that no call can read outside an array; cerebatch/spatial/fusion.py
// says in full what was expected.
#include "fusion_bindings.hpp"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "cerebatch/fuse.hpp"
#include "cerebatch/sum_words.hpp"
#include "cerebatch/warp_and_fuse.hpp"

namespace py = pybind11;

namespace {

using FloatArray = py::array_t<float, py::array::c_style>;
using ByteArray = py::array_t<std::uint8_t, py::array::c_style>;
using Fused = std::pair<ByteArray, FloatArray>;
using Lengths = std::vector<py::ssize_t>;

void require(bool condition, const std::string& message) {
    if (!condition) throw std::invalid_argument(message);
}

Lengths lengths(const py::array& array) { return Lengths(array.shape(), array.shape() + array.ndim()); }

template <class Array, class Value>
std::vector<const Value*> pointers(const std::string& name, const std::vector<Array>& arrays, std::size_t number,
                                   const Lengths& shape) {
    require(arrays.size() == number,
            name + ": expected " + std::to_string(number) + ", found " + std::to_string(arrays.size()));
    std::vector<const Value*> data;
    for (const auto& array : arrays) {
        require(lengths(array) == shape, name + ": one has another shape than expected");
        data.push_back(array.data());
    }
    return data;
}

cerebatch::Cases checked_cases(const FloatArray& target, const std::vector<FloatArray>& images,
                               const std::vector<ByteArray>& labels, double d, int threads) {
    require(target.ndim() == 3, "target: expected 3 dimensions, found " + std::to_string(target.ndim()));
    require(!images.empty(), "images: expected at least 1, found 0");
    require(images.size() <= 65535, "images: expected at most 65535, found " + std::to_string(images.size()));
    require(d >= 0.0 && d <= static_cast<double>(std::numeric_limits<float>::max()),
            "d: expected a finite number of at least 0, found " + std::to_string(d));
    require(threads >= 1, "threads: expected at least 1, found " + std::to_string(threads));
    const Lengths shape = lengths(target);
    return {pointers<FloatArray, float>("images", images, images.size(), shape),
            pointers<ByteArray, std::uint8_t>("labels", labels, images.size(), shape)};
}

Fused empty_like(const FloatArray& target) { return {ByteArray(lengths(target)), FloatArray(lengths(target))}; }

Fused fuse(const FloatArray& target, const std::vector<FloatArray>& images, const std::vector<ByteArray>& labels,
           double d, int threads) {
    const cerebatch::Cases cases = checked_cases(target, images, labels, d, threads);
    Fused fused = empty_like(target);
    const float* from = target.data();
    std::uint8_t* dseg = fused.first.mutable_data();
    float* share = fused.second.mutable_data();
    const py::ssize_t voxels = target.size();
    {
        py::gil_scoped_release release;
        cerebatch::fuse(from, cases, voxels, static_cast<float>(d), dseg, share, threads);
    }
    return fused;
}

Fused warp_and_fuse(const FloatArray& target, const std::vector<FloatArray>& images,
                    const std::vector<ByteArray>& labels, const std::vector<FloatArray>& fields,
                    int factor, double d, int threads, const std::optional<FloatArray>& through) {
    const cerebatch::Cases cases = checked_cases(target, images, labels, d, threads);
    require(factor >= 1, "factor: expected at least 1, found " + std::to_string(factor));
    const std::array<std::ptrdiff_t, 3> shape{target.shape(0), target.shape(1), target.shape(2)};
    for (const auto length : shape) {
        require(length % factor == 0, "target: expected a shape that divides by " + std::to_string(factor));
        require(length <= cerebatch::longest_warped_axis, "target: an axis is too long to be warped");
    }
    require(target.size() <= cerebatch::most_warped_voxels, "target: too many voxels to be warped");
    const Lengths coarse{shape[0] / factor, shape[1] / factor, shape[2] / factor, 3};
    const std::vector<const float*> data = pointers<FloatArray, float>("fields", fields, images.size(), coarse);
    require(!through || lengths(*through) == coarse, "through: expected the shape of the fields");
    const float* halfway = through ? through->data() : nullptr;
    Fused fused = empty_like(target);
    const float* from = target.data();
    std::uint8_t* dseg = fused.first.mutable_data();
    float* share = fused.second.mutable_data();
    {
        py::gil_scoped_release release;
        cerebatch::warp_and_fuse(from, cases, data, halfway, shape, factor, static_cast<float>(d), dseg, share, threads);
    }
    return fused;
}

std::uint64_t sum_words(const std::vector<py::array>& arrays, int threads) {
    require(threads >= 1, "threads: expected at least 1, found " + std::to_string(threads));
    std::vector<cerebatch::Buffer> buffers;
    for (const auto& array : arrays) {
        require((array.flags() & py::array::c_style) != 0, "arrays: expected contiguous ones");
        buffers.push_back({static_cast<const unsigned char*>(array.data()), array.nbytes()});
    }
    py::gil_scoped_release release;
    return cerebatch::sum_words(buffers, threads);
}

}  // namespace

void bind_fusion(py::module_& m) {
    m.attr("SIMD") = cerebatch::simd_name(cerebatch::widest_simd());
    m.def("fuse", &fuse, py::arg("target").noconvert(), py::arg("images").noconvert(), py::arg("labels").noconvert(),
          py::arg("d"), py::arg("threads"), "Label map and vote share from cases on the target's grid.");
    m.def("warp_and_fuse", &warp_and_fuse, py::arg("target").noconvert(), py::arg("images").noconvert(),
          py::arg("labels").noconvert(), py::arg("fields").noconvert(), py::arg("factor"),
          py::arg("d"), py::arg("threads"), py::arg("through").noconvert() = py::none(),
          "Label map and vote share from cases that displacement fields bring to the target.");
    m.def("sum_words", &sum_words, py::arg("arrays"), py::arg("threads"),
          "Sum of the 8-byte words of contiguous arrays, modulo 2^64: the floor of the benchmarks.");
}
