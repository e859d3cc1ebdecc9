#include "core/solver/woodbury.h"

#include <algorithm>
#include <cmath>

#include "core/base/arena.h"
#include "core/base/error.h"
#include "core/block/comfort.h"
#include "core/block/finite.h"
#include "core/block/gradient.h"
#include "core/block/solution.h"
#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"
#include "core/linalg/symmetric.h"
#include "core/linalg/tiles.h"
#include "core/operator/gram_matrices.h"
#include "core/operator/gram_problem.h"
#include "core/solver/woodbury_inverses.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

// One side of a solve: its symmetric matrix, K or the factor, and room for the inverse of a factor in float32.
struct WoodburySide {
  const Side& side;
  FactorForm form;
  double gamma;
  MatrixView<double> matrix;
  MatrixView<float> narrowed;

  WoodburySide(const Side& from, FactorForm side_form, double side_gamma, Carver& arena)
      : side(from), form(side_form), gamma(side_gamma) {
    const std::size_t size = projected_size(from, side_form);
    matrix = arena.doubles(size, size);
    if (form == FactorForm::covariance) narrowed = arena.floats(size, size);
  }
  [[nodiscard]] InverseView inverted() const {
    invert_damped(matrix, gamma);
    if (form == FactorForm::panel)
      return {.form = InverseView::Form::woodbury, .side = side, .gamma = gamma, .s = matrix};
    narrow(matrix, narrowed);
    return {.form = InverseView::Form::matrix, .side = side, .gamma = gamma, .inverse = narrowed};
  }
};

SolutionProducts solve_given(const FisherBlock& block, const FactoredDamping& damping, const Gradient& gradient,
                             const Destination& destination, GramWorkspace& workspace) {
  const WeightView<const float>& v = gradient.v;
  const double v_norm2 = dot(v, v);
  if (!std::isfinite(v_norm2)) throw_not_finite(block, "v", v);
  require_comfortable(gradient, v_norm2);
  // a scaled solution is looked at when it is written where it belongs
  if (!gradient.scaled) require_range(std::sqrt(v_norm2), damping, destination);
  const BlockForms forms = gram_forms(block);
  const std::size_t widest =
      std::max(projected_size(block.input, forms.input), projected_size(block.output, forms.output));
  const std::size_t least = inverse_scratch(3 * smallest_chunk, widest);
  const std::size_t ideal = inverse_scratch(std::max(block.rows(), block.cols()) + (2 * smallest_chunk), widest);
  const std::size_t limit = GramProblem::arena_numbers(widest) - (2 * widest * widest);
  const WoodburyInverses both =
      woodbury_inverses(block, damping, std::min(std::max(least, ideal), std::max(limit, least)), workspace);

  const WeightView<float>& x = destination.out;
  const bool in_place = x.kernel.data == v.kernel.data;
  copy(v, x);
  apply_both(both.input, both.output, x, both.scratch);
  SolutionProducts products;
  if (!in_place) products.vx = dot(v, x);
  if (destination.factor != 1) scale(static_cast<float>(destination.factor), x);
  return products;
}

}  // namespace

WoodburyInverses woodbury_inverses(const FisherBlock& block, const FactoredDamping& damping, std::size_t numbers,
                                   GramWorkspace& workspace) {
  const BlockForms forms = gram_forms(block);
  const std::size_t q = projected_size(block.output, forms.output);
  const std::size_t p = projected_size(block.input, forms.input);
  const std::size_t matrices = (p * p) + (q * q);
  const std::size_t narrowed = (forms.input == FactorForm::covariance ? ((p * p) + 1) / 2 : 0) +
                               (forms.output == FactorForm::covariance ? ((q * q) + 1) / 2 : 0);
  Carver arena(workspace.arena.span(matrices + narrowed + std::max(numbers, (matrices / 2) + 2)));
  const WoodburySide input(block.input, forms.input, damping.input, arena);
  const WoodburySide output(block.output, forms.output, damping.output, arena);
  WoodburyInverses result{.scratch = arena.rest()};
  form_matrices(block, forms, input.matrix, output.matrix, result.scratch);
  const auto sum = [](MatrixView<const double> x) { return blas::dot(x.elements(), x.elements()); };
  if (!std::isfinite(sum(input.matrix) + sum(output.matrix))) {
    throw expected(ErrorCode::not_finite, "products within the range of float32", "inputs and outputGrads",
                   "an overflow");
  }
  parallel_for(2, 4 * static_cast<double>((p * p * p) + (q * q * q)), [&](std::size_t i) {
    if ((i == 0) == (p >= q)) {
      result.input = input.inverted();
    } else {
      result.output = output.inverted();
    }
  });
  return result;
}

void require_range(double norm_v, const FactoredDamping& damping, const Destination& destination) {
  const double bound = norm_v / std::min(damping.input, 1.0) / std::min(damping.output, 1.0);
  if (!(bound * std::max(1.0, std::abs(destination.factor)) <= largest_norm)) {
    throw expected(ErrorCode::not_finite, "a solution within the range of float32", "inputs, outputGrads and v",
                   "an overflow");
  }
}

SolutionProducts solve_factored(const FisherBlock& block, const BlockTraces& traces, const FactoredDamping& damping,
                                const Gradient& gradient, const Destination& destination, GramWorkspace& workspace) {
  if (!gradient.same_batch()) return solve_given(block, damping, gradient, destination, workspace);
  const bool panels = gram_forms(block).panels();
  if (panels && !may_be_wide(block, gradient))
    return solve_own(block, traces, damping, gradient, destination, workspace);
  // v is formed, and x stays apart from it, for ⟨v, x⟩, and from what is kept
  const std::span<float> memory = workspace.gradient.span((destination.keep == 0 ? 1 : 2) * block.size());
  const WeightView<float> v = block.view(memory.first(block.size()));
  form_gradient(block, gradient, v);
  const bool cancels = nearly_cancels(block, gradient, dot(v, v));
  if (panels && !cancels) return solve_own(block, traces, damping, gradient, destination, workspace);
  if (cancels) (void)wide_gradient(block, gradient, workspace.gradient);
  const Gradient given{.v = v, .scaled = gradient.scaled};
  if (destination.keep == 0) return solve_given(block, damping, given, destination, workspace);
  const WeightView<float> x = block.view(memory.subspan(block.size()));
  const double norm_v = std::sqrt(dot(WeightView<const float>(v), WeightView<const float>(v)));
  if (!gradient.scaled) require_range(norm_v, damping, destination);
  const SolutionProducts products = solve_given(block, damping, given, {.out = x}, workspace);
  write(x, destination);
  return products;
}

}  // namespace cgfac
