#pragma once

#include <cstddef>
#include <span>

#include "core/base/matrix_view.h"
#include "core/base/names.h"

namespace cgfac {

/// How a kernel lies in memory: outFeatures × inFeatures (PyTorch) or inFeatures × outFeatures (TensorFlow.js, Keras).
enum class KernelLayout { out_in, in_out };

/// The names of the layouts as options.
template <>
inline constexpr std::array<std::string_view, 2> names_of<KernelLayout>{"out-in", "in-out"};

/// The shape of a layer's weights: a kernel and, with a bias, outFeatures numbers more, which as a vector of weight
/// space are the m × n matrix of the mathematics.
struct WeightShape {
  std::size_t out_features = 0;
  std::size_t in_features = 0;
  bool bias = false;
  KernelLayout layout = KernelLayout::out_in;

  /// m
  [[nodiscard]] std::size_t rows() const { return out_features; }
  /// n, the bias included
  [[nodiscard]] std::size_t cols() const { return in_features + (bias ? 1 : 0); }
  [[nodiscard]] std::size_t size() const { return rows() * cols(); }
  /// Sees a kernel in this layout as outFeatures × inFeatures.
  template <typename T>
  [[nodiscard]] MatrixView<T> kernel_view(T* kernel) const {
    return layout == KernelLayout::out_in ? MatrixView<T>(kernel, out_features, in_features)
                                          : MatrixView<T>(kernel, in_features, out_features).transposed();
  }
  /// Sees `size()` numbers, the kernel and after it the bias, as a vector of weight space.
  template <typename T>
  [[nodiscard]] WeightView<T> view(std::span<T> numbers) const {
    return {kernel_view(numbers.data()), numbers.subspan(out_features * in_features)};
  }
};

}  // namespace cgfac
