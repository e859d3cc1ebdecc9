#include "core/gram_operator.h"

#include <algorithm>
#include <cmath>

#include "core/blas.h"
#include "core/error.h"

namespace cgfac {
namespace {

FactorForm gram_form(const FactorRows& side) {
  return side.count() > side.dimension() ? FactorForm::covariance : FactorForm::panel;
}

void widen(MatrixView<const float> from, MatrixView<double> to) {
  std::ranges::transform(from.elements(), to.data, [](float x) { return static_cast<double>(x); });
}

// K of a panel side, the covariance of the other kind: both are the side's one symmetric matrix
MatrixView<double> symmetric_matrix(const FactorRows& side, FactorForm form, Buffer<float>& single,
                                    Buffer<double>& matrix) {
  const std::size_t size = projected_size(side, form);
  const MatrixView<float> narrow = single.matrix(size, size);
  if (form == FactorForm::panel) {
    gram_matrix(side, narrow);
  } else {
    covariance_matrix(side, narrow);
  }
  const MatrixView<double> wide = matrix.matrix(size, size);
  widen(narrow, wide);
  return wide;
}

double frobenius(MatrixView<const double> x) {
  return std::sqrt(blas::dot(x.elements(), x.elements()));
}

}  // namespace

BlockForms gram_forms(const FisherBlock& block) {
  return {.input = gram_form(block.input), .output = gram_form(block.output)};
}

std::size_t GramOperator::Workspace::bytes() const {
  return half.bytes() + single.bytes() + u.bytes() + start_u.bytes() + input_factor.bytes() + output_factor.bytes() +
         product.bytes() + sum.bytes();
}

GramOperator::GramOperator(const FisherBlock& block, const BlockTraces& traces, double damping,
                           const WeightView<const float>& v, double v_norm2, Workspace& workspace)
    : block_(block),
      traces_(traces),
      damping_(damping),
      base_norm2_(v_norm2),
      forms_(gram_forms(block)),
      workspace_(workspace) {
  const std::size_t q = projected_size(block.output, forms_.output);
  const std::size_t p = projected_size(block.input, forms_.input);
  u_ = workspace.u.matrix(q, p);
  projected(v, u_);
  input_factor_ = symmetric_matrix(block.input, forms_.input, workspace.single, workspace.input_factor);
  output_factor_ = symmetric_matrix(block.output, forms_.output, workspace.single, workspace.output_factor);
}

void GramOperator::projected(const WeightView<const float>& v, const MatrixView<double>& u) const {
  const MatrixView<float> narrow = workspace_.single.matrix(u.rows, u.cols);
  project(block_, forms_, v, narrow, workspace_.half);
  widen(narrow, u);
}

double GramOperator::start(const WeightView<const float>& v, const WeightView<const float>& x0, StartScaling scaling,
                           GramVector& r) {
  const MatrixView<double> start_u = workspace_.start_u.matrix(u_.rows, u_.cols);
  projected(x0, start_u);
  const double v_x0 = cgfac::dot(v, x0);
  const double x0_x0 = cgfac::dot(x0, x0);

  std::ranges::fill(r.c.elements(), 0.0);
  add_curvature(start_u, r);  // r = F x₀
  double c = 1;
  if (scaling == StartScaling::optimal) {
    const double curvature = blas::dot(start_u.elements(), r.c.elements()) + (damping_ * x0_x0);  // ⟨x₀, (F + λI) x₀⟩
    c = curvature > 0 ? v_x0 / curvature : 0;                                                     // 0 only for x₀ = 0
  }
  // r = v − (F + λI) c x₀ = (1, −c F x₀) on the base v − λ c x₀
  r.s = 1;
  for (double& element : r.c.elements()) element *= -c;
  for (double& element : r.w.elements()) element *= -c;
  blas::axpy(-damping_ * c, start_u.elements(), u_.elements());
  base_norm2_ += (damping_ * c * damping_ * c * x0_x0) - (2 * damping_ * c * v_x0);
  return c;
}

bool GramOperator::finite() const {
  return std::isfinite(base_norm2_) && std::isfinite(frobenius(u_)) && std::isfinite(frobenius(input_factor_)) &&
         std::isfinite(frobenius(output_factor_));
}

void GramOperator::add_curvature(const MatrixView<double>& t, Vector& y) const {
  // each side has one of K (panel) and M (covariance)
  const bool input_panel = forms_.input == FactorForm::panel;
  const bool output_panel = forms_.output == FactorForm::panel;
  const MatrixView<double> product = workspace_.product.matrix(u_.rows, u_.cols);
  if (input_panel && output_panel) {
    blas::axpy(1.0, t.elements(), y.c.elements());
    blas::gemm(1.0, output_factor_, y.c, 0.0, product);
    blas::gemm(1.0, product, input_factor_, 0.0, y.w);  // W = K_g C K_a
  } else if (output_panel) {
    blas::gemm(1.0, t, input_factor_, 1.0, y.c);     // C = C + T A
    blas::gemm(1.0, output_factor_, y.c, 0.0, y.w);  // W = K_g C
  } else if (input_panel) {
    blas::gemm(1.0, output_factor_, t, 1.0, y.c);   // C = C + G T
    blas::gemm(1.0, y.c, input_factor_, 0.0, y.w);  // W = C K_a
  } else {
    blas::gemm(1.0, output_factor_, t, 0.0, product);
    blas::gemm(1.0, product, input_factor_, 1.0, y.c);  // C = C + G T A
    std::ranges::copy(y.c.elements(), y.w.data);        // W = C
  }
}

void GramOperator::apply(const Vector& x, Vector& y) const {
  // y = (λ s, λ C + M_g T M_a) with T = sU + W
  const MatrixView<double> t = workspace_.sum.matrix(u_.rows, u_.cols);
  for (std::size_t i = 0; i < t.size(); ++i) {
    t.data[i] = (x.s * u_.data[i]) + x.w.data[i];
    y.c.data[i] = damping_ * x.c.data[i];
  }
  y.s = damping_ * x.s;
  add_curvature(t, y);
}

double GramOperator::dot(const Vector& x, const Vector& y) const {
  return (x.s * y.s * base_norm2_) + (x.s * blas::dot(u_.elements(), y.c.elements())) +
         (y.s * blas::dot(u_.elements(), x.c.elements())) + blas::dot(x.c.elements(), y.w.elements());
}

void GramOperator::axpy(double alpha, const Vector& x, Vector& y) const {
  y.s += alpha * x.s;
  blas::axpy(alpha, x.c.elements(), y.c.elements());
  blas::axpy(alpha, x.w.elements(), y.w.elements());
}

void GramOperator::xpay(const Vector& x, double alpha, Vector& y) const {
  if (alpha == 0) {
    y.s = x.s;
    std::ranges::copy(x.c.elements(), y.c.data);
    std::ranges::copy(x.w.elements(), y.w.data);
    return;
  }
  y.s = x.s + (alpha * y.s);
  for (std::size_t i = 0; i < x.c.size(); ++i) {
    y.c.data[i] = x.c.data[i] + (alpha * y.c.data[i]);
    y.w.data[i] = x.w.data[i] + (alpha * y.w.data[i]);
  }
}

void GramOperator::expand(const Vector& x, float beta, const WeightView<float>& out) const {
  const double norm_c = frobenius(x.c);
  if (!(norm_c <= largest_norm)) {
    throw expected(ErrorCode::not_finite, "a solution within the range of float32", "inputs, outputGrads and v",
                   "an overflow");
  }
  const MatrixView<float> c = workspace_.single.matrix(u_.rows, u_.cols);
  std::ranges::transform(x.c.elements(), c.data, [](double element) { return static_cast<float>(element); });
  cgfac::expand(block_, forms_, traces_, c, norm_c, beta, out, workspace_.half);
}

}  // namespace cgfac
