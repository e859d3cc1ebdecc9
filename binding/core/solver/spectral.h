#pragma once

#include <cstddef>
#include <vector>

#include "core/block/solution.h"
#include "core/operator/gram_problem.h"

namespace cgfac {

/// What a spectral solution leaves behind: enough to know ⟨v, x⟩, xᵀF x and ‖x‖² for any damping, without the weights.
class Spectrum {
 public:
  /// What follows for one damping.
  struct Values {
    SolutionProducts products;
    double lambda_max = SolutionProducts::unknown;  ///< the largest eigenvalue of F
    double effective_rank =
        SolutionProducts::unknown;  ///< Σ E/(E + λ): the directions that the damping leaves to the curvature
  };

  /// The values for x = (F + λI)⁻¹ v, by one pass over N² numbers.
  [[nodiscard]] Values at(double damping) const;
  /// What it holds, in bytes.
  [[nodiscard]] std::size_t bytes() const {
    return (input_values.size() + output_values.size() + weights.size()) * sizeof(double);
  }

  std::vector<double> input_values;   ///< eigenvalues of A, the N or n that may differ from 0
  std::vector<double> output_values;  ///< of G
  /// E·v̂² for each pair of eigenvectors, v̂ being the coordinate of v: what E (output, input) makes of v.
  std::vector<double> weights;
  double v_norm2 = 0;
};

/// What a spectral solution knows of itself.
struct ExactSummary {
  Spectrum::Values values;
  std::size_t clamped = 0;  ///< eigenvalues of K (or a factor) that rounding made negative, taken as 0
};

/// x = (F + λI)⁻¹ v by the spectra of both sides (of K, or of the factor where a side has more rows than features):
///
///   x = (v − P_g C P_aᵀ)/λ,  C = Q_g [Û/(λ + E)] Q_aᵀ,  Û = Q_gᵀ U Q_a,  E_ij = Λ_g,i Λ_a,j
///
/// with Û multiplied by Λ on a covariance side; x = Q_g [Û/(λ + E)] Q_aᵀ with covariances on both; and for the batch's
/// own gradient under the empirical Fisher, v ∝ P_g P_aᵀ, x = P_g Q_g [(Q_gᵀ Q_a)/(λ + E)] Q_aᵀ P_aᵀ, free of
/// cancellation. The decompositions and the division are float64, the changes of basis float32, as U and x are.
///
/// Two eigendecompositions (`dsyevd`) are done where the spectrum is asked for or the matrices are small. Else one side
/// is diagonalised and the other made tridiagonal, T, and each eigenvalue μ_j leaves a tridiagonal system (μ_j T + λI)
/// c_j = ũ_j: less work, split over two threads; T is diagonalised too only where λ does not stand above the rounding
/// of K. The largest eigenvalue and the effective rank stay unknown then. Eigenvalues that rounding made negative are
/// taken as 0.
///
/// Relative error ≤ 4·2⁻²⁴·(λ + max E)/λ, times what the rows of a batch's own gradient cancel by (docs/math.md §6).
/// Throws Error(not_finite), with the destination untouched, beyond float32.
///
/// Source: the identities of docs/math.md §6; the eigenvalue form of the damped Kronecker inverse is that of J. Martens
/// and R. Grosse, "Optimizing Neural Networks with Kronecker-factored Approximate Curvature", 2015, appendix B.
ExactSummary solve_exact(const GramProblem& problem, double damping, const Destination& destination,
                         Spectrum* spectrum);

/// Numbers that `solve_exact` asks of the problem's scratch.
[[nodiscard]] std::size_t exact_scratch_numbers(const FisherBlock& block);

}  // namespace cgfac
