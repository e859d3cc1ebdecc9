#include "core/solver/cg_fac.h"

#include <algorithm>
#include <cmath>

#include "core/block/comfort.h"
#include "core/block/finite.h"
#include "core/block/weight_vector.h"
#include "core/solver/cost.h"
#include "core/solver/measured.h"

namespace cgfac {
namespace {

void require_range(double factor, double norm2, const FisherBlock& block, std::string_view name,
                   const WeightView<const float>& x) {
  // factor and ‖factor·x‖ stay within float32, so that the axpy that writes the solution does
  if (!(std::abs(factor) <= largest_norm && std::abs(factor) * std::sqrt(norm2) <= largest_norm))
    throw_not_finite(block, name, x);
}

struct Problem {
  const FisherBlock& block;
  const BlockTraces& traces;
  double damping;
  const Gradient& gradient;
  const std::optional<WeightView<const float>>& x0;
  const Destination& destination;
};

// The loop's arguments, carried along.
struct Loop {
  const CgOptions& options;
  const CancelFlag* cancel;
  std::vector<double>* residuals;
};

// One more product: ‖v − (F + λI) x‖/‖v‖ and the inner products of x itself, and the reason that they allow.
void measure(const Problem& problem, const CgOptions& options, const WeightView<const float>& v,
             const WeightView<const float>& x, const WeightView<float>& image, FisherOperator::Workspace& workspace,
             TrueProduct::Memory& truth, CgFacSummary& summary) {
  CgSummary& cg = summary.cg;
  const MeasuredSystem system{.block = problem.block, .traces = problem.traces, .damping = problem.damping};
  const Measured found = TrueProduct::affordable(problem.block)
                             ? measured_in_float64(system, v, x, truth)
                             : measured_in_float32(system, cg.largest, v, x, image, workspace);
  summary.products = found.products;
  const double by_recurrence = cg.residual;
  cg.residual = found.residual;
  if (broken(cg.reason)) return;
  if (cg.residual <= std::max(options.tolerance, std::sqrt(float32_floor))) {
    cg.reason = CgReason::converged;
  } else if (cg.reason == CgReason::converged || cg.residual > 2 * by_recurrence) {
    cg.reason = CgReason::stagnated;
  }
}

// What a measurement needs besides.
struct Measuring {
  Buffer<float> vectors;
  Buffer<float> formed;
  FisherOperator::Workspace products;
  TrueProduct::Memory truth;
};

// Without an iteration Lanczos tells nothing of the largest eigenvalue, which a start's residual is rounded by. The
// bound is loose, and what it has measured for nothing is cheap for layers of few weights alone.
void require_largest(CgSummary& cg, const Problem& problem) {
  if (cg.iterations > 0 || !problem.x0 || problem.block.size() > few_weights) return;
  cg.largest = problem.damping + (problem.traces.input * problem.traces.output);
}

// x = c x₀ + s (v − λ c x₀) + P_g C P_aᵀ
struct GramSolution {
  const GramProblem& problem;
  const std::optional<WeightView<const float>>& x0;
  double c;
  double damping;

