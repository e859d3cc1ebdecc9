#include "core/solver/sample.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/block/comfort.h"
#include "core/block/finite.h"
#include "core/block/pass_order.h"
#include "core/block/passes.h"
#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"
#include "core/linalg/lapack.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

constexpr BlockForms panels{};

double squares(std::span<const double> x) {
  return blas::dot(x, x);
}

// J v, a chunk of columns of g v at a time
void apply_jacobian(const FisherBlock& block, const WeightView<const float>& v, std::span<double> result,
                    std::span<float> scratch) {
  const MatrixView<const float>& a = block.input.rows;
  const MatrixView<const float>& g = block.output.rows;
  const std::size_t n = a.rows;
  std::ranges::fill(result, 0.0);
  const std::size_t width = std::clamp(scratch.size() / n, smallest_chunk, std::max(a.cols, smallest_chunk));
  for (std::size_t first = 0; first < a.cols; first += width) {
    const std::size_t columns = std::min(width, a.cols - first);
    const MatrixView<float> gv(scratch.data(), n, columns);
    const Split split = Split::columns(columns, product_flops(n, g.cols, columns));
    parallel_for(split.blocks(), [&](std::size_t i) {
      blas::gemm(1.0F, g, v.kernel.columns(first + split.first(i), split.count(i)), 0.0F,
                 gv.columns(split.first(i), split.count(i)));
    });
    for (std::size_t row = 0; row < n; ++row) {
      for (std::size_t j = 0; j < columns; ++j) {
        result[row] += static_cast<double>(gv(row, j)) * static_cast<double>(a(row, first + j));
      }
    }
  }
  if (!block.input.homogeneous) return;
  for (std::size_t row = 0; row < n; ++row) {
    for (std::size_t j = 0; j < g.cols; ++j) {
      result[row] += block.input.last_coordinate(row) * static_cast<double>(g(row, j)) * static_cast<double>(v.bias[j]);
    }
  }
}

// The rows of both sides are those of one batch: refuses averages and different numbers of rows. Scaled rows store
// their homogeneous coordinate, as averages do.
void require_one_batch(const FisherBlock& block, const Gradient& gradient) {
  if (block.input.given() || block.output.given() || (block.input.stores_last() && !gradient.scaled)) {
    throw expected(ErrorCode::shape_mismatch, "the rows of one batch on both sides", "the per-sample block",
                   "an average");
  }
  const std::size_t n = block.input.count();
  if (block.output.count() != n) {
    throw expected(ErrorCode::shape_mismatch, "as many rows as inputs has, " + std::to_string(n) + ",",
                   "outputGrads of the per-sample block", std::to_string(block.output.count()));
  }
}

// x = s·v + coefficient · Jᵀ y
struct SampleSolution {
  double s = 0;
  double coefficient = 0;
  double condition = 0;  // tr E/λ
  double extent = 0;     // s‖v‖ + |coefficient|·‖J‖‖y‖, of which x may be what remains
  SolutionProducts products{};
};

// A solve, in the order of its steps. w is the weight of each sample in E, scale_g.
class SampleProblem {
 public:
  SampleProblem(const FisherBlock& block, const Gradient& gradient, GramWorkspace& workspace);
  // J v and ‖v‖², where v is not the batch's own under the empirical Fisher
  void project();
  // H, and tr H; then J v and ‖v‖² for the empirical Fisher
  void form_hadamard();
  [[nodiscard]] double v_norm2() const { return v_norm2_; }
  // Error(not_finite) that names its cause where anything so far is not finite; `asked`: the gradient as it came
  void require_finite_products(const Gradient& asked) const;
  // λ, and the Cholesky factor of H + λ/w·I
  double damp(const Damping& damping);
  // y and the inner products of x
  SampleSolution solve(double lambda) const;
  // x
  void expand(const SampleSolution& solution, const BlockTraces& traces, const Destination& destination) const;

 private:
  void project_own();

  const FisherBlock& block_;
  Gradient gradient_;
  std::size_t n_;
  double weight_;
  double scales_;   // scale_a·scale_g
  bool empirical_;  // v = scale · Jᵀ1
  double v_norm2_ = 0;
  double trace_ = 0;             // tr H
  MatrixView<double> inputs_;    // K_a
  MatrixView<double> hadamard_;  // K_g, then H, then the Cholesky factor of H + λ/w·I
  std::span<double> jv_;
  std::span<double> y_;
  std::span<double> scratch_;
};

