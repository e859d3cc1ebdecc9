#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <vector>

#include "core/threads/cancel.h"

namespace cgfac {

/// A symmetric positive definite operator F + λI together with the vector space it acts on, as the loop below calls it
/// with x, r and p. Each call joins a product with the vector update beside it, so that an implementation may do both
/// in one pass; q = (F + λI) p stays with it, in whatever form serves `update_residual`, or is never formed.
///
///   norm2(r)                        returns ⟨r, r⟩
///   advance_direction(r, beta, p)   p ← r + beta p (beta = 0: p is not read), returns ⟨p, q⟩
///   update_residual(alpha, p, r)    r ← r − alpha q for the p of the last advance_direction, returns ⟨r, r⟩
///   advance_solution(alpha, p, x)   x ← x + alpha p for the same p; may be put off to the next advance_direction or to
///                                   finish, until which nobody else reads x
///   finish()                        x is up to date; the loop calls it once, however it ends
///   extent()                        the norm of the parts that x is a sum of, as far as it is known on the way; else 0
///
/// Vectors keep their places during a solve, so that an operator may remember which one it owes a step.
template <typename Op>
concept LinearOperator = requires(Op& op, typename Op::Vector& y, const typename Op::Vector& x, double scalar) {
  { op.norm2(x) } -> std::same_as<double>;
  { op.advance_direction(x, scalar, y) } -> std::same_as<double>;
  { op.update_residual(scalar, x, y) } -> std::same_as<double>;
  op.advance_solution(scalar, x, y);
  op.finish();
  { op.extent() } -> std::same_as<double>;
};

/// Why the loop ended.
enum class CgReason {
  converged,       ///< ‖r‖ ≤ tolerance·‖v‖, or the float32 floor was reached
  max_iterations,  ///< the budget was used up: the normal end of a truncated solve
  stagnated,       ///< the residual fell to what float32 data resolve; the damping is too small for a lower one
  indefinite,      ///< ⟨p, q⟩ ≤ 0: rounding made the operator lose its definiteness
  broken_down,     ///< a scalar of the recurrence is NaN or infinite; x is the last finite iterate
  cancelled,       ///< the cancel flag was set
};

/// When the loop is to end.
struct CgOptions {
  int max_iterations = 20;
  double tolerance = 1e-2;  ///< on the relative residual ‖r‖/‖v‖
};

/// How far the loop came.
struct CgSummary {
  int iterations = 0;
  double residual = 0;          ///< ‖r‖/‖v‖ by the recurrence, at the end
  double initial_residual = 0;  ///< ‖v − (F + λI) x₀‖/‖v‖
  double residual_sum = 0;      ///< of all ‖r_k‖/‖v‖, the start's among them: each is rounded as it is updated
  double path = 0;              ///< Σ ‖α_k p_k‖, what the way from the start to x is made of
  double largest = 0;           ///< F + λI's largest eigenvalue, about: the largest number on the diagonal of Lanczos
  CgReason reason = CgReason::converged;
};

/// Whether the solution serves as the start of the next solve: not after a breakdown, nor where 0 leaves a smaller
/// residual.
[[nodiscard]] inline bool good_start(const CgSummary& summary) {
  const CgReason reason = summary.reason;
  return reason == CgReason::converged || reason == CgReason::max_iterations ||
         (reason == CgReason::stagnated && summary.residual <= 1);
}

/// ‖r‖² ≤ 2⁻²²·‖v‖² is noise where v, U or the products were float32: the recurrence says nothing below it.
inline constexpr double float32_floor = 0x1p-22;

/// Relative to ‖F + λI‖·extent, the rounding of what a residual is made of.
inline constexpr double float32_rounding = 0x1p-24;

/// Conjugate gradients for (F + λI) x = v. The one loop of the package: it serves weight space and Gram space alike.
///
/// On entry x is the start and r = v − (F + λI) x its residual; on return x is the last finite iterate. p is
/// scratch. `v_norm2` is ‖v‖² > 0: residuals are relative to the right-hand side, never to r₀, which a good start makes
/// small. Per iteration: one product with F, three vector updates, two inner products. Every test is written so that a
/// NaN ends the loop. `residuals`, if given, receives ‖r_k‖/‖v‖ for k = 1, 2, … .
///
/// The recurrence goes on to fall where v − (F + λI) x no longer does, because its vectors came from float32: by about
/// 2⁻²⁴·‖F + λI‖·(the norm of the parts of x) they may differ. Where ‖r‖ is down to that, the loop ends as stagnated.
/// The norm of F + λI is at hand: α and β are the numbers of the Lanczos process, whose tridiagonal matrix has 1/α_k +
/// β_(k−1)/α_(k−1) on its diagonal.
///
/// Source: M. Hestenes and E. Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", 1952, eqs.
/// (3:1a–f); its use for Fisher blocks: Y. Chen, "An iterative K-FAC algorithm for Deep Learning", arXiv 2101.00218,
/// 2021, Algorithm 2; the attainable accuracy: A. Greenbaum, "Estimating the attainable accuracy of recursively
/// computed residual methods", 1997; Lanczos: G. Golub and C. Van Loan, "Matrix Computations", 2013, §11.3.
template <LinearOperator Op>
CgSummary conjugate_gradient(Op& op, typename Op::Vector& x, typename Op::Vector& r, typename Op::Vector& p,
                             double v_norm2, const CgOptions& options, const CancelFlag* cancel,
                             std::vector<double>* residuals) {
  const auto relative = [v_norm2](double rho) { return std::sqrt(std::max(rho, 0.0) / v_norm2); };
  const double target = std::max(options.tolerance * options.tolerance, float32_floor) * v_norm2;

  double rho = op.norm2(r);  // rho = ⟨r, r⟩
  double beta = 0;
  double carried = 0;  // β_(k−1)/α_(k−1)
  double p_norm2 = 0;  // ‖p‖², as r is orthogonal to the p before
  CgSummary summary{.residual = relative(rho), .initial_residual = relative(rho), .residual_sum = relative(rho)};
  const auto ended = [&](CgReason reason) {
    op.finish();
    summary.reason = reason;
    return summary;
  };
  if (!std::isfinite(rho)) return ended(CgReason::broken_down);

  while (!(rho <= target)) {
    const double noise = float32_rounding * summary.largest * op.extent();
    if (rho <= noise * noise) return ended(CgReason::stagnated);
    if (summary.iterations >= options.max_iterations) return ended(CgReason::max_iterations);
    if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) return ended(CgReason::cancelled);
    const double curvature = op.advance_direction(r, beta, p);  // p = r + beta p, q = (F + λI) p, ⟨p, q⟩
    if (!(curvature > 0)) return ended(std::isnan(curvature) ? CgReason::broken_down : CgReason::indefinite);
    p_norm2 = rho + (beta * beta * p_norm2);
    const double alpha = rho / curvature;                 // alpha = ⟨r, r⟩ / ⟨p, q⟩
    const double next = op.update_residual(alpha, p, r);  // r = r − alpha q
    if (!(std::isfinite(alpha) && std::isfinite(next))) return ended(CgReason::broken_down);
    op.advance_solution(alpha, p, x);  // x = x + alpha p
    beta = next / rho;                 // beta = ⟨r, r⟩ new / old
    summary.largest = std::max(summary.largest, (1 / alpha) + carried);
    carried = beta / alpha;
    rho = next;
    ++summary.iterations;
    summary.residual = relative(rho);
    summary.residual_sum += summary.residual;
    summary.path += alpha * std::sqrt(p_norm2);
    if (residuals != nullptr) residuals->push_back(summary.residual);
  }
  return ended(CgReason::converged);
}

}  // namespace cgfac