  void write(GramOperator& gram, const Destination& destination) const {
    const double s = gram.x().s;
    const MatrixView<float> pairs = gram.solution();
    if (!x0) {
      problem.expand(s, pairs, destination, gram.pass_scratch());
      return;
    }
    const double x0_factor = destination.factor * (c - (s * damping * c));
    require_range(x0_factor, dot(*x0, *x0), problem.block(), "x0", *x0);
    const bool out_is_x0 = destination.out.kernel.data == x0->kernel.data;
    Destination target = destination;
    if (out_is_x0) target.keep += x0_factor;
    problem.expand(s, pairs, target, gram.pass_scratch());
    if (!out_is_x0) axpy(static_cast<float>(x0_factor), *x0, destination.out);
  }
};

void write_within_range(const Problem& problem, const WeightView<const float>& x, double xx) {
  if (!std::isfinite(xx)) throw_not_finite(problem.block, problem.gradient);
  if (problem.destination.factor != 1) {
    const double factor = std::abs(problem.destination.factor);
    if (!(factor <= largest_norm && factor * std::sqrt(xx) <= largest_norm))
      throw_not_finite(problem.block, problem.gradient);
  }
  write(x, problem.destination);
}

CgFacSummary solve_in_gram_space(const Problem& problem, const CgFacOptions& options, CgFacWorkspace& workspace,
                                 const Loop& loop) {
  const auto& [block, traces, damping, asked, x0, destination] = problem;
  // a start needs v for ⟨v, x₀⟩
  const Gradient gradient = x0 ? given_gradient(block, asked, workspace.gram.gradient) : asked;
  CgFacSummary summary{
      .space = Space::gram,
      .basis = options.basis == GramBasis::automatic ? choose_basis(block, options.cg.max_iterations) : options.basis};
  const GramProblem reduced(block, traces, gradient, GramOperator::scratch_numbers(block, x0.has_value()),
                            workspace.gram);
  if (reduced.zero()) {  // the solution is 0, and no residual can be relative to ‖v‖
    write_zero(destination);
    summary.products = {.vx = 0, .xfx = 0, .xx = 0};
    return summary;
  }
  GramOperator gram(reduced, damping, summary.basis, x0.has_value());
  double c = 0;
  if (x0) {
    c = gram.start(gradient.v, *x0, options.start_scaling);
    if (!std::isfinite(gram.norm2(gram.r()))) throw_not_finite(block, "v", gradient.v);
  }
  summary.cg = conjugate_gradient(gram, gram.x(), gram.r(), gram.p(), reduced.v_norm2(), loop.options, loop.cancel,
                                  loop.residuals);
  if (summary.cg.reason == CgReason::cancelled) return summary;
  require_largest(summary.cg, problem);
  const double norm_noise = gram.norm_noise();
  if (!broken(summary.cg.reason)) summary.products = gram.products();  // else r and x no longer belong together
  const GramSolution solution{.problem = reduced, .x0 = x0, .c = c, .damping = damping};
  const double extent = gram.extent() + std::sqrt(std::max(summary.products.xx, 0.0));
  const bool products_known = known(summary.products, summary.cg, extent);
  if (!doubtful(summary.cg, extent, norm_noise, reduced.v_norm2(), products_known, block.size())) {
    solution.write(gram, destination);
    if (cancels(summary.products.xx, gram.extent())) summary.products.xx = norm2_of(destination);
    return summary;
  }
  // Memory of its own, which is not kept where there is much of it: the workspace of Gram space is of N × N matrices.
  Measuring own;
  const bool kept = block.size() <= few_weights;
  Buffer<float>& formed = kept ? workspace.gram.gradient : own.formed;
  FisherOperator::Workspace& products = kept ? workspace.fisher : own.products;
  const std::span<float> memory = (kept ? workspace.weight_vectors : own.vectors).span(2 * block.size());
  const WeightView<float> x = block.view(memory.first(block.size()));
  solution.write(gram, {.out = x});
  const WeightView<const float> v = given_gradient(block, asked, formed).v;
  measure(problem, options.cg, v, x, block.view(memory.subspan(block.size())), products,
          kept ? workspace.truth : own.truth, summary);
  if (loop.residuals != nullptr && !loop.residuals->empty()) loop.residuals->back() = summary.cg.residual;
  write_within_range(problem, x, summary.products.xx);
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
    c = start_factor(dot(v, x0), curvature);
  }
  scale(static_cast<float>(-c), r);
  axpy(1.0F, v, r);
  if (!(std::isfinite(c) && std::isfinite(dot(r, r)))) throw_not_finite(problem.block, "x0", x0);
  return c;
}

CgFacSummary solve_in_weight_space(const Problem& problem, const CgFacOptions& options, CgFacWorkspace& workspace,
                                   const Loop& loop) {
  const FisherBlock& block = problem.block;
  CgFacSummary summary{.space = Space::weight};
  const WeightView<const float> v = given_gradient(block, problem.gradient, workspace.gram.gradient).v;
  const double v_norm2 = dot(v, v);
  if (!std::isfinite(v_norm2)) throw_not_finite(block, problem.gradient);
  require_comfortable(problem.gradient, v_norm2);
  if (v_norm2 == 0) {
    write_zero(problem.destination);
    summary.products = {.vx = 0, .xfx = 0, .xx = 0};
    return summary;
  }
  const std::size_t size = block.size();
  const std::span<float> memory = workspace.weight_vectors.span(3 * size);
  std::span<float> x = memory.subspan(0, size);
  std::span<float> r = memory.subspan(size, size);
  std::span<float> p = memory.subspan(2 * size, size);
  if (problem.x0) {
    const double c =
        start_in_weight_space(problem, v, *problem.x0, options.start_scaling, block.view(r), workspace.fisher);
    copy(*problem.x0, block.view(x));
    scale(static_cast<float>(c), block.view(x));
  } else {
    std::ranges::fill(x, 0.0F);
    copy(v, block.view(r));
  }
  const auto applications = static_cast<std::size_t>(std::max(options.cg.max_iterations, 1));
  FisherOperator fisher(block, problem.traces, problem.damping, applications, workspace.fisher);
  summary.cg = conjugate_gradient(fisher, x, r, p, v_norm2, loop.options, loop.cancel, loop.residuals);
  if (summary.cg.reason == CgReason::cancelled) return summary;
  require_largest(summary.cg, problem);
  const WeightView<const float> solution = block.view(std::span<const float>(x));
  const double xx = dot(solution, solution);
  if (!std::isfinite(xx)) throw_not_finite(block, "v", v);
  // xᵀF x comes from the residual here
  if (doubtful(summary.cg, std::sqrt(xx), 0, v_norm2, false, size)) {
    Measuring own;
    TrueProduct::Memory& truth = size <= few_weights ? workspace.truth : own.truth;
    measure(problem, options.cg, v, solution, block.view(p), workspace.fisher, truth, summary);
    if (loop.residuals != nullptr && !loop.residuals->empty()) loop.residuals->back() = summary.cg.residual;
    write_within_range(problem, solution, xx);
    return summary;
  }
  // F x = v − r − λ x
  const double vx = dot(v, solution);
  const double rx = dot(block.view(std::span<const float>(r)), solution);
  summary.products = {.vx = vx, .xfx = std::max(vx - rx - (problem.damping * xx), 0.0), .xx = xx};
  write_within_range(problem, solution, xx);
  return summary;
}

}  // namespace