SampleProblem::SampleProblem(const FisherBlock& block, const Gradient& gradient, GramWorkspace& workspace)
    : block_(block),
      gradient_(gradient),
      n_(block.input.count()),
      weight_(block.output.scale),
      scales_(block.input.scale * weight_),
      empirical_(empirical(block, gradient)) {
  const std::size_t matrices = (2 * n_ * n_) + (2 * n_);
  const std::size_t diagonal = ((n_ * n_) / 2) + 2;  // y as a matrix, in float32
  const std::size_t all = GramProblem::arena_numbers(n_);
  const std::size_t pass = (pass_scratch(block, panels, 2 * (all - std::min(all, matrices + diagonal))) + 1) / 2;
  Carver arena(workspace.arena.span(matrices + std::max((n_ * n_) + 2, pass + diagonal)));
  inputs_ = arena.doubles(n_, n_);
  hadamard_ = arena.doubles(n_, n_);
  jv_ = arena.numbers(n_);
  y_ = arena.numbers(n_);
  scratch_ = arena.rest();
  form_matrices(block, panels, inputs_, hadamard_, scratch_);
}

void SampleProblem::project() {
  if (empirical_) return;
  if (gradient_.same_batch()) {
    project_own();
    return;
  }
  v_norm2_ = dot(gradient_.v, gradient_.v);
  apply_jacobian(block_, gradient_.v, jv_, as_floats(scratch_));
}

// v = scale · g_vᵀ [a 1]: J v = scale · row sums of (g g_vᵀ) ∘ (a aᵀ), ‖v‖² = scale² · Σ (g_v g_vᵀ) ∘ (a aᵀ)
void SampleProblem::project_own() {
  Carver carver(scratch_);
  const MatrixView<float> cross = carver.floats(n_, n_);
  const MatrixView<float> own = carver.floats(n_, n_);
  form_cross(block_.output.rows, gradient_.loss_grads, cross, own);
  for (std::size_t i = 0; i < n_; ++i) {
    double sum = 0;
    for (std::size_t j = 0; j < n_; ++j) {
      sum += static_cast<double>(cross(i, j)) * inputs_(i, j);
      v_norm2_ += (j < i ? 2 : 1) * (j <= i ? static_cast<double>(own(i, j)) * inputs_(i, j) : 0);
    }
    jv_[i] = sum * gradient_.scale / block_.input.scale;
  }
  v_norm2_ *= gradient_.scale * gradient_.scale / block_.input.scale;
}

// H = K_a ∘ K_g/(scale_a scale_g); J v = H·1·scale for v = scale · Jᵀ1
void SampleProblem::form_hadamard() {
  for (std::size_t i = 0; i < n_ * n_; ++i) hadamard_.data[i] *= inputs_.data[i] / scales_;
  if (!empirical_) return;
  for (std::size_t i = 0; i < n_; ++i) {
    jv_[i] = 0;
    for (std::size_t j = 0; j < n_; ++j) jv_[i] += hadamard_(i, j) * gradient_.scale;
    v_norm2_ += jv_[i] * gradient_.scale;
  }
}

void SampleProblem::require_finite_products(const Gradient& asked) const {
  if (!std::isfinite(v_norm2_ + squares(jv_) + squares(hadamard_.elements()))) throw_not_finite(block_, asked);
}

// λ = ρ·tr E/(m·n), tr E = w·tr H, where it is relative
double SampleProblem::damp(const Damping& damping) {
  trace_ = 0;
  for (std::size_t i = 0; i < n_; ++i) trace_ += hadamard_(i, i);
  const double lambda =
      damping.relative ? damping.value * weight_ * trace_ / static_cast<double>(block_.size()) : damping.value;
  if (damping.relative && !(usable(lambda))) {
    throw expected(ErrorCode::invalid_value, "rows that make it a number > 0 in the range of float32",
                   "relative damping", to_text(lambda));
  }
  for (std::size_t i = 0; i < n_; ++i) hadamard_(i, i) += lambda / weight_;
  if (!blas::cholesky(hadamard_)) {
    throw expected(ErrorCode::invalid_value, "a damping above the rounding of the rows", "damping", to_text(lambda));
  }
  return lambda;
}

