#pragma once

#include <algorithm>
#include <atomic>
#include <cmath>
#include <concepts>
#include <vector>

namespace cgfac {

/// Set from another thread to end a solve; read once per iteration.
using CancelFlag = std::atomic<bool>;

/// A symmetric positive definite operator F + λI together with the vector space it acts on. The products are fused with
/// the vector updates around them: an implementation reads and writes each vector once, and keeps q = (F + λI) p to
/// itself.
template <typename Op>
concept LinearOperator = requires(Op& op, typename Op::Vector& y, const typename Op::Vector& x, double scalar) {
  { op.norm2(x) } -> std::same_as<double>;              // ⟨x, x⟩ of weight space
  { op.direct(x, scalar, y) } -> std::same_as<double>;  // y ← x + β y (β = 0: y is not read), then ⟨y, (F + λI) y⟩
  {
    op.reduce(scalar, x, y)
  } -> std::same_as<double>;  // y ← y − α (F + λI) x for the x of the last `direct`, then ⟨y, y⟩
  op.axpy(scalar, x, y);      // y ← y + α x
};

enum class CgReason {
  converged,       ///< ‖r‖ ≤ tolerance·‖v‖, or the float32 floor was reached
  max_iterations,  ///< the budget was used up: the normal end of a truncated solve
  indefinite,      ///< ⟨p, q⟩ ≤ 0: rounding made the operator lose its definiteness
  broken_down,     ///< a scalar of the recurrence is NaN or infinite; x is the last finite iterate
  cancelled,       ///< the cancel flag was set
};

struct CgOptions {
  int max_iterations = 20;
  double tolerance = 1e-2;  ///< on the relative residual ‖r‖/‖v‖
};

struct CgSummary {
  int iterations = 0;
  double residual = 0;          ///< ‖r‖/‖v‖ by the recurrence, at the end
  double initial_residual = 0;  ///< ‖v − (F + λI) x₀‖/‖v‖
  CgReason reason = CgReason::converged;
};

/// ‖r‖² ≤ 2⁻²²·‖v‖² is noise where v, U or the products were float32: the recurrence says nothing below it.
inline constexpr double float32_floor = 0x1p-22;

/// Conjugate gradients for (F + λI) x = v. The one loop of the package: it serves weight space and Gram space alike.
///
/// On entry x is the start and r = v − (F + λI) x its residual; on return x is the last finite iterate. p is
/// scratch. `v_norm2` is ‖v‖² > 0: residuals are relative to the right-hand side, never to r₀, which a good start makes
/// small. Per iteration: one product with F, three vector updates, two inner products. Every test is written so that a
/// NaN ends the loop. `residuals`, if given, receives ‖r_k‖/‖v‖ for k = 1, 2, … .
///
/// Source: M. Hestenes and E. Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", 1952, eqs.
/// (3:1a–f); its use for Fisher blocks: Y. Chen, "An iterative K-FAC algorithm for Deep Learning", arXiv 2101.00218,
/// 2021, Algorithm 2.
template <LinearOperator Op>
CgSummary conjugate_gradient(Op& op, typename Op::Vector& x, typename Op::Vector& r, typename Op::Vector& p,
                             double v_norm2, const CgOptions& options, const CancelFlag* cancel,
                             std::vector<double>* residuals) {
  const auto relative = [v_norm2](double rho) { return std::sqrt(std::max(rho, 0.0) / v_norm2); };
  const double target = std::max(options.tolerance * options.tolerance, float32_floor) * v_norm2;

  double rho = op.norm2(r);  // rho = ⟨r, r⟩
  CgSummary summary{
      .iterations = 0, .residual = relative(rho), .initial_residual = relative(rho), .reason = CgReason::converged};
  if (!std::isfinite(rho)) {
    summary.reason = CgReason::broken_down;
    return summary;
  }

  double beta = 0;
  while (!(rho <= target)) {
    if (summary.iterations >= options.max_iterations) {
      summary.reason = CgReason::max_iterations;
      return summary;
    }
    if (cancel != nullptr && cancel->load(std::memory_order_relaxed)) {
      summary.reason = CgReason::cancelled;
      return summary;
    }
    const double curvature = op.direct(r, beta, p);  // p = r + beta p, q = (F + λI) p, ⟨p, q⟩
    if (!(curvature > 0)) {
      summary.reason = std::isnan(curvature) ? CgReason::broken_down : CgReason::indefinite;
      return summary;
    }
    const double alpha = rho / curvature;        // alpha = ⟨r, r⟩ / ⟨p, q⟩
    const double next = op.reduce(alpha, p, r);  // r = r − alpha q
    if (!(std::isfinite(alpha) && std::isfinite(next))) {
      summary.reason = CgReason::broken_down;
      return summary;
    }
    op.axpy(alpha, p, x);  // x = x + alpha p
    beta = next / rho;     // beta = ⟨r, r⟩ new / old
    rho = next;
    ++summary.iterations;
    summary.residual = relative(rho);
    if (residuals != nullptr) residuals->push_back(summary.residual);
  }
  return summary;
}

}  // namespace cgfac
