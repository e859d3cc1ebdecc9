#pragma once

#include <cstddef>
#include <span>

#include "core/buffer.h"
#include "core/fisher_block.h"

namespace cgfac {

/// What becomes of a start x₀ before the first iteration.
enum class StartScaling {
  plain,    ///< x₀ as it is
  optimal,  ///< c·x₀ with c = ⟨v, x₀⟩/⟨x₀, (F + λI) x₀⟩, the multiple with the least error in the norm of F + λI
};

/// A vector of Gram space: the pair (s, C) stands for s·b + P_g C P_aᵀ, a vector of weight space, b being the base. W = K_g C K_a goes with
/// C through every linear operation, so that an inner product needs no product of matrices.
struct GramVector {
  double s = 0;
  MatrixView<double> c;  // (N_g or m) × (N_a or n)
  MatrixView<double> w;
};

/// (F + λI) on Gram-space pairs, in float64: the conjugate-gradient iterates of weight space without touching the
/// weights. Per side (P, K, M) = (panel, PᵀP, I), or (I, I, covariance) where N exceeds the side's dimension; U = P_gᵀ v P_a.
///
///   (F + λI)(s, C)   = (λ s, M_g (sU + K_g C K_a) M_a + λ C)
///   ⟨(s,C), (t,D)⟩   = st⟨b,b⟩ + s⟨U,D⟩ + t⟨U,C⟩ + ⟨C, K_g D K_a⟩
///
/// Derivation: every iterate started from 0 lies in span{v} + {P_g C P_aᵀ}; F (s·b + P_g C P_aᵀ) = P_g M_g (sU + K_g C K_a) M_a P_aᵀ
/// (docs/math.md). One product is two products with symmetric matrices of the projected size, one for each side,
/// whatever the layer's width. U and the final vector are the only passes over the weights.
///
/// The base is v; from a start x₀ it is v − λ c x₀, whose U and norm follow from those of v and x₀, because the residual
/// v − (F + λI) c x₀ is the pair (1, −c M_g U₀ M_a) with U₀ = P_gᵀ x₀ P_a.
class GramOperator {
 public:
  struct Workspace {
    Buffer<float> half;
    Buffer<float> single;         // U, the symmetric matrices and C on their way between float32 and float64
    Buffer<double> u;             // U of the base
    Buffer<double> start_u;       // U₀ of a start x₀
    Buffer<double> input_factor;  // K_a, or A on a covariance side
    Buffer<double> output_factor;
    Buffer<double> product;  // between the two products of an application
    Buffer<double> sum;      // sU + K_g C K_a

    [[nodiscard]] std::size_t bytes() const;
  };

  /// The base is v, of which ‖v‖² is known. Computes U and the symmetric matrix of each side from the rows, which it borrows.
  GramOperator(const FisherBlock& block, const BlockTraces& traces, double damping, const WeightView<const float>& v,
               double v_norm2, Workspace& workspace);

  /// Makes v − λ c x₀ the base and r the residual v − (F + λI) c x₀; returns c, 1 or the multiple of least error. One pass
  /// over x₀, where weight space would pay an FV and keep its float32 rounding in r.
  double start(const WeightView<const float>& v, const WeightView<const float>& x0, StartScaling scaling,
               GramVector& r);

  [[nodiscard]] std::size_t projected_rows() const { return u_.rows; }
  [[nodiscard]] std::size_t projected_cols() const { return u_.cols; }
  /// Whether U, the matrices and ‖b‖² are finite: NaN or infinity in v, x₀ or the rows shows here.
  [[nodiscard]] bool finite() const;

  using Vector = GramVector;
  void apply(const Vector& x, Vector& y) const;
  [[nodiscard]] double dot(const Vector& x, const Vector& y) const;
  void axpy(double alpha, const Vector& x, Vector& y) const;
  /// y ← x + α y; with α = 0 the former contents of y are not read.
  void xpay(const Vector& x, double alpha, Vector& y) const;

  /// out ← β out + P_g C P_aᵀ, the part of (s, C) that is not the base, in float32. Throws Error(not_finite) and leaves
  /// `out` alone where it leaves the range of float32.
  void expand(const Vector& x, float beta, const WeightView<float>& out) const;

 private:
  // U ← P_gᵀ v P_a, widened to float64
  void projected(const WeightView<const float>& v, const MatrixView<double>& u) const;
  // y.C ← y.C + M_g T M_a, and y.W ← K_g y.C K_a
  void add_curvature(const MatrixView<double>& t, Vector& y) const;

  const FisherBlock& block_;
  const BlockTraces& traces_;
  double damping_;
  double base_norm2_;
  BlockForms forms_;
  Workspace& workspace_;
  MatrixView<double> u_;
  MatrixView<double> input_factor_;
  MatrixView<double> output_factor_;
};

/// The forms of Gram space: a covariance where N exceeds the side's dimension.
[[nodiscard]] BlockForms gram_forms(const FisherBlock& block);

}  // namespace cgfac
