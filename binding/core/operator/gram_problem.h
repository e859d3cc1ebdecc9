#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "core/base/arena.h"
#include "core/base/buffer.h"
#include "core/block/damping.h"
#include "core/block/gradient.h"
#include "core/block/passes.h"
#include "core/block/solution.h"
#include "core/operator/gram_matrices.h"

namespace cgfac {

/// Memory of a solve in Gram space, kept from one to the next.
struct GramWorkspace {
  Buffer<double> arena;    // the matrices and everything N × N
  Buffer<float> gradient;  // v, where the batch's own gradient has to be formed: the sides are not panels of its rows

  /// What it holds, in bytes.
  [[nodiscard]] std::size_t bytes() const { return arena.bytes() + gradient.bytes(); }
};

/// What every solution in Gram space starts from: U = P_gᵀ v P_a, ‖v‖², and the symmetric matrix of each side, its Gram
/// matrix K = PᵀP or, in covariance form, the factor itself.
///
/// U and ‖v‖² of the batch's own gradient follow from Gram matrices, without a pass over weights, where both sides are
/// panels and the input side has the batch's rows; else that gradient is formed. All else that a solver needs comes
/// from `scratch()`: with N rows on both sides the whole arena has `arena_squares`·N² numbers.
class GramProblem {
 public:
  /// Numbers (float64) of the arena, in units of N² where both sides have N rows.
  static constexpr std::size_t arena_squares = 8;
  /// Numbers of the arena for N rows: 8·N², or 128 KiB where that is more.
  [[nodiscard]] static constexpr std::size_t arena_numbers(std::size_t n) {
    constexpr std::size_t least = 16384;
    return std::max(least, arena_squares * n * n);
  }

  /// Throws Error(not_finite) that names its cause where v or the rows hold NaN or infinity; `solver_numbers` is what
  /// the solver will ask of scratch().
  GramProblem(const FisherBlock& block, const BlockTraces& traces, const Gradient& gradient, std::size_t solver_numbers,
              GramWorkspace& workspace);

  [[nodiscard]] const FisherBlock& block() const { return block_; }
  [[nodiscard]] const BlockTraces& traces() const { return traces_; }
  [[nodiscard]] const BlockForms& forms() const { return forms_; }
  /// v as the solvers see it: formed, where that had to be.
  [[nodiscard]] const Gradient& gradient() const { return gradient_; }
  [[nodiscard]] double v_norm2() const { return v_norm2_; }
  /// Rows and columns of U.
  [[nodiscard]] std::size_t rows() const { return u_.rows; }
  [[nodiscard]] std::size_t cols() const { return u_.cols; }

  [[nodiscard]] const MatrixView<float>& u() const { return u_; }
  /// cols() × cols(), both triangles; solvers decompose them in place.
  [[nodiscard]] const MatrixView<double>& input_matrix() const { return input_matrix_; }
  [[nodiscard]] const MatrixView<double>& output_matrix() const { return output_matrix_; }
  [[nodiscard]] std::span<double> scratch() const { return scratch_; }

  /// ‖v‖² = 0: the solution is 0.
  [[nodiscard]] bool zero() const { return v_norm2_ == 0; }

  /// out ← P_gᵀ x₀ P_a
  double project(const WeightView<const float>& x0, MatrixView<float> out, std::span<double> scratch) const;
  /// out ← keep·out + factor·(s·v + P_g C P_aᵀ) in float32. Throws Error(not_finite), with `out` untouched, where that
  /// leaves the range of float32. `scratch` must have room for a pass (see `pass_scratch`).
  void expand(double s, MatrixView<const float> c, const Destination& destination, std::span<double> scratch) const;

 private:
  void project_own_gradient(std::span<double> scratch);

  const FisherBlock& block_;
  BlockTraces traces_;
  Gradient gradient_;
  BlockForms forms_;
  double v_norm2_ = 0;
  MatrixView<double> input_matrix_;
  MatrixView<double> output_matrix_;
  MatrixView<float> u_;
  std::span<double> scratch_;
};

}  // namespace cgfac
