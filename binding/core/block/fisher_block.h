#pragma once

#include <cstddef>
#include <limits>
#include <span>
#include <string_view>

#include "core/base/buffer.h"
#include "core/base/matrix_view.h"
#include "core/block/side.h"
#include "core/block/weight_vector.h"

namespace cgfac {

/// Norms are kept a factor 4 inside the range of float32, so that the sum of two vectors stays inside as well.
inline constexpr double largest_norm = static_cast<double>(std::numeric_limits<float>::max()) / 4;

/// How a kernel lies in memory: outFeatures × inFeatures (PyTorch) or inFeatures × outFeatures (TensorFlow.js, Keras).
enum class KernelLayout { out_in, in_out };

/// λ itself, or a multiple of the mean eigenvalue of F, tr(A)·tr(G)/(n·m).
struct Damping {
  double value = 0;
  bool relative = false;
};

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

  [[nodiscard]] std::size_t rows() const { return output.dimension(); }
  [[nodiscard]] std::size_t cols() const { return input.dimension(); }
  [[nodiscard]] std::size_t size() const { return rows() * cols(); }
  [[nodiscard]] bool bias() const { return input.homogeneous; }
  /// Sees `size()` numbers, the kernel and after it the bias, as a vector of weight space.
  template <typename T>
  [[nodiscard]] WeightView<T> view(std::span<T> numbers) const {
    return {kernel_view(numbers.data()), numbers.subspan(rows() * input.features())};
  }
  /// Sees a kernel in this block's layout as outFeatures × inFeatures.
  template <typename T>
  [[nodiscard]] MatrixView<T> kernel_view(T* kernel) const {
    const std::size_t m = rows();
    const std::size_t in_features = input.features();
    return layout == KernelLayout::out_in ? MatrixView<T>(kernel, m, in_features)
                                          : MatrixView<T>(kernel, in_features, m).transposed();
  }
};

/// The forms of both sides, chosen together.
struct BlockForms {
  FactorForm input = FactorForm::panel;
  FactorForm output = FactorForm::panel;
};

/// The sums that every call computes once: they show NaN and infinity, and make relative damping absolute.
struct BlockTraces {
  double input = 0;   ///< tr A
  double output = 0;  ///< tr G
};
/// 2·N·(m + n) flops, or d² for a given factor. Throws Error(not_finite) that names the array and the index where rows
/// or factors hold NaN or infinity.
[[nodiscard]] BlockTraces traces(const FisherBlock& block);

/// λ as an absolute number. Relative damping of a block of zeros gives 0.
[[nodiscard]] double absolute_damping(const FisherBlock& block, const BlockTraces& traces, const Damping& damping);

/// A right-hand side: a gradient v that is given, or a batch's own, scale · g_vᵀ [a 1]. The latter is never formed
/// where its input rows a are those of the input side and both sides are panels.
struct Gradient {
  WeightView<const float> v{};           ///< where it is given
  MatrixView<const float> loss_grads{};  ///< g_v, B × m, where it is a batch's own
  /// a, B × inFeatures, where the gradient is a batch's own and the input side does not have that batch's rows; a layer
  /// with a bias adds the 1. None: the rows of the input side.
  MatrixView<const float> inputs{};
  double scale = 1;  ///< of g_vᵀ [a 1]: 1/B, or 1 where g_v carries it

  [[nodiscard]] bool same_batch() const { return loss_grads.data != nullptr; }
};

/// Whether a batch's own gradient is made of the input side's own rows.
[[nodiscard]] bool has_block_inputs(const FisherBlock& block, const Gradient& gradient);
/// Whether it is made of the rows of both sides: the empirical Fisher, v = P_g P_aᵀ to a factor.
[[nodiscard]] bool empirical(const FisherBlock& block, const Gradient& gradient);

/// Searches everything that enters a product once a result turned out not to be finite, so that the error names its
/// cause: the rows or factors of both sides, and v as NAME. Always throws: where all is finite, the product itself left
/// the range of float32.
[[noreturn]] void throw_not_finite(const FisherBlock& block, std::string_view name, const WeightView<const float>& v);
/// The same with the rows of a batch's own gradient, or "v".
[[noreturn]] void throw_not_finite(const FisherBlock& block, const Gradient& gradient);

/// Columns or rows of a vector of weight space that are worked on at a time, at the least.
inline constexpr std::size_t smallest_chunk = 16;

/// Scratch that `project` and `expand` use, in numbers: what both products between would fill, but not more than
/// `limit`, above which they work in chunks of columns or rows, and never less than `smallest_chunk` of those.
[[nodiscard]] std::size_t pass_scratch(const FisherBlock& block, const BlockForms& forms, std::size_t limit);

/// U ← P_gᵀ v P_a, (N_g or m) × (N_a or n): a panel side is multiplied by its rows, a covariance side has P = I.
///
/// Both panels: (g v) aᵀ or g (v aᵀ), whichever is cheaper; about 2·N·m·n flops, split over the pool threads. The
/// homogeneous coordinate adds the outer product of g·bias with ones. Returns ‖v‖², taken while a piece of v is at
/// hand.
double project(const FisherBlock& block, const BlockForms& forms, const WeightView<const float>& v, MatrixView<float> u,
               std::span<float> scratch);

/// out ← keep · out + factor · (s·v + P_g C P_aᵀ), the adjoint of `project` with a multiple of a gradient. Both panels:
/// (gᵀ C) a or gᵀ (C a), whichever is cheaper, split over the pool threads; with the batch's own gradient
/// (s·scale·g_vᵀ + P_g C) a, without a pass over v, for which its input rows must be the block's. `out` may be v.
///
/// `norm_c` ≥ ‖C‖_F bounds what can come out; Error(not_finite) is thrown before `out` is touched where that leaves
/// the range of float32. The multiple of v is the caller's to check.
void expand(const FisherBlock& block, const BlockForms& forms, const BlockTraces& traces, double s,
            const Gradient& gradient, MatrixView<const float> c, double norm_c, const Destination& destination,
            std::span<float> scratch);

/// v ← scale · g_vᵀ [a 1], the product that `expand` saves where it can.
void form_gradient(const FisherBlock& block, const Gradient& gradient, const WeightView<float>& v);
/// The gradient as one that is given: itself, or a batch's own formed in `memory`.
[[nodiscard]] Gradient given_gradient(const FisherBlock& block, const Gradient& gradient, Buffer<float>& memory);

}  // namespace cgfac
