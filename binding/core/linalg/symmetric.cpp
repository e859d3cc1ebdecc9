#include "core/linalg/symmetric.h"

#include <span>

#include "core/linalg/blas.h"
#include "core/threads/parallel.h"

namespace cgfac {

void gram_in_pieces(double factor, MatrixView<const float> x, MatrixView<float> k) {
  const double flops = static_cast<double>(x.rows * x.rows) * static_cast<double>(x.cols);
  const std::size_t pieces = flops > 1.6e7 && x.rows >= 64 ? 4 : 1;
  parallel_for(pieces, [&](std::size_t i) {
    const std::size_t piece = pieces - 1 - i;  // the longest first
    const std::size_t first = x.rows * piece / pieces;
    blas::gram_rows(static_cast<float>(factor), x, 0.0F, k, first, (x.rows * (piece + 1) / pieces) - first);
  });
}

void widen_lower(MatrixView<const float> from, MatrixView<double> to) {
  for (std::size_t i = 0; i < from.rows; ++i) {
    for (std::size_t j = 0; j <= i; ++j) to(i, j) = static_cast<double>(from(i, j));
  }
}

void mirror_lower(MatrixView<float> x) {
  for (std::size_t i = 0; i < x.rows; ++i) {
    for (std::size_t j = i + 1; j < x.cols; ++j) x(i, j) = x(j, i);
  }
}

double dot_of_lower(MatrixView<const float> x, MatrixView<const float> y) {
  double below = 0;
  double diagonal = 0;
  for (std::size_t i = 0; i < x.rows; ++i) {
    below += blas::dot(std::span(x.data + (i * x.cols), i), std::span(y.data + (i * y.cols), i));
    diagonal += static_cast<double>(x(i, i)) * static_cast<double>(y(i, i));
  }
  return (2 * below) + diagonal;
}

double trace(MatrixView<const float> x) {
  double sum = 0;
  for (std::size_t i = 0; i < x.rows; ++i) sum += static_cast<double>(x(i, i));
  return sum;
}

}  // namespace cgfac
