#pragma once

#include <cstddef>
#include <span>

#include "core/base/matrix_view.h"

/// The products the package is made of, on OpenBLAS with ONE BLAS thread. This room's sources are the only ones that
/// include a BLAS header: they check shapes and narrow the sizes to BLAS's 32-bit integers.
///
/// Views may be row-major or transposed, in every place; no operand is copied to transpose it. `gemm` and what is made
/// of it throw Cancelled where the flag of the thread is set.
namespace cgfac::blas {

/// C ← α A B + β C. With β = 0 the former contents of C are not read. 2·rows·cols·k flops.
void gemm(float alpha, MatrixView<const float> a, MatrixView<const float> b, float beta, MatrixView<float> c);
void gemm(double alpha, MatrixView<const double> a, MatrixView<const double> b, double beta, MatrixView<double> c);

/// K ← α X Xᵀ, both triangles, bit for bit symmetric. rows²·cols flops.
void gram(float alpha, MatrixView<const float> x, MatrixView<float> k);

/// Rows first, …, first + count − 1 of K ← α X Xᵀ + β K, left of and on the diagonal; the rest of `k` is left alone.
void gram_rows(float alpha, MatrixView<const float> x, float beta, MatrixView<float> k, std::size_t first,
               std::size_t count);

/// ⟨x, y⟩, float32 data summed in blocks whose sums are added up in float64; all of it in float64 where it would leave
/// the range of float32 at either end, so that a sum is NaN or infinite only where its data are.
[[nodiscard]] double dot(std::span<const float> x, std::span<const float> y);
[[nodiscard]] double dot(std::span<const double> x, std::span<const double> y);

/// ‖x‖², summed as `dot` does.
[[nodiscard]] inline double square(std::span<const float> x) {
  return dot(x, x);
}

/// y ← y + α x
void axpy(float alpha, std::span<const float> x, std::span<float> y);
void axpy(double alpha, std::span<const double> x, std::span<double> y);

}  // namespace cgfac::blas
