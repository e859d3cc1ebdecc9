#pragma once

#include <span>
#include <string>

#include "core/matrix_view.h"

/// The products the package is made of, on OpenBLAS with ONE BLAS thread. This file's source is the only one that
/// includes a BLAS header: it checks shapes and narrows the sizes to BLAS's 32-bit integers.
///
/// Views may be row-major or transposed, in every place; no operand is copied to transpose it.
namespace cgfac::blas {

/// C ← α A B + β C. With β = 0 the former contents of C are not read. 2·rows·cols·k flops.
void gemm(float alpha, MatrixView<const float> a, MatrixView<const float> b, float beta, MatrixView<float> c);
void gemm(double alpha, MatrixView<const double> a, MatrixView<const double> b, double beta, MatrixView<double> c);

/// K ← α X Xᵀ, both triangles, bit for bit symmetric. rows²·cols flops.
void gram(float alpha, MatrixView<const float> x, MatrixView<float> k);

/// ⟨x, y⟩, float32 data summed in blocks whose sums are added up in float64.
[[nodiscard]] double dot(std::span<const float> x, std::span<const float> y);
[[nodiscard]] double dot(std::span<const double> x, std::span<const double> y);

/// y ← y + α x
void axpy(float alpha, std::span<const float> x, std::span<float> y);
void axpy(double alpha, std::span<const double> x, std::span<double> y);

struct Info {
  std::string version;  ///< of OpenBLAS, "0.3.21"
  std::string core;     ///< the kernel that OpenBLAS chose for this processor, "SkylakeX"
  int threads;          ///< BLAS threads: 1
};
[[nodiscard]] Info info();

/// Compares a few odd-shaped products with plain loops; throws Error(blas_mismatch) that names the kernel where they
/// differ. A kernel that does not fit the processor computes wrong numbers without any other sign.
void self_check();

}  // namespace cgfac::blas