void count_lost_digits(CgFacSummary& summary, const CgOptions& options, double scaled_norm,
                       const Destination& destination) {
  constexpr double half = 0x1p-150;  // of the least float32
  const double written = std::sqrt(norm2_of(destination));
  if (!(scaled_norm > 0) || std::isnan(written)) return;
  CgSummary& cg = summary.cg;
  const double lost =
      half * std::sqrt(static_cast<double>(destination.out.kernel.size() + destination.out.bias.size()));
  // ‖v'‖ is about 1
  const double residual = written == 0 ? 1 : cg.residual + (lost / written * cg.largest * scaled_norm);
  if (!(residual > cg.residual * (1 + float32_rounding))) return;
  if (std::isfinite(residual)) cg.residual = residual;  // no eigenvalue is known of a loop that broke down
  if (cg.reason == CgReason::converged && residual > std::max(options.tolerance, std::sqrt(float32_floor)))
    cg.reason = CgReason::stagnated;
}

std::size_t CgFacWorkspace::bytes() const {
  return fisher.bytes() + gram.bytes() + weight_vectors.bytes() + scaled.bytes() + truth.bytes();
}

Space choose_space(const FisherBlock& block, int iterations) {
  return cost::weight_cg(block, iterations) < cost::gram_cg(block, iterations) ? Space::weight : Space::gram;
}

