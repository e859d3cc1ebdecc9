#include "core/block/weight_vector.h"

#include <array>
#include <cmath>

#include "core/linalg/blas.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

bool has_gaps(const MatrixView<const float>& x) {
  return x.row_major() ? x.rows > 1 && x.row_stride != x.cols : x.cols > 1 && x.col_stride != x.rows;
}

}  // namespace

void copy(const WeightView<const float>& v, const WeightView<float>& out) {
  if (v.kernel.data != out.kernel.data) std::ranges::copy(v.kernel.elements(), out.kernel.data);
  if (v.bias.data() != out.bias.data()) std::ranges::copy(v.bias, out.bias.data());
}

void write(const WeightView<const float>& x, const Destination& destination) {
  const auto factor = static_cast<float>(destination.factor);
  const auto keep = static_cast<float>(destination.keep);
  if (factor == 1.0F && keep == 0.0F) {
    copy(x, destination.out);
    return;
  }
  const auto add = [&](std::span<const float> from, std::span<float> to) {
    for (std::size_t i = 0; i < to.size(); ++i) to[i] = (keep == 0.0F ? 0.0F : keep * to[i]) + (factor * from[i]);
  };
  add(x.kernel.elements(), destination.out.kernel.elements());
  if (!x.bias.empty()) add(x.bias, destination.out.bias);
}

void write_zero(const Destination& destination) {
  if (destination.keep == 1) return;
  if (destination.keep != 0) {
    scale(static_cast<float>(destination.keep), destination.out);
    return;
  }
  std::ranges::fill(destination.out.kernel.elements(), 0.0F);
  std::ranges::fill(destination.out.bias, 0.0F);
}

void scale(float alpha, const WeightView<float>& x) {
  const std::span<float> kernel = x.kernel.elements();
  const Pieces pieces(kernel.size());
  parallel_for(pieces.count, [&](std::size_t i) {
    for (float& element : pieces.of(kernel, i)) element *= alpha;
  });
  for (float& element : x.bias) element *= alpha;
}

void axpy(float alpha, const WeightView<const float>& x, const WeightView<float>& y) {
  const std::span<const float> from = x.kernel.elements();
  const std::span<float> to = y.kernel.elements();
  const Pieces pieces(to.size());
  parallel_for(pieces.count, [&](std::size_t i) { blas::axpy(alpha, pieces.of(from, i), pieces.of(to, i)); });
  if (!x.bias.empty()) blas::axpy(alpha, x.bias, y.bias);
}

double norm2_of(const Destination& destination) {
  if (destination.factor != 1 || destination.keep != 0) return SolutionProducts::unknown;
  return dot(destination.out, destination.out);
}

void mend_products(SolutionProducts& products, double v_norm2, double damping, const SolutionParts& parts,
                   const Destination& destination) {
  if (v_norm2 == 0) {  // and so is x
    products = {.vx = 0, .xfx = 0, .xx = 0};
    return;
  }
  if (!cancels(products.xx, parts.extent, parts.condition)) return;
  products.xx = norm2_of(destination);
  if (!cancels(products.vx, std::sqrt(v_norm2 / damping))) return;  // ⟨v, x⟩ is a difference from ‖v‖²/λ
  products.vx = products.xfx + (damping * products.xx);
}

double dot(const WeightView<const float>& x, const WeightView<const float>& y) {
  return dot_in_pieces(x.kernel.elements(), y.kernel.elements()) + (x.bias.empty() ? 0 : blas::dot(x.bias, y.bias));
}

double dot_in_pieces(std::span<const float> x, std::span<const float> y) {
  const Pieces pieces(x.size());
  std::array<double, Pieces::most> sums{};
  parallel_for(pieces.count, [&](std::size_t i) { sums[i] = blas::dot(pieces.of(x, i), pieces.of(y, i)); });
  double sum = 0;
  for (std::size_t i = 0; i < pieces.count; ++i) sum += sums[i];
  return sum;
}

double squares_in_pieces(const MatrixView<const float>& x) {
  if (!has_gaps(x)) return dot_in_pieces(x.elements(), x.elements());
  const MatrixView<const float> lines = x.row_major() ? x : x.transposed();
  double sum = 0;
  for (std::size_t i = 0; i < lines.rows; ++i) {
    const std::span<const float> line(lines.data + (i * lines.row_stride), lines.cols);
    sum += blas::dot(line, line);
  }
  return sum;
}

}  // namespace cgfac
