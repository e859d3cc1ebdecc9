#pragma once

#include <cstddef>
#include <span>

#include "core/base/matrix_view.h"
#include "core/block/shape.h"
#include "core/block/side.h"

namespace cgfac {

/// A layer's Kronecker-factored Fisher block F = A ⊗ G, given by its two sides. It owns nothing.
///
///   A = scale_a · [a 1]ᵀ[a 1]   n × n, n = inFeatures (+ 1 with a bias)
///   G = scale_g · gᵀg           m × m, m = outFeatures
///   F v = G v A                 for a gradient v, m × n; with a bias its last column is the bias gradient
///
/// Each side may be, independently, an average in place of a batch's rows: see Side.
///
/// Source: J. Martens and R. Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", 2015,
/// §3.
struct FisherBlock {
  Side input;
  Side output;
  KernelLayout layout = KernelLayout::out_in;

  /// The shape of the weights that the block is for.
  [[nodiscard]] WeightShape shape() const {
    return {.out_features = output.dimension(), .in_features = input.features(), .bias = bias(), .layout = layout};
  }
  [[nodiscard]] std::size_t rows() const { return output.dimension(); }
  [[nodiscard]] std::size_t cols() const { return input.dimension(); }
  [[nodiscard]] std::size_t size() const { return rows() * cols(); }
  [[nodiscard]] bool bias() const { return input.homogeneous; }
  /// Sees `size()` numbers, the kernel and after it the bias, as a vector of weight space.
  template <typename T>
  [[nodiscard]] WeightView<T> view(std::span<T> numbers) const {
    return shape().view(numbers);
  }
  /// Sees a kernel in this block's layout as outFeatures × inFeatures.
  template <typename T>
  [[nodiscard]] MatrixView<T> kernel_view(T* kernel) const {
    return shape().kernel_view(kernel);
  }
};

/// The forms of both sides, chosen together.
struct BlockForms {
  FactorForm input = FactorForm::panel;
  FactorForm output = FactorForm::panel;

  [[nodiscard]] bool input_panel() const { return input == FactorForm::panel; }
  [[nodiscard]] bool output_panel() const { return output == FactorForm::panel; }
  [[nodiscard]] bool panels() const { return input_panel() && output_panel(); }
  [[nodiscard]] bool covariances() const { return !input_panel() && !output_panel(); }
};

}  // namespace cgfac
