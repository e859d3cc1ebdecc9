#include "core/operator/fisher_operator.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/block/comfort.h"
#include "core/block/finite.h"
#include "core/block/passes.h"
#include "core/block/weight_vector.h"
#include "core/linalg/blas.h"

namespace cgfac {
namespace {

double norm_squared(MatrixView<const float> x) {
  double sum = 0;
  for (const float element : x.elements()) sum += static_cast<double>(element) * static_cast<double>(element);
  return sum;
}

// The factor to multiply by, formed where it is not given; a given one still lacks its scale.
MatrixView<const float> covariance_of(const Side& side, Buffer<float>& memory) {
  if (side.given()) return side.covariance;
  const MatrixView<float> formed = memory.matrix(side.dimension(), side.dimension());
  covariance_matrix(side, formed);
  return formed;
}

float missing_scale(const Side& side) {
  return side.given() ? static_cast<float>(side.scale) : 1.0F;
}

}  // namespace

double weight_space_flops(const FisherBlock& block, const BlockForms& forms, std::size_t applications) {
  const auto m = static_cast<double>(block.rows());
  const auto n = static_cast<double>(block.cols());
  const auto input_rows = static_cast<double>(block.input.count());
  const auto output_rows = static_cast<double>(block.output.count());
  const bool input_panel = forms.input_panel();
  const bool output_panel = forms.output_panel();
  const double forming =  // a given factor has no rows
      (input_panel ? 0 : input_rows * n * n) + (output_panel ? 0 : output_rows * m * m);
  double product = 0;  // multiplications of one FV
  if (input_panel && output_panel) {
    product = std::min(output_rows * n * (m + input_rows), input_rows * m * (n + output_rows)) +
              std::min(m * input_rows * (output_rows + n), output_rows * n * (input_rows + m));
  } else {
    const double q = output_panel ? output_rows : m;  // the projected matrix is q × p
    const double p = input_panel ? input_rows : n;
    product += output_panel ? 2 * q * m * n : m * m * p;
    product += input_panel ? 2 * m * n * p : q * n * n;
  }
  return forming + (static_cast<double>(applications) * 2 * product);
}

BlockForms cheapest_forms(const FisherBlock& block, std::size_t applications) {
  using enum FactorForm;
  const std::array<BlockForms, 4> candidates{{{.input = panel, .output = panel},
                                              {.input = panel, .output = covariance},
                                              {.input = covariance, .output = panel},
                                              {.input = covariance, .output = covariance}}};
  return *std::ranges::min_element(candidates, {}, [&](const BlockForms& forms) {
    const bool possible =
        !(block.input.given() && forms.input == panel) && !(block.output.given() && forms.output == panel);
    return possible ? weight_space_flops(block, forms, applications) : std::numeric_limits<double>::infinity();
  });
}

std::size_t FisherOperator::Workspace::bytes() const {
  return scratch.bytes() + image.bytes() + projected.bytes() + multiplied.bytes() + input_covariance.bytes() +
         output_covariance.bytes();
}

FisherOperator::FisherOperator(const FisherBlock& block, const BlockTraces& traces, double damping,
                               std::size_t applications, Workspace& workspace)
    : block_(block),
      traces_(traces),
      damping_(damping),
      forms_(cheapest_forms(block, applications)),
      workspace_(workspace),
      scratch_(workspace.scratch.span(pass_scratch(block, forms_, block.size()))) {
  if (!forms_.input_panel()) input_covariance_ = covariance_of(block.input, workspace.input_covariance);
  if (!forms_.output_panel()) output_covariance_ = covariance_of(block.output, workspace.output_covariance);
}

MatrixView<const float> FisherOperator::curvature(const WeightView<const float>& v) const {
  const std::size_t q = projected_size(block_.output, forms_.output);
  const std::size_t p = projected_size(block_.input, forms_.input);
  MatrixView<float> current = workspace_.projected.matrix(q, p);
  project(block_, forms_, v, current, scratch_);
  if (forms_.panels()) return current;
  MatrixView<float> next = workspace_.multiplied.matrix(q, p);
  if (!forms_.output_panel()) {
    blas::gemm(missing_scale(block_.output), output_covariance_, current, 0.0F, next);  // G · …
    std::swap(current, next);
  }
  if (!forms_.input_panel()) {
    blas::gemm(missing_scale(block_.input), current, input_covariance_, 0.0F, next);  // … · A
    std::swap(current, next);
  }
  return current;
}

void FisherOperator::apply(const WeightView<const float>& v, const WeightView<float>& out, Range range) const {
  const MatrixView<const float> c = curvature(v);
  const double norm_c = std::sqrt(norm_squared(c));
  if (range == Range::comfortable && !(norm_c == 0 || (norm_c >= 0x1p-100 && norm_c <= 0x1p80))) throw NeedsScaling{};
  // NaN or infinity anywhere in v or the rows reaches c. Below λ = 1/2 finite v cannot make λ v leave the range.
  const double norm_damped = damping_ < 0.5 ? 0 : damping_ * std::sqrt(dot(v, v));
  if (!std::isfinite(norm_c) || !(norm_damped <= static_cast<double>(std::numeric_limits<float>::max()) / 2)) {
    throw_not_finite(block_, "v", v);
  }
  image(v, c, norm_c, out);
}

void FisherOperator::image(const WeightView<const float>& v, MatrixView<const float> c, double norm_c,
                           const WeightView<float>& out) const {
  expand(block_, forms_, traces_, damping_, {.v = v}, c, norm_c, {.out = out}, scratch_);
}

double FisherOperator::norm2(const Vector& x) const {
  const WeightView<const float> v = block_.view(std::span<const float>(x));
  return dot(v, v);
}

double FisherOperator::advance_direction(const Vector& r, double beta, const Vector& p) const {
  if (beta == 0) {
    std::ranges::copy(r, p.begin());
  } else {
    scale(static_cast<float>(beta), block_.view(p));
    axpy(1.0F, block_.view(std::span<const float>(r)), block_.view(p));
  }
  const WeightView<const float> from = block_.view(std::span<const float>(p));
  const WeightView<float> q = block_.view(workspace_.image.span(p.size()));
  image(from, curvature(from), 0, q);  // an overflow ends the loop through its scalars
  return dot(from, q);
}

double FisherOperator::update_residual(double alpha, const Vector& /*p*/, const Vector& r) const {
  const std::span<const float> q = workspace_.image.span(r.size());
  axpy(static_cast<float>(-alpha), block_.view(q), block_.view(r));
  return norm2(r);
}

void FisherOperator::advance_solution(double alpha, const Vector& p, const Vector& x) const {
  axpy(static_cast<float>(alpha), block_.view(std::span<const float>(p)), block_.view(x));
}

}  // namespace cgfac
