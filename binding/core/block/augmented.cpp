#include "core/block/augmented.h"

#include "core/linalg/blas.h"

namespace cgfac {

void multiply_left(float alpha, MatrixView<const float> x, const Augmented<const float>& y, float beta,
                   const Augmented<float>& out) {
  blas::gemm(alpha, x, y.body, beta, out.body);
  if (out.has_last()) blas::gemm(alpha, x, y.last, beta, out.last);
}

void add_last(float alpha, const MatrixView<const float>& x, const Side& input, const MatrixView<float>& out) {
  if (input.stores_last()) {
    blas::gemm(alpha, x, input.last.transposed(), 1.0F, out);
    return;
  }
  for (std::size_t i = 0; i < out.rows; ++i) {
    const float last = alpha * x(i, 0);
    for (std::size_t j = 0; j < out.cols; ++j) out(i, j) += last;
  }
}

void multiply_rows_transposed(float alpha, const Augmented<const float>& x, const Side& input, MatrixView<float> out) {
  blas::gemm(alpha, x.body, input.rows.transposed(), 0.0F, out);
  if (x.has_last()) add_last(alpha, x.last, input, out);
}

void multiply_last(float alpha, const MatrixView<const float>& x, const Side& input, float beta,
                   const MatrixView<float>& out) {
  if (input.stores_last()) {
    blas::gemm(alpha, x, input.last, beta, out);
    return;
  }
  for (std::size_t i = 0; i < x.rows; ++i) {  // row sums
    double sum = 0;
    for (std::size_t j = 0; j < x.cols; ++j) sum += static_cast<double>(x(i, j));
    const auto last = static_cast<float>(static_cast<double>(alpha) * sum);
    out(i, 0) = beta == 0.0F ? last : (beta * out(i, 0)) + last;
  }
}

void multiply_rows(float alpha, MatrixView<const float> x, const Side& input, float beta, const Augmented<float>& out) {
  blas::gemm(alpha, x, input.rows, beta, out.body);
  if (out.has_last()) multiply_last(alpha, x, input, beta, out.last);
}

void combine(float sigma, MatrixView<const float> v, float beta, MatrixView<float> out) {
  if (!out.row_major()) {
    combine(sigma, v.transposed(), beta, out.transposed());
    return;
  }
  for (std::size_t i = 0; i < out.rows; ++i) {
    const float* const from = v.data + (i * v.row_stride);
    float* const to = out.data + (i * out.row_stride);
    if (!v.row_major()) {
      for (std::size_t j = 0; j < out.cols; ++j) to[j] = (beta == 0.0F ? 0.0F : beta * to[j]) + (sigma * v(i, j));
    } else if (beta == 0.0F) {
      for (std::size_t j = 0; j < out.cols; ++j) to[j] = sigma * from[j];
    } else {
      for (std::size_t j = 0; j < out.cols; ++j) to[j] = (beta * to[j]) + (sigma * from[j]);
    }
  }
}

}  // namespace cgfac
