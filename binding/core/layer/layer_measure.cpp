// What a step's length depends on besides ⟨v, x⟩: a prepared direction against the momentum and the sampled outputs.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/base/error.h"
#include "core/block/weight_vector.h"
#include "core/layer/layer.h"
#include "core/linalg/blas.h"
#include "core/linalg/symmetric.h"
#include "core/linalg/tiles.h"

namespace cgfac {
namespace {

double row_dot(const MatrixView<const float>& a, const MatrixView<const float>& b, std::size_t row) {
  return blas::dot(a.rows_from(row, 1).elements(), b.rows_from(row, 1).elements());
}

// Rows of a part that ⟨v, M⟩ is estimated from: those of half of its samples, where these are many.
std::size_t rows_for_slope(const RecordedPart& part) {
  constexpr std::size_t many = 64;
  const std::size_t samples = part.samples.count;
  if (samples < many || part.rows % samples != 0) return part.rows;
  return part.rows / samples * ((samples + 1) / 2);
}

}  // namespace

// ⟨v, M⟩ = scale·Σ_r g_rᵀ M [a_r 1]
double Layer::inner_product(const Given& v, const WeightView<const float>& m) const {
  if (v) return dot(*v, m);
  std::size_t all = 0;
  std::size_t seen = 0;
  double sum = 0;
  std::vector<double> products;
  for (const RecordedPart& part : rows_->parts()) {
    const std::size_t count = rows_for_slope(part);
    products.resize(count);
    kind_of(shape_).products(shape_, m, rows_->inputs().rows_from(part.first_row, count),
                             rows_->loss_grads().rows_from(part.first_row, count), products);
    for (const double product : products) sum += product;
    all += part.rows;
    seen += count;
  }
  return rows_->loss_scale() * sum * static_cast<double>(all) / static_cast<double>(std::max<std::size_t>(seen, 1));
}

// products_r ← g_rᵀ X [a_r 1] of a direction by rows, X = scale·Z_gᵀ Z_a: (g Z_gᵀ) ∘ ([a 1] Z_aᵀ)
void Layer::products_by_rows(MatrixView<const float> inputs, MatrixView<const float> output_grads,
                             std::span<double> products) const {
  const std::size_t width = direction_rows_;
  const MatrixView<const float> z_input = z_input_.held_matrix(width, input_.dimension());
  const MatrixView<const float> z_output = z_output_.held_matrix(width, output_.dimension());
  std::vector<float> memory(2 * products.size() * width);
  const MatrixView<float> left(memory.data(), products.size(), width);
  const MatrixView<float> right(memory.data() + left.size(), products.size(), width);
  gemm_in_tiles(1.0F, output_grads, z_output.transposed(), 0.0F, left);
  gemm_in_tiles(1.0F, inputs, z_input.columns(0, shape_.in_features).transposed(), 0.0F, right);
  for (std::size_t row = 0; shape_.bias && row < right.rows; ++row) {
    for (std::size_t j = 0; j < width; ++j) right(row, j) += z_input(j, shape_.in_features);
  }
  for (std::size_t row = 0; row < products.size(); ++row) products[row] = direction_scale_ * row_dot(left, right, row);
}

SampledProducts Layer::sampled_products() const {
  SampledProducts result;
  const std::vector<std::size_t> sampled = rows_->sampled_rows();
  if (sampled.empty() || direction_ == Direction::none) return result;
  for (const RecordedPart& part : rows_->parts())
    result.u.resize(std::max(result.u.size(), part.samples.first + part.samples.count));
  std::vector<bool> has(result.u.size());
  std::vector<double> products;
  std::size_t first_sampled = 0;
  for (std::size_t i = 0; i < sampled.size(); ++i) {
    const RecordedPart& part = rows_->parts()[i];
    const std::size_t count = sampled[i];
    const MatrixView<const float> inputs = rows_->inputs().rows_from(part.first_row, count);
    const MatrixView<const float> output_grads = rows_->sampled().rows_from(first_sampled, count);
    first_sampled += count;
    const std::size_t positions = part.rows / part.samples.count;
    for (std::size_t b = 0; b < count / positions; ++b) has[part.samples.first + b] = true;
    if (direction_ == Direction::zero) continue;
    products.resize(count);
    if (direction_ == Direction::rows) {
      products_by_rows(inputs, output_grads, products);
    } else {
      const WeightView<const float> x = shape_block(shape_).view(std::span<const float>(x_.held(shape_.size())));
      kind_of(shape_).products(shape_, x, inputs, output_grads, products);
    }
    for (std::size_t row = 0; row < count; ++row)
      result.u[part.samples.first + (row / positions)] += rows_->sampled_factor() * products[row];
  }
  result.samples = static_cast<std::size_t>(std::ranges::count(has, true));
  return result;
}

// ‖scale·Z_gᵀ Z_a‖² = scale²·⟨Z_g Z_gᵀ, Z_a Z_aᵀ⟩
double Layer::direction_norm() const {
  if (direction_ != Direction::rows) return bound_;  // which is exact of what is formed
  const std::size_t count = direction_rows_;
  std::vector<float> memory(2 * count * count);
  const MatrixView<float> input(memory.data(), count, count);
  const MatrixView<float> output(memory.data() + input.size(), count, count);
  blas::gram(1.0F, z_input_.held_matrix(count, input_.dimension()), input);
  blas::gram(1.0F, z_output_.held_matrix(count, output_.dimension()), output);
  const double square = blas::dot(std::span<const float>(input.elements()), output.elements());
  return direction_scale_ * std::sqrt(std::max(square, 0.0));
}

}  // namespace cgfac