GramBasis choose_basis(const FisherBlock& block, int iterations) {
  const auto [q, p] = ProjectedShape(block, gram_forms(block));
  if (is_small(q, p)) return GramBasis::plain;
  return cost::plain_iterations(block, iterations) <= cost::tridiagonal_iterations(block, iterations)
             ? GramBasis::plain
             : GramBasis::tridiagonal;
}

CgFacSummary cg_fac(const FisherBlock& block, const BlockTraces& traces, double damping, const Gradient& gradient,
                    const std::optional<WeightView<const float>>& x0, const Destination& destination,
                    const CgFacOptions& options, CgFacWorkspace& workspace, const CancelFlag* cancel,
                    std::vector<double>* residuals) {
  const Problem problem{
      .block = block, .traces = traces, .damping = damping, .gradient = gradient, .x0 = x0, .destination = destination};
  if (x0) {
    const double norm2 = dot(*x0, *x0);
    if (!std::isfinite(norm2)) throw_not_finite(block, "x0", *x0);
    require_comfortable(gradient, norm2);
  }
  const Space space =
      options.space == Space::automatic ? choose_space(block, options.cg.max_iterations) : options.space;
  const auto solve = space == Space::gram ? solve_in_gram_space : solve_in_weight_space;
  return solve(problem, options, workspace, {.options = options.cg, .cancel = cancel, .residuals = residuals});
}

CgFacSummary cg_fac(const FisherBlock& block, const Damping& damping, const WeightView<const float>& v,
                    const std::optional<WeightView<const float>>& x0, const WeightView<float>& out,
                    const CgFacOptions& options, CgFacWorkspace& workspace, const CancelFlag* cancel,
                    std::vector<double>* residuals) {
  const BlockTraces sums = traces(block);
  if (nothing_to_solve(sums, damping, v)) {
    write_zero({.out = out});
    return {.products = {.vx = 0, .xfx = 0, .xx = 0}};
  }
  const double lambda = checked_damping(block, sums, damping);
  CgFacSummary summary;
  const auto solve_as_it_is = [&] {
    summary = cg_fac(block, sums, lambda, {.v = v}, x0, {.out = out}, options, workspace, cancel, residuals);
  };
  if (solved_as_it_is(comfortable(sums, {.lambda = lambda}, {.out = out}), solve_as_it_is)) return summary;
  const ScaledSystem scaled(block, sums, {.lambda = lambda}, {.v = v}, x0, workspace.scaled);
  summary = cg_fac(scaled.block(), scaled.traces(), scaled.damping().lambda, scaled.gradient(), scaled.x0(),
                   scaled.destination(), options, workspace, cancel, residuals);
  if (summary.cg.reason == CgReason::cancelled) return summary;
  const double norm = std::sqrt(summary.products.xx);
  scaled.write({.out = out});
  summary.products = scaled.products(summary.products);
  count_lost_digits(summary, options.cg, norm, {.out = out});
  return summary;
}

void apply_fisher(const FisherBlock& block, const Damping& damping, const WeightView<const float>& v,
                  const WeightView<float>& out, FisherOperator::Workspace& workspace) {
  const BlockTraces sums = traces(block);
  const double lambda = checked_damping(block, sums, damping);
  const auto apply_as_it_is = [&] {
    const FisherOperator fisher(block, sums, lambda, 1, workspace);
    fisher.apply(v, out, FisherOperator::Range::comfortable);
  };
  if (solved_as_it_is(comfortable(sums, {.lambda = lambda}, {.out = out}), apply_as_it_is)) return;
  ScaledSystem::Memory memory;
  const ScaledSystem scaled(block, sums, {.lambda = lambda}, {.v = v}, std::nullopt, memory);
  const FisherOperator fisher(scaled.block(), scaled.traces(), scaled.damping().lambda, 1, workspace);
  fisher.apply(scaled.gradient().v, scaled.destination().out);
  scaled.write_image(out);
}

}  // namespace cgfac
