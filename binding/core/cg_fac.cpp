#include "core/cg_fac.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/blas.h"
#include "core/error.h"

namespace cgfac {
namespace {

// A vector update in weight space moves memory: its price per element, in float32 flops (docs/decisions.md).
constexpr double flops_per_vector_element = 100;

struct Problem {
  const FisherBlock& block;
  BlockTraces traces;
  double damping;
  double v_norm2;  // ‖v‖²
};

double checked_norm2(const FisherBlock& block, std::string_view name, const WeightView<const float>& v) {
  const double norm2 = dot(v, v);
  if (!std::isfinite(norm2)) throw_not_finite(block, name, v);
  return norm2;
}

double checked_damping(const FisherBlock& block, const BlockTraces& sums, const Damping& damping) {
  const double lambda = absolute_damping(block, sums, damping);
  if (!(lambda > 0)) {
    throw expected(ErrorCode::invalid_value, "inputs and outputGrads that are not all zero", "relative damping",
                   "a mean eigenvalue of 0");
  }
  // Relative damping of rows far from 1 may leave float32, in which the solution is written.
  if (!(lambda >= static_cast<double>(std::numeric_limits<float>::min()) &&
        lambda <= static_cast<double>(std::numeric_limits<float>::max()))) {
    throw expected(ErrorCode::invalid_value, "rows that make it a number in the range of float32", "relative damping",
                   to_text(lambda));
  }
  return lambda;
}

void fill_zero(const WeightView<float>& x) {
  std::ranges::fill(x.kernel.elements(), 0.0F);
  std::ranges::fill(x.bias, 0.0F);
}

void scale(float factor, const WeightView<float>& x) {
  for (float& element : x.kernel.elements()) element *= factor;
  for (float& element : x.bias) element *= factor;
}

// factor and ‖factor·x‖ stay within float32, so that the axpy that writes the solution does
void require_range(double factor, double norm2, const Problem& problem, std::string_view name,
                   const WeightView<const float>& x) {
  if (!(std::abs(factor) <= largest_norm && std::abs(factor) * std::sqrt(norm2) <= largest_norm))
    throw_not_finite(problem.block, name, x);
}

CgSummary solve_in_gram_space(const Problem& problem, const WeightView<const float>& v,
                              const std::optional<WeightView<const float>>& x0, const WeightView<float>& out,
                              const CgFacOptions& options, CgFacWorkspace& workspace, const CancelFlag* cancel,
                              std::vector<double>* residuals) {
  GramOperator gram(problem.block, problem.traces, problem.damping, v, problem.v_norm2, workspace.gram);
  const std::size_t q = gram.projected_rows();
  const std::size_t p = gram.projected_cols();
  const std::span<double> memory = workspace.gram_vectors.span(8 * q * p);
  const auto vector = [&](std::size_t index) {
    double* const data = memory.data() + (2 * index * q * p);
    return GramVector{.s = 0, .c = {data, q, p}, .w = {data + (q * p), q, p}};
  };
  GramVector x = vector(0);
  GramVector residual = vector(1);
  GramVector direction = vector(2);
  GramVector product = vector(3);
  std::ranges::fill(memory.first(4 * q * p), 0.0);  // x = 0, and r = v: the pair (1, 0)
  residual.s = 1;
  double c = 0;
  if (x0) c = gram.start(v, *x0, options.start_scaling, residual);
  if (!gram.finite()) throw_not_finite(problem.block, "v", v);

  const CgSummary summary =
      conjugate_gradient(gram, x, residual, direction, product, problem.v_norm2, options.cg, cancel, residuals);
  if (summary.reason == CgReason::cancelled) return summary;

  // c x₀ + s (v − λ c x₀) + P_g C P_aᵀ
  const double x0_factor = c - (x.s * problem.damping * c);
  require_range(x.s, problem.v_norm2, problem, "v", v);
  if (x0) require_range(x0_factor, dot(*x0, *x0), problem, "x0", *x0);
  const bool out_is_v = out.kernel.data == v.kernel.data;
  const bool out_is_x0 = x0 && out.kernel.data == x0->kernel.data;
  gram.expand(x, static_cast<float>((out_is_v ? x.s : 0) + (out_is_x0 ? x0_factor : 0)), out);
  if (!out_is_v) axpy(static_cast<float>(x.s), v, out);
  if (x0 && !out_is_x0) axpy(static_cast<float>(x0_factor), *x0, out);
  return summary;
}

// r ← v − (F + λI) c x₀; returns c
double start_in_weight_space(const Problem& problem, const WeightView<const float>& v,
                             const WeightView<const float>& x0, StartScaling scaling, const WeightView<float>& r,
                             FisherOperator::Workspace& workspace) {
  const FisherOperator fisher(problem.block, problem.traces, problem.damping, 1, workspace);
  fisher.apply(x0, r);
  double c = 1;
  if (scaling == StartScaling::optimal) {
    const double curvature = dot(x0, r);  // ⟨x₀, (F + λI) x₀⟩, 0 only for x₀ = 0
    c = curvature > 0 ? dot(v, x0) / curvature : 0;
  }
  scale(static_cast<float>(-c), r);
  axpy(1.0F, v, r);
  if (!(std::isfinite(c) && std::isfinite(dot(r, r)))) throw_not_finite(problem.block, "x0", x0);
  return c;
}

CgSummary solve_in_weight_space(const Problem& problem, const WeightView<const float>& v,
                                const std::optional<WeightView<const float>>& x0, const WeightView<float>& out,
                                const CgFacOptions& options, CgFacWorkspace& workspace, const CancelFlag* cancel,
                                std::vector<double>* residuals) {
  const FisherBlock& block = problem.block;
  const std::size_t size = block.size();
  const std::span<float> memory = workspace.weight_vectors.span(4 * size);
  std::span<float> x = memory.subspan(0, size);
  std::span<float> r = memory.subspan(size, size);
  std::span<float> p = memory.subspan(2 * size, size);
  std::span<float> q = memory.subspan(3 * size, size);
  if (x0) {
    const double c = start_in_weight_space(problem, v, *x0, options.start_scaling, block.view(r), workspace.fisher);
    copy(*x0, block.view(x));
    scale(static_cast<float>(c), block.view(x));
  } else {
    std::ranges::fill(x, 0.0F);
    copy(v, block.view(r));
  }
  const auto applications = static_cast<std::size_t>(std::max(options.cg.max_iterations, 1));
  FisherOperator fisher(block, problem.traces, problem.damping, applications, workspace.fisher);
  const CgSummary summary = conjugate_gradient(fisher, x, r, p, q, problem.v_norm2, options.cg, cancel, residuals);
  if (summary.reason == CgReason::cancelled) return summary;
  if (!std::isfinite(blas::dot(std::span<const float>(x), std::span<const float>(x)))) throw_not_finite(block, "v", v);
  copy(block.view(std::span<const float>(x)), out);
  return summary;
}

}  // namespace

std::size_t CgFacWorkspace::bytes() const {
  return fisher.bytes() + gram.bytes() + gram_vectors.bytes() + weight_vectors.bytes();
}

Space choose_space(const FisherBlock& block, int iterations) {
  const auto m = static_cast<double>(block.rows());
  const auto n = static_cast<double>(block.cols());
  const auto count = static_cast<double>(std::max(iterations, 1));
  const BlockForms forms = gram_forms(block);
  const auto q = static_cast<double>(projected_size(block.output, forms.output));
  const auto p = static_cast<double>(projected_size(block.input, forms.input));
  const auto symmetric = [](const FactorRows& side) {
    const auto rows = static_cast<double>(side.count());
    const auto d = static_cast<double>(side.dimension());
    return rows * d * std::min(rows, d);
  };
  // project and expand cost one FV without a covariance, the loop two float64 products per iteration
  const double gram = symmetric(block.input) + symmetric(block.output) + (4 * std::min(q, p) * m * n) +
                      (count * 2 * 2 * q * p * (q + p));
  const auto applications = static_cast<std::size_t>(count);
  const double weight = weight_space_flops(block, cheapest_forms(block, applications), applications) +
                        (count * 5 * flops_per_vector_element * m * n);
  return weight < gram ? Space::weight : Space::gram;
}

CgFacSummary cg_fac(const FisherBlock& block, const Damping& damping, const WeightView<const float>& v,
                    const std::optional<WeightView<const float>>& x0, const WeightView<float>& out,
                    const CgFacOptions& options, CgFacWorkspace& workspace, const CancelFlag* cancel,
                    std::vector<double>* residuals) {
  CgFacSummary summary;
  summary.space = options.space == Space::automatic ? choose_space(block, options.cg.max_iterations) : options.space;
  const BlockTraces sums = traces(block);
  const double v_norm2 = checked_norm2(block, "v", v);
  if (x0) (void)checked_norm2(block, "x0", *x0);
  if (v_norm2 == 0) {  // the solution is 0, and no residual can be relative to ‖v‖
    fill_zero(out);
    return summary;
  }
  const Problem problem{
      .block = block, .traces = sums, .damping = checked_damping(block, sums, damping), .v_norm2 = v_norm2};
  const auto solve = summary.space == Space::gram ? solve_in_gram_space : solve_in_weight_space;
  summary.cg = solve(problem, v, x0, out, options, workspace, cancel, residuals);
  return summary;
}

void apply_fisher(const FisherBlock& block, const Damping& damping, const WeightView<const float>& v,
                  const WeightView<float>& out, FisherOperator::Workspace& workspace) {
  const BlockTraces sums = traces(block);
  const FisherOperator fisher(block, sums, checked_damping(block, sums, damping), 1, workspace);
  fisher.apply(v, out);
}

}  // namespace cgfac
