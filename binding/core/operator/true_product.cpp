#include "core/operator/true_product.h"

#include <algorithm>

#include "core/linalg/blas.h"

namespace cgfac {
namespace {

// 2 MB of float64.
constexpr std::size_t most_numbers = 1U << 18U;

std::size_t numbers_of(const Side& side) {
  return side.given() ? side.dimension() * side.dimension() : side.count() * side.dimension();
}

// A side's rows, or its factor where that is given, in float64: N × d, or d × d.
MatrixView<const double> exact(const Side& side, Buffer<double>& memory) {
  const MatrixView<const float>& from = side.given() ? side.covariance : side.rows;
  const std::size_t dimension = side.dimension();
  const std::span<double> numbers = memory.span(from.rows * dimension);
  for (std::size_t i = 0; i < from.rows; ++i) {
    double* const row = numbers.data() + (i * dimension);
    for (std::size_t j = 0; j < from.cols; ++j) row[j] = static_cast<double>(from(i, j));
    if (!side.given() && side.homogeneous) row[from.cols] = side.last_coordinate(i);
  }
  return {numbers.data(), from.rows, dimension};
}

// y ← x · factor, with x and y some × dimension
void multiply(const Side& side, MatrixView<const double> x, MatrixView<double> y, TrueProduct::Memory& memory) {
  const MatrixView<const double> own = exact(side, memory.side);
  if (side.given()) {
    blas::gemm(side.scale, x, own, 0.0, y);
    return;
  }
  const MatrixView<double> projected(memory.projected.span(x.rows * own.rows).data(), x.rows, own.rows);
  blas::gemm(1.0, x, own.transposed(), 0.0, projected);
  blas::gemm(side.scale, projected, own, 0.0, y);
}

std::span<double> widened(const WeightView<const float>& v, Buffer<double>& memory) {
  const std::span<double> numbers = memory.span(v.kernel.size() + v.bias.size());
  std::size_t at = 0;
  for (std::size_t i = 0; i < v.kernel.rows; ++i) {
    for (std::size_t j = 0; j < v.kernel.cols; ++j) numbers[at++] = static_cast<double>(v.kernel(i, j));
    if (!v.bias.empty()) numbers[at++] = static_cast<double>(v.bias[i]);
  }
  return numbers;
}

}  // namespace

bool TrueProduct::affordable(const FisherBlock& block) {
  const std::size_t projected = std::max(block.rows() * block.input.count(), block.cols() * block.output.count());
  const std::size_t sides = std::max(numbers_of(block.input), numbers_of(block.output));
  return sides + projected + (4 * block.size()) <= most_numbers;
}

TrueProduct::TrueProduct(const FisherBlock& block, const WeightView<const float>& x, Memory& memory)
    : memory_(memory), x_(widened(x, memory.x)), image_(memory.image.span(block.size())) {
  const MatrixView<double> right(memory.right.span(block.size()).data(), block.rows(), block.cols());
  const MatrixView<double> both(image_.data(), block.rows(), block.cols());
  multiply(block.input, {x_.data(), block.rows(), block.cols()}, right, memory);
  multiply(block.output, right.transposed(), both.transposed(), memory);
}

std::span<const double> TrueProduct::in_float64(const WeightView<const float>& v) const {
  return widened(v, memory_.v);
}

}  // namespace cgfac