// x = (v − Jᵀ y)/λ with (H + λ/w·I) y = J v and J x = y/w; for v = scale · Jᵀ1, x = Jᵀ y/w with (H + λ/w·I) y = scale·1
// and J x = H y/w = (scale·1 − λ y/w)/w, or J v/λ where that cancels, λ being far above H.
SampleSolution SampleProblem::solve(double lambda) const {
  SampleSolution result;
  SolutionProducts& products = result.products;
  double jv_y = 0;
  if (empirical_) {
    std::ranges::fill(y_, gradient_.scale);
    blas::cholesky_solve(hadamard_, y_);
    result.coefficient = 1 / weight_;
    products.vx = 0;
    for (std::size_t i = 0; i < n_; ++i) products.vx += result.coefficient * jv_[i] * y_[i];
    products.xfx = 0;
    for (std::size_t i = 0; i < n_; ++i) {
      const double rest = gradient_.scale - (lambda * y_[i] / weight_);
      const double jx = std::abs(rest) > 0x1p-20 * gradient_.scale ? rest / weight_ : jv_[i] / lambda;
      products.xfx += weight_ * jx * jx;
    }
  } else {
    std::ranges::copy(jv_, y_.begin());
    blas::cholesky_solve(hadamard_, y_);
    result.s = 1 / lambda;
    result.coefficient = -1 / lambda;
    for (std::size_t i = 0; i < n_; ++i) jv_y += jv_[i] * y_[i];
    products.vx = (v_norm2_ - jv_y) / lambda;
    products.xfx = squares(y_) / weight_;
  }
  products.xx = (products.vx - products.xfx) / lambda;
  result.condition = weight_ * trace_ / lambda;
  result.extent = (result.s * std::sqrt(v_norm2_)) + (std::abs(result.coefficient) * std::sqrt(trace_ * squares(y_)));
  return result;
}

// Jᵀ y = gᵀ diag(y) [a 1] = P_g C P_aᵀ with C = diag(y)/√(scale_a scale_g)
void SampleProblem::expand(const SampleSolution& solution, const BlockTraces& traces,
                           const Destination& destination) const {
  Carver carver(scratch_);
  const MatrixView<float> c = carver.floats(n_, n_);
  std::ranges::fill(c.elements(), 0.0F);
  for (std::size_t i = 0; i < n_; ++i) c(i, i) = static_cast<float>(solution.coefficient * y_[i] / std::sqrt(scales_));
  const double norm_c = std::sqrt(blas::dot(c.elements(), c.elements()));
  const double multiple = std::abs(solution.s * destination.factor);
  if (!(multiple <= largest_norm && multiple * std::sqrt(v_norm2_) <= largest_norm)) {
    throw expected(ErrorCode::not_finite, "a solution within the range of float32", "inputs, outputGrads and v",
                   "an overflow");
  }
  cgfac::expand(block_, panels, traces, solution.s, gradient_, c, norm_c, destination, as_floats(carver.rest()));
}

}  // namespace

SolutionProducts solve_sample(const FisherBlock& block, const BlockTraces& traces, const Damping& damping,
                              const Gradient& gradient, const Destination& destination, GramWorkspace& workspace) {
  require_one_batch(block, gradient);
  const bool of_block = has_block_inputs(block, gradient);
  SampleProblem problem(block, of_block ? gradient : given_gradient(block, gradient, workspace.gradient), workspace);
  problem.project();
  problem.form_hadamard();
  if (gradient.same_batch() && nearly_cancels(block, gradient, problem.v_norm2())) {
    return solve_sample(block, traces, damping, wide_gradient(block, gradient, workspace.gradient), destination,
                        workspace);
  }
  require_comfortable(gradient, problem.v_norm2());
  problem.require_finite_products(gradient);
  const double lambda = problem.damp(damping);
  const SampleSolution solution = problem.solve(lambda);
  problem.expand(solution, traces, destination);
  SolutionProducts products = solution.products;
  mend_products(products, problem.v_norm2(), lambda, {.extent = solution.extent, .condition = solution.condition},
                destination);
  return products;
}

}  // namespace cgfac
