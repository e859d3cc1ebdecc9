#include "core/solver/sample.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/base/error.h"
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
      result[row] += static_cast<double>(g(row, j)) * static_cast<double>(v.bias[j]);
    }
  }
}

}  // namespace

SolutionProducts solve_sample(const FisherBlock& block, const BlockTraces& traces, const Damping& damping,
                              const Gradient& asked, const Destination& destination, GramWorkspace& workspace) {
  const std::size_t n = block.input.count();
  if (block.input.given() || block.output.given() || block.input.stores_last()) {
    throw expected(ErrorCode::shape_mismatch, "the rows of one batch on both sides", "the per-sample block",
                   "an average");
  }
  if (block.output.count() != n) {
    throw expected(ErrorCode::shape_mismatch, "as many rows as inputs has, " + std::to_string(n) + ",",
                   "outputGrads of the per-sample block", std::to_string(block.output.count()));
  }
  const double weight = block.output.scale;
  const std::size_t matrices = (2 * n * n) + (2 * n);
  const std::size_t diagonal = ((n * n) / 2) + 2;  // y as a matrix, in float32
  const std::size_t all = GramProblem::arena_numbers(n);
  const std::size_t pass = (pass_scratch(block, panels, 2 * (all - std::min(all, matrices + diagonal))) + 1) / 2;
  Carver arena(workspace.arena.span(matrices + std::max((n * n) + 2, pass + diagonal)));
  const MatrixView<double> inputs = arena.doubles(n, n);    // K_a
  const MatrixView<double> hadamard = arena.doubles(n, n);  // K_g, then H + λ/w·I, then its Cholesky factor
  const std::span<double> jv = arena.numbers(n);
  const std::span<double> y = arena.numbers(n);
  form_matrices(block, panels, inputs, hadamard, arena.rest());

  const double scales = block.input.scale * weight;
  const Gradient gradient = has_block_inputs(block, asked) ? asked : given_gradient(block, asked, workspace.gradient);
  const bool own_panel = empirical(block, gradient);
  double v_norm2 = 0;
  if (gradient.same_batch() && !own_panel) {  // J v = scale · row sums of (g g_vᵀ) ∘ (a aᵀ)
    Carver carver(arena.rest());
    const MatrixView<float> cross = carver.floats(n, n);
    const MatrixView<float> own = carver.floats(n, n);
    form_cross(block.output.rows, gradient.loss_grads, cross, own);
    for (std::size_t i = 0; i < n; ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < n; ++j) {
        sum += static_cast<double>(cross(i, j)) * inputs(i, j);
        v_norm2 += (j < i ? 2 : 1) * (j <= i ? static_cast<double>(own(i, j)) * inputs(i, j) : 0);
      }
      jv[i] = sum * gradient.scale / block.input.scale;
    }
    v_norm2 *= gradient.scale * gradient.scale / block.input.scale;
  } else if (!gradient.same_batch()) {
    v_norm2 = dot(gradient.v, gradient.v);
    if (!std::isfinite(v_norm2)) throw_not_finite(block, asked);
    apply_jacobian(block, gradient.v, jv, as_floats(arena.rest()));
  }

  double trace = 0;  // of E/w = JᵀJ
  for (std::size_t i = 0; i < n * n; ++i) hadamard.data[i] *= inputs.data[i] / scales;
  for (std::size_t i = 0; i < n; ++i) trace += hadamard(i, i);
  if (own_panel) {  // J Jᵀ1
    for (std::size_t i = 0; i < n; ++i) {
      jv[i] = 0;
      for (std::size_t j = 0; j < n; ++j) jv[i] += hadamard(i, j) * gradient.scale;
      v_norm2 += jv[i] * gradient.scale;
    }
  }
  if (!std::isfinite(v_norm2 + squares(jv) + squares(hadamard.elements()))) {
    throw_not_finite(block, asked);
  }
  const double lambda =
      damping.relative ? damping.value * weight * trace / static_cast<double>(block.size()) : damping.value;
  if (!(lambda >= static_cast<double>(std::numeric_limits<float>::min()) &&
        lambda <= static_cast<double>(std::numeric_limits<float>::max()))) {
    throw expected(ErrorCode::invalid_value, "rows that make it a number > 0 in the range of float32",
                   "relative damping", to_text(lambda));
  }
  for (std::size_t i = 0; i < n; ++i) hadamard(i, i) += lambda / weight;
  if (!blas::cholesky(hadamard)) {
    throw expected(ErrorCode::invalid_value, "a damping above the rounding of the rows", "damping", to_text(lambda));
  }

  double s = 0;
  double coefficient = 0;  // x = s·v + coefficient · Jᵀ y
  SolutionProducts products;
  if (own_panel) {
    std::ranges::fill(y, gradient.scale);
    blas::cholesky_solve(hadamard, y);
    coefficient = 1 / weight;
    products.vx = 0;
    for (std::size_t i = 0; i < n; ++i) products.vx += coefficient * jv[i] * y[i];
    // J x = H y/w = scale·1/w − λ y/w²
    products.xfx = 0;
    for (const double element : y) {
      const double jx = (gradient.scale - (lambda * element / weight)) / weight;
      products.xfx += weight * jx * jx;
    }
  } else {
    std::ranges::copy(jv, y.begin());
    blas::cholesky_solve(hadamard, y);
    s = 1 / lambda;
    coefficient = -1 / lambda;
    double jv_y = 0;
    for (std::size_t i = 0; i < n; ++i) jv_y += jv[i] * y[i];
    products.vx = (v_norm2 - jv_y) / lambda;
    products.xfx = squares(y) / weight;  // J x = y/w
  }
  products.xx = (products.vx - products.xfx) / lambda;

  // Jᵀ y = gᵀ diag(y) [a 1] = P_g C P_aᵀ
  Carver carver(arena.rest());
  const MatrixView<float> c = carver.floats(n, n);
  std::ranges::fill(c.elements(), 0.0F);
  for (std::size_t i = 0; i < n; ++i) c(i, i) = static_cast<float>(coefficient * y[i] / std::sqrt(scales));
  const double norm_c = std::sqrt(blas::dot(c.elements(), c.elements()));
  const double multiple = std::abs(s * destination.factor);
  if (!(multiple <= largest_norm && multiple * std::sqrt(v_norm2) <= largest_norm)) {
    throw expected(ErrorCode::not_finite, "a solution within the range of float32", "inputs, outputGrads and v",
                   "an overflow");
  }
  expand(block, panels, traces, s, gradient, c, norm_c, destination, as_floats(carver.rest()));
  return products;
}

}  // namespace cgfac
