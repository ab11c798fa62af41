// Python sees the kernels here and in fusion_bindings.cpp: arguments are checked, the GIL is released, the kernel runs.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <stdexcept>
#include <string>

#include "cerebatch/resample_labels.hpp"
#include "cerebatch/warp_labels.hpp"
#include "fusion_bindings.hpp"

namespace py = pybind11;

namespace {

using LabelArray = py::array_t<std::uint8_t, py::array::c_style>;
using MatrixArray = py::array_t<double, py::array::c_style | py::array::forcecast>;
using FieldArray = py::array_t<float, py::array::c_style>;

LabelArray resample_labels(const LabelArray& source, const MatrixArray& matrix, const cerebatch::Shape& target_shape,
                           int threads) {
    if (source.ndim() != 3) {
        throw std::invalid_argument("source: expected 3 dimensions, found " + std::to_string(source.ndim()));
    }
    if (matrix.ndim() != 2 || matrix.shape(0) != 3 || matrix.shape(1) != 4) {
        throw std::invalid_argument("matrix: expected shape (3, 4)");
    }
    if (threads < 1) {
        throw std::invalid_argument("threads: expected at least 1, found " + std::to_string(threads));
    }
    for (const auto n : target_shape) {
        if (n < 0) throw std::invalid_argument("target_shape: expected no negative length, found " + std::to_string(n));
    }
    cerebatch::VoxelMap map{};
    for (py::ssize_t r = 0; r < 3; ++r) {
        for (py::ssize_t c = 0; c < 4; ++c) map[r][c] = matrix.at(r, c);
    }
    const cerebatch::Shape source_shape{source.shape(0), source.shape(1), source.shape(2)};
    LabelArray target({target_shape[0], target_shape[1], target_shape[2]});
    const std::uint8_t* from = source.data();
    std::uint8_t* to = target.mutable_data();
    {
        py::gil_scoped_release release;
        cerebatch::resample_labels(from, source_shape, map, to, target_shape, threads);
    }
    return target;
}

LabelArray warp_labels(const LabelArray& source, const FieldArray& field, int threads) {
    if (source.ndim() != 3) {
        throw std::invalid_argument("source: expected 3 dimensions, found " + std::to_string(source.ndim()));
    }
    bool fits = field.ndim() == 4 && field.shape(3) == 3;
    for (py::ssize_t axis = 0; fits && axis < 3; ++axis) fits = field.shape(axis) == source.shape(axis);
    if (!fits) throw std::invalid_argument("field: expected the shape of source, and 3");
    if (threads < 1) {
        throw std::invalid_argument("threads: expected at least 1, found " + std::to_string(threads));
    }
    const cerebatch::Shape shape{source.shape(0), source.shape(1), source.shape(2)};
    LabelArray target({shape[0], shape[1], shape[2]});
    const std::uint8_t* from = source.data();
    const float* by = field.data();
    std::uint8_t* to = target.mutable_data();
    {
        py::gil_scoped_release release;
        cerebatch::warp_labels(from, by, to, shape, threads);
    }
    return target;
}

}  // namespace

PYBIND11_MODULE(_kernels, m) {
    m.doc() = "Compiled kernels of cerebatch.";
#ifdef _OPENMP
    m.attr("OPENMP") = true;
#else
    m.attr("OPENMP") = false;
#endif
    m.def("resample_labels", &resample_labels, py::arg("source").noconvert(), py::arg("matrix"),
          py::arg("target_shape"), py::arg("threads"),
          "Label map on another grid by linear vote; `matrix` (3, 4) maps target to source voxel indices.");
    m.def("warp_labels", &warp_labels, py::arg("source").noconvert(), py::arg("field").noconvert(), py::arg("threads"),
          "Label map through displacements in voxels (X, Y, Z, 3) by linear vote.");
    bind_fusion(m);
}
