#include "core/linalg/tiles.h"

#include "core/linalg/blas.h"
#include "core/threads/parallel.h"

namespace cgfac {
namespace {

template <typename T>
void gemm_by_rows(T alpha, const MatrixView<const T>& a, const MatrixView<const T>& b, T beta, const MatrixView<T>& c) {
  const Split split = Split::columns(c.rows, product_flops(c.rows, a.cols, c.cols));
  parallel_for(split.blocks(), [&](std::size_t i) {
    const std::size_t first = split.first(i);
    blas::gemm(alpha, a.rows_from(first, split.count(i)), b, beta, c.rows_from(first, split.count(i)));
  });
}

template <typename From, typename To>
void convert(const MatrixView<const From>& from, const MatrixView<To>& to) {
  if (!(from.row_major() && to.row_major())) {
    for (std::size_t i = 0; i < to.rows; ++i) {
      for (std::size_t j = 0; j < to.cols; ++j) to(i, j) = static_cast<To>(from(i, j));
    }
    return;
  }
  for (std::size_t i = 0; i < to.rows; ++i) {
    const From* const source = from.data + (i * from.row_stride);
    To* const target = to.data + (i * to.row_stride);
    for (std::size_t j = 0; j < to.cols; ++j) target[j] = static_cast<To>(source[j]);
  }
}

}  // namespace

void gemm_in_tiles(float alpha, MatrixView<const float> a, MatrixView<const float> b, float beta, MatrixView<float> c) {
  gemm_by_rows(alpha, a, b, beta, c);
}

void gemm_in_tiles(double alpha, MatrixView<const double> a, MatrixView<const double> b, double beta,
                   MatrixView<double> c) {
  gemm_by_rows(alpha, a, b, beta, c);
}

void narrow(MatrixView<const double> from, MatrixView<float> to) {
  convert(from, to);
}

void widen(MatrixView<const float> from, MatrixView<double> to) {
  convert(from, to);
}

}  // namespace cgfac
