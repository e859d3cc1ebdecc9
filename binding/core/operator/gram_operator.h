#pragma once

#include <cmath>
#include <cstddef>
#include <span>

#include "core/block/solution.h"
#include "core/operator/gram_problem.h"
#include "core/operator/sandwich.h"

namespace cgfac {

/// What becomes of a start x₀ before the first iteration.
enum class StartScaling {
  plain,    ///< x₀ as it is
  optimal,  ///< c·x₀ with c = ⟨v, x₀⟩/⟨x₀, (F + λI) x₀⟩, the multiple with the least error in the norm of F + λI
};

/// c = ⟨v, x₀⟩/⟨x₀, (F + λI) x₀⟩ of a start that is scaled; 0, which is none, for x₀ = 0, and for one so far from the
/// solution's size that c x₀ is not to be had in float32.
[[nodiscard]] inline double start_factor(double v_x0, double curvature) {
  constexpr double largest = 0x1p100;
  const double c = curvature > 0 ? v_x0 / curvature : 0;
  return std::abs(c) <= largest ? c : 0;
}

/// The bases that the iterations run in.
enum class GramBasis {
  automatic,    ///< by flops, for the iterations to come
  plain,        ///< the samples': an iteration is two products of N × N matrices
  tridiagonal,  ///< those in which the symmetric matrices are tridiagonal: an iteration is O(N²), after O(N³) once
};

/// A vector of Gram space: the pair (s, C) stands for s·b + P_g C P_aᵀ, a vector of weight space, b being the base.
/// W = K_g C K_a goes with C where inner products are taken; a solution needs none.
struct GramVector {
  double s = 0;
  MatrixView<double> c;  // (N_g or m) × (N_a or n)
  MatrixView<double> w;
};

/// (F + λI) on Gram-space pairs, in float64: the conjugate-gradient iterates of weight space without touching the
/// weights. Per side (P, K, M) = (panel, PᵀP, I), or (I, I, covariance) where N exceeds the side's dimension or the
/// factor is given; U = P_gᵀ v P_a.
///
///   (F + λI)(s, C)   = (λ s, M_g (sU + K_g C K_a) M_a + λ C)
///   ⟨(s,C), (t,D)⟩   = st⟨b,b⟩ + s⟨U,D⟩ + t⟨U,C⟩ + ⟨C, K_g D K_a⟩
///
/// Derivation: every iterate started from 0 lies in span{v} + {P_g C P_aᵀ}; F (s·b + P_g C P_aᵀ) = P_g M_g (sU + K_g C
/// K_a) M_a P_aᵀ (docs/math.md). One product is two products with symmetric matrices of the projected size, one for
/// each side, whatever the layer's width; in the bases V of K = Vᵀ T V with T tridiagonal, C → V_g C V_aᵀ, it is a sum
/// of nine terms per element. With panels on both sides ⟨p, q⟩ = λs²⟨b,b⟩ + λs⟨U,C⟩ + λ⟨Y,C⟩ + ⟨Y,Y⟩ with Y = sU + W
/// needs no product at all, so q is never stored.
///
/// The base is v; from a start x₀ it is v − λ c x₀, whose U and norm follow from those of v and x₀, because the
/// residual v − (F + λI) c x₀ is the pair (1, −c M_g U₀ M_a) with U₀ = P_gᵀ x₀ P_a.
class GramOperator {
 public:
  /// Numbers that the operator and the loop's vectors ask of the problem's scratch; a start takes N²/2 more where a
  /// side has a covariance.
  [[nodiscard]] static std::size_t scratch_numbers(const FisherBlock& block, bool started);

  /// Takes the problem's matrices and U for itself, in the basis asked for; `started`: `start` will be called.
  GramOperator(const GramProblem& problem, double damping, GramBasis basis, bool started);

  using Vector = GramVector;
  // The loop's vectors, in the problem's scratch: x = 0 and r = v, the pair (1, 0).
  [[nodiscard]] Vector& x() { return x_; }
  [[nodiscard]] Vector& r() { return r_; }
  [[nodiscard]] Vector& p() { return p_; }

  /// Makes v − λ c x₀ the base and r the residual v − (F + λI) c x₀; returns c, 1 or the multiple of least error. One
  /// pass over x₀, where weight space would pay an FV and keep its float32 rounding in r. ⟨v, x₀⟩ is one pass more.
  double start(const WeightView<const float>& v, const WeightView<const float>& x0, StartScaling scaling);

  // LinearOperator of conjugate_gradient, for the three vectors above. The step of the solution is put off to the next
  // direction, whose pass reads p anyway, or to the end.
  [[nodiscard]] double norm2(const Vector& x) const;
  [[nodiscard]] double advance_direction(const Vector& r, double beta, Vector& p);
  [[nodiscard]] double update_residual(double alpha, const Vector& p, Vector& r) const;
  void advance_solution(double alpha, const Vector& p, Vector& x);
  void finish();
  /// The norms of the parts of x that are known on the way: |s|·‖b‖ + |c|·‖x₀‖.
  [[nodiscard]] double extent() const;
  /// What rounding may make of ‖r‖ where r is small: ‖b‖² is that of the numbers in weight space, ⟨b, P_g C P_aᵀ⟩ of U
  /// in float32, so that r.s²‖b‖² is taken off to float32's precision alone.
  [[nodiscard]] double norm_noise() const;

  /// Inner products of the solution c·x₀ + s·b + P_g C P_aᵀ. They use the residual's memory: for the end of a solve.
  [[nodiscard]] SolutionProducts products();
  /// C of the solution in the samples' basis, in float32. Uses all memory but the solution's, of which `pass_scratch`
  /// is left.
  [[nodiscard]] MatrixView<float> solution();
  [[nodiscard]] std::span<double> pass_scratch() const { return free_; }

 private:
  void tridiagonalise(std::span<double> tridiagonals, std::span<double> scratch);
  void place_vectors(Carver& carver);
  // U₀ of a start in the basis
  [[nodiscard]] MatrixView<float> project_start(const WeightView<const float>& x0);
  // u ← V_g u V_aᵀ; the scratch holds both bases and a product
  void into_basis(MatrixView<float> u, std::span<double> scratch) const;
  // x.w ← K_g x.c K_a, where it is not the same memory, then ⟨x, x⟩
  [[nodiscard]] double weigh(const Vector& x) const;
  [[nodiscard]] bool covariances() const { return !problem_.forms().panels(); }

  const GramProblem& problem_;
  double damping_;
  double base_norm2_;
  GramBasis basis_;
  MatrixView<float> u_;                // of the base, in the basis
  MatrixView<float> start_u_;          // U₀ of a start, in the basis
  double start_factor_ = 0;            // c
  double v_x0_ = 0;                    // ⟨v, x₀⟩
  double x0_x0_ = 0;                   // ‖x₀‖²
  SymmetricMatrix input_kernel_;       // K_a
  SymmetricMatrix output_kernel_;      // K_g
  SymmetricMatrix input_covariance_;   // M_a
  SymmetricMatrix output_covariance_;  // M_g
  std::span<double> rows_;             // what a product holds back
  MatrixView<double> image_;           // M_g Y M_a, and Y, where a side has a covariance
  MatrixView<double> y_;
  Vector x_;
  Vector r_;
  Vector p_;
  double step_ = 0;         // of the solution, put off
  std::span<double> free_;  // everything behind x, for the end
};

}  // namespace cgfac
