#pragma once

#include <cstddef>

/// Made by scripts/generate-reports.mjs of binding/node/convert/reports.json.
namespace cgfac::node {

/// The names that a report counts as Reason.
enum class ReportReason { converged, max_iterations, stagnated, indefinite, broken_down, solved, no_curvature };
/// The names that a report counts as Space.
enum class ReportSpace { gram, weight, rows };
/// The names that a report counts as Basis.
enum class ReportBasis { plain, tridiagonal };
/// The names that a report counts as Form.
enum class ReportForm { panel, covariance };

/// The places of a report in 17 numbers; NaN for what is not known.
struct SolveReport {
  enum Place : std::size_t {
    /// Method that was used: never auto.
    method,
    /// Conjugate-gradient iterations; 0 for the other methods.
    iterations,
    /// ‖r‖/‖v‖ at the end of conjugate gradients.
    residual,
    /// ‖r‖/‖v‖ at their start.
    initial_residual,
    /// Reason why the solve ended.
    reason,
    /// Space that it was solved in.
    space,
    /// Basis of the iterations in Gram space.
    basis,
    /// Form of the input side.
    input_form,
    /// Form of the output side.
    output_form,
    /// λ, or γ of the input side.
    damping,
    /// γ of the output side.
    output_damping,
    /// The largest eigenvalue of F.
    lambda_max,
    /// Σ E/(E + λ).
    effective_rank,
    /// Eigenvalues that rounding had made negative.
    clamped,
    /// ⟨v, x⟩.
    vx,
    /// xᵀF x.
    x_fx,
    /// ‖x‖².
    xx,
  };
  static constexpr std::size_t size = 17;
};

/// The places of a report in 31 numbers; NaN for what is not known.
struct StepReport {
  enum Place : std::size_t {
    /// Method that was used: never auto.
    method,
    /// Conjugate-gradient iterations; 0 for the other methods.
    iterations,
    /// ‖r‖/‖v‖ at the end of conjugate gradients.
    residual,
    /// ‖r‖/‖v‖ at their start.
    initial_residual,
    /// Reason why the solve ended.
    reason,
    /// Space that it was solved in.
    space,
    /// Basis of the iterations in Gram space.
    basis,
    /// Form of the input side.
    input_form,
    /// Form of the output side.
    output_form,
    /// λ, or γ of the input side.
    damping,
    /// γ of the output side.
    output_damping,
    /// The largest eigenvalue of F.
    lambda_max,
    /// Σ E/(E + λ).
    effective_rank,
    /// Eigenvalues that rounding had made negative.
    clamped,
    /// ⟨v, x⟩.
    vx,
    /// xᵀF x.
    x_fx,
    /// ‖x‖².
    xx,
    /// ≥ ‖x‖.
    bound,
    /// 1 where conjugate gradients began again at zero.
    restarted,
    /// Rows that the input factor took in last.
    input_rows,
    /// Rows that the output factor took in last.
    output_rows,
    /// The trace of A.
    input_trace,
    /// The trace of G.
    output_trace,
    /// The largest eigenvalue of A.
    input_largest,
    /// The largest eigenvalue of G.
    output_largest,
    /// Σ s/(s + γ) of A.
    input_effective_rank,
    /// Σ s/(s + γ) of G.
    output_effective_rank,
    /// ⟨v, M⟩ with the momentum that was given.
    momentum_product,
    /// Samples whose products were asked for and known.
    sampled,
    /// ‖x‖, where products were asked for.
    norm,
    /// Time that the layer took, the final product apart.
    microseconds,
  };
  static constexpr std::size_t size = 31;
};

}  // namespace cgfac::node
