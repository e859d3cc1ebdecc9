#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "core/base/buffer.h"
#include "core/block/fisher_block.h"

namespace cgfac {

/// The form of each side in Gram space: a covariance where N exceeds the side's dimension, or the factor is given.
[[nodiscard]] BlockForms gram_forms(const FisherBlock& block);

/// Memory of a solve in Gram space, kept from one to the next.
struct GramWorkspace {
  Buffer<double> arena;    // the matrices and everything N × N
  Buffer<float> gradient;  // v, where the batch's own gradient has to be formed: the sides are not panels of its rows

  [[nodiscard]] std::size_t bytes() const { return arena.bytes() + gradient.bytes(); }
};

/// What every solution in Gram space starts from: U = P_gᵀ v P_a, ‖v‖², and the symmetric matrix of each side, its Gram
/// matrix K = PᵀP or, in covariance form, the factor itself.
///
/// U and ‖v‖² of the batch's own gradient follow from Gram matrices, without a pass over weights, where both sides are
/// panels and the input side has the batch's rows; else that gradient is formed. All else that a
/// solver needs comes from `scratch()`: with N rows on both sides the whole arena has `arena_squares`·N² numbers.
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
  [[nodiscard]] bool input_panel() const { return forms_.input == FactorForm::panel; }
  [[nodiscard]] bool output_panel() const { return forms_.output == FactorForm::panel; }

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

/// The symmetric matrix of each side in the given form, in float64, formed in float32 and split over the pool threads.
/// `scratch` has room for both in float32.
void form_matrices(const FisherBlock& block, const BlockForms& forms, MatrixView<double> input,
                   MatrixView<double> output, std::span<double> scratch);
/// out ← g g_vᵀ, N_g × B, and with `own` the lower triangle of g_v g_vᵀ.
void form_cross(MatrixView<const float> g, MatrixView<const float> loss_grads, MatrixView<float> cross,
                const MatrixView<float>& own);

/// C ← α A B + β C, split over the pool threads by rows of C.
void gemm_in_tiles(float alpha, MatrixView<const float> a, MatrixView<const float> b, float beta, MatrixView<float> c);
void gemm_in_tiles(double alpha, MatrixView<const double> a, MatrixView<const double> b, double beta,
                   MatrixView<double> c);

void narrow(MatrixView<const double> from, MatrixView<float> to);
void widen(MatrixView<const float> from, MatrixView<double> to);

/// A piece of memory cut into matrices, one after another.
class Carver {
 public:
  explicit Carver(std::span<double> memory) : rest_(memory) {}
  [[nodiscard]] MatrixView<double> doubles(std::size_t rows, std::size_t cols) {
    return {numbers(rows * cols).data(), rows, cols};
  }
  [[nodiscard]] MatrixView<float> floats(std::size_t rows, std::size_t cols) {
    const std::size_t count = ((rows * cols) + 1) / 2;
    return {reinterpret_cast<float*>(numbers(count).data()), rows, cols};  // NOLINT(*-reinterpret-cast): scratch
  }
  [[nodiscard]] std::span<double> numbers(std::size_t count);
  [[nodiscard]] std::span<double> rest() const { return rest_; }

 private:
  std::span<double> rest_;
};

/// Scratch of float64 numbers as float32 ones.
[[nodiscard]] inline std::span<float> as_floats(std::span<double> numbers) {
  return {reinterpret_cast<float*>(numbers.data()), 2 * numbers.size()};  // NOLINT(*-reinterpret-cast): scratch
}

}  // namespace cgfac
