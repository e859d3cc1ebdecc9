// Where the loop in Gram space begins and ends: the bases, the residual of a start, and what becomes of the last
// iterate.
#include <algorithm>
#include <cmath>

#include "core/base/arena.h"
#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"
#include "core/linalg/tiles.h"
#include "core/operator/gram_operator.h"

namespace cgfac {
namespace {

double wide(float x) {
  return static_cast<double>(x);
}

// V of both sides in float32, and room for a product.
struct Bases {
  MatrixView<float> input;
  MatrixView<float> output;
  MatrixView<float> product;

  Bases(const GramProblem& problem, std::span<double> scratch) {
    Carver carver(scratch);
    const std::size_t q = problem.rows();
    const std::size_t p = problem.cols();
    input = carver.floats(p, p);
    output = carver.floats(q, q);
    product = carver.floats(q, p);
    narrow(problem.input_matrix(), input);
    narrow(problem.output_matrix(), output);
  }
};

}  // namespace

// V_g u V_aᵀ
void GramOperator::into_basis(MatrixView<float> u, std::span<double> scratch) const {
  const Bases bases(problem_, scratch);
  gemm_in_tiles(1.0F, u, bases.input.transposed(), 0.0F, bases.product);
  gemm_in_tiles(1.0F, bases.output, bases.product, 0.0F, u);
}

// V_gᵀ C V_a
MatrixView<float> GramOperator::solution() {
  finish();
  Carver carver(free_);
  const MatrixView<float> c = carver.floats(problem_.rows(), problem_.cols());
  narrow(x_.c, c);
  if (basis_ == GramBasis::tridiagonal) {
    const Bases bases(problem_, carver.rest());
    gemm_in_tiles(1.0F, c, bases.input, 0.0F, bases.product);
    gemm_in_tiles(1.0F, bases.output.transposed(), bases.product, 0.0F, c);
  }
  free_ = carver.rest();
  return c;
}

// With panels on both sides U₀ shows again in the residual and may lie where p will be; else it is kept for the end.
// What is behind r is not in use yet.
MatrixView<float> GramOperator::project_start(const WeightView<const float>& x0) {
  Carver memory(free_);
  (void)memory.numbers(r_.c.size());
  const MatrixView<float> start_u = start_u_.data != nullptr ? start_u_ : memory.floats(u_.rows, u_.cols);
  x0_x0_ = problem_.project(x0, start_u, memory.rest());
  if (basis_ == GramBasis::tridiagonal) into_basis(start_u, memory.rest());
  return start_u;
}

double GramOperator::start(const WeightView<const float>& v, const WeightView<const float>& x0, StartScaling scaling) {
  const MatrixView<float> start_u = project_start(x0);
  v_x0_ = dot(v, x0);

  // r = F x₀ = (0, M_g U₀ M_a)
  const MatrixView<double>& image = covariances() ? y_ : r_.c;
  for (std::size_t i = 0; i < image.size(); ++i) image.data[i] = wide(start_u.data[i]);
  if (covariances()) sandwich(output_covariance_, y_, input_covariance_, r_.c, rows_);
  double c = 1;
  if (scaling == StartScaling::optimal) {
    double curvature = damping_ * x0_x0_;  // ⟨x₀, (F + λI) x₀⟩
    for (std::size_t i = 0; i < r_.c.size(); ++i) curvature += wide(start_u.data[i]) * r_.c.data[i];
    c = start_factor(v_x0_, curvature);
  }
  // r = v − (F + λI) c x₀ = (1, −c F x₀) on the base v − λ c x₀
  for (double& element : r_.c.elements()) element *= -c;
  for (std::size_t i = 0; i < u_.size(); ++i) {
    u_.data[i] = static_cast<float>(wide(u_.data[i]) - (damping_ * c * wide(start_u.data[i])));
  }
  base_norm2_ += (damping_ * c * damping_ * c * x0_x0_) - (2 * damping_ * c * v_x0_);
  start_factor_ = c;
  (void)weigh(r_);
  return c;
}

SolutionProducts GramOperator::products() {
  finish();
  const double c = start_factor_;
  const bool covariance = covariances();
  GramVector x = x_;
  x.w = r_.w.data == r_.c.data ? x_.c : r_.w;
  const double norm = weigh(x);
  // Y = P_gᵀ x P_a = c U₀ + s U + W; with panels on both sides also −(C_r + λ C) of the residual
  double u_c = 0;        // ⟨U, C⟩ of the base
  double start_u_c = 0;  // c ⟨U₀, C⟩
  double squared = 0;    // ‖Y‖²
  for (std::size_t i = 0; i < x.c.size(); ++i) {
    const double own = (x.s * wide(u_.data[i])) + x.w.data[i];
    double start = 0;
    if (c != 0) start = covariance ? c * wide(start_u_.data[i]) : -(r_.c.data[i] + (damping_ * x.c.data[i])) - own;
    u_c += wide(u_.data[i]) * x.c.data[i];
    start_u_c += start * x.c.data[i];
    const double y = start + own;
    if (covariance) y_.data[i] = y;
    squared += y * y;
  }
  if (covariance) {  // ⟨Y, M_g Y M_a⟩
    sandwich(output_covariance_, y_, input_covariance_, image_, rows_);
    squared = std::max(blas::dot(y_.elements(), image_.elements()), 0.0);
  }
  const double v_b = problem_.v_norm2() - (damping_ * c * v_x0_);  // ⟨v, b⟩
  const double x0_b = c * (v_x0_ - (damping_ * c * x0_x0_));       // c ⟨x₀, b⟩
  const double v_c = u_c + (damping_ * start_u_c);                 // ⟨v, P_g C P_aᵀ⟩
  return {.vx = (c * v_x0_) + (x.s * v_b) + v_c,
          .xfx = squared,
          .xx = (c * c * x0_x0_) + (2 * ((x.s * x0_b) + start_u_c)) + norm};
}

}  // namespace cgfac
