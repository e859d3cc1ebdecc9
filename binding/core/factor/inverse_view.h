#pragma once

#include <cstddef>
#include <span>

#include "core/base/matrix_view.h"
#include "core/block/pass_order.h"
#include "core/block/side.h"

namespace cgfac {

/// (F + γI)⁻¹ of one side's factor, in one of five forms. It owns nothing.
///
///   woodbury  F = scale · R'ᵀR'        z (F + γI)⁻¹ = (z − scale · (z R'ᵀ) S R')/γ, S = (scale · R'R'ᵀ + γI)⁻¹
///   panel     F = PᵀP, orthogonal      z (F + γI)⁻¹ = (z − ((z Pᵀ)/(s + γ)) P)/γ, s the squared norms of P's rows
///   matrix    F itself                 z (F + γI)⁻¹
///   diagonal  F = diag(f)              z/(f + γ)
///   blocks    small matrices           see DampedInverse::apply_block
///
/// S of the first form stays float64, as what it multiplies becomes: the form takes the difference of nearly equal
/// numbers, and float32 would lose its square, (K/γ)²·2⁻²⁴. The matrix form loses (λmax + γ)/γ·2⁻²⁴ in float32.
///
/// Source: M. Woodbury, "Inverting modified matrices", 1950.
struct InverseView {
  enum class Form { woodbury, panel, matrix, diagonal, blocks };

  Form form = Form::woodbury;
  Side side{};
  double gamma = 0;
  MatrixView<const double> s{};          ///< S, N × N, of the form woodbury
  std::span<const double> squares{};     ///< s, of the form panel
  MatrixView<const float> inverse{};     ///< (F + γI)⁻¹, d × d, of the form matrix
  std::span<const float> reciprocals{};  ///< 1/(f + γ), d, of the form diagonal

  /// What a row leaves between the two products: N, or d; of a diagonal, which has none, 1.
  [[nodiscard]] std::size_t inner() const {
    if (form == Form::diagonal || form == Form::blocks) return 1;
    return form == Form::matrix ? side.dimension() : side.count();
  }
  /// Flops for a row.
  [[nodiscard]] double flops_per_row() const;
};

/// Rows that an inverse is applied to: `last` is their homogeneous coordinate where it lies apart from `body`.
struct InverseRows {
  MatrixView<float> body;
  MatrixView<float> last{};
};

/// x ← x (F + γI)⁻¹ in place, a chunk of rows at a time as `scratch` has room for, split over the pool threads.
void apply_inverse(const InverseView& inverse, const InverseRows& x, std::span<double> scratch);
/// Numbers of scratch for so many rows at a time.
[[nodiscard]] std::size_t inverse_scratch(std::size_t rows, std::size_t inner);

/// x ← (G + γ_G I)⁻¹ x (A + γ_A I)⁻¹ in place, for a vector of weight space.
void apply_both(const InverseView& input, const InverseView& output, const WeightView<float>& x,
                std::span<double> scratch);

/// matrix ← (matrix + γI)⁻¹, both triangles. Throws Error(invalid_value) for a γ that is lost in the rounding of it.
void invert_damped(MatrixView<double> matrix, double gamma);

}  // namespace cgfac
