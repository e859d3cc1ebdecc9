#pragma once

#include <span>
#include <string>

#include "core/base/matrix_view.h"

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

/// Rows first, …, first + count − 1 of K ← α X Xᵀ + β K, left of and on the diagonal; the rest of `k` is left alone.
void gram_rows(float alpha, MatrixView<const float> x, float beta, MatrixView<float> k, std::size_t first,
               std::size_t count);

/// ⟨x, y⟩, float32 data summed in blocks whose sums are added up in float64.
[[nodiscard]] double dot(std::span<const float> x, std::span<const float> y);
[[nodiscard]] double dot(std::span<const double> x, std::span<const double> y);

/// y ← y + α x
void axpy(float alpha, std::span<const float> x, std::span<float> y);
void axpy(double alpha, std::span<const double> x, std::span<double> y);

/// Symmetric N × N problems, in place. Only the lower triangle of a row-major view is read.
///
/// Source of the methods: E. Anderson et al., "LAPACK Users' Guide", third edition, 1999, §2.4.4 (dsytrd, dorgtr,
/// dsyevd) and §2.4.1 (dpotrf, dpotri, dpotrs).

/// K = Q diag(values) Qᵀ, values ascending: on return ROW k of `k` is the k-th eigenvector, k = Qᵀ. `work` has
/// `eigen_work(N)` numbers. Throws Error(broken_down) where the iteration does not converge.
void eigen(MatrixView<double> k, std::span<double> values, std::span<double> work);
void eigen(MatrixView<float> k, std::span<float> values, std::span<float> work);
[[nodiscard]] std::size_t eigen_work(std::size_t n);

/// K = Hᵀ T H with T tridiagonal: on return `k` is the orthogonal H, `diagonal` and `off_diagonal` (N − 1 numbers and
/// one to spare) are T's. `work` has `tridiagonal_work(N)` numbers.
void tridiagonalise(MatrixView<double> k, std::span<double> diagonal, std::span<double> off_diagonal,
                    std::span<double> work);
[[nodiscard]] std::size_t tridiagonal_work(std::size_t n);

/// The two halves of `tridiagonalise`: T and the reflectors, and H from them. `tau` has N numbers.
void reduce(MatrixView<double> k, std::span<double> diagonal, std::span<double> off_diagonal, std::span<double> tau,
            std::span<double> work);
void form_reflectors(MatrixView<double> k, std::span<const double> tau, std::span<double> work);
[[nodiscard]] std::size_t reflector_work(std::size_t n);

/// T = Zᵀ diag(values) Z for a tridiagonal T: row k of `z`, which may have gaps, is the k-th eigenvector. The diagonal
/// becomes the values; the off-diagonal is scratch. `work` has `tridiagonal_eigen_work(N)` numbers.
void tridiagonal_eigen(std::span<double> diagonal, std::span<double> off_diagonal, MatrixView<double> z,
                       std::span<double> work);
[[nodiscard]] std::size_t tridiagonal_eigen_work(std::size_t n);

/// One step of divide and conquer: `values` and the block-diagonal `z` (both blocks' values ascending) belong to T
/// without its element rho at (cut − 1, cut), of which |rho| has been taken from the diagonal on both sides; on return
/// to T, in no order. T's norm is about 1. `work` has `merge_work(N)` numbers.
///
/// Source: J. Cuppen, "A divide and conquer method for the symmetric tridiagonal eigenproblem", 1981; LAPACK's dlaed1.
void merge_eigen(std::span<double> values, MatrixView<double> z, double rho, std::size_t cut, std::span<double> work);
[[nodiscard]] std::size_t merge_work(std::size_t n);

/// K ← the Cholesky factor L, K = L Lᵀ, in the lower triangle. False where K is not positive definite to rounding.
[[nodiscard]] bool cholesky(MatrixView<double> k);
/// K ← (L Lᵀ)⁻¹, both triangles, from what `cholesky` left.
void cholesky_inverse(MatrixView<double> k);
/// x ← (L Lᵀ)⁻¹ x
void cholesky_solve(MatrixView<const double> k, std::span<double> x);

struct Info {
  std::string version;  ///< of OpenBLAS, "0.3.21"
  std::string core;     ///< the kernel that OpenBLAS chose for this processor, "SkylakeX"
  int threads;          ///< BLAS threads: 1
};
[[nodiscard]] Info info();

/// Compares a few odd-shaped products and an eigendecomposition with plain loops; throws Error(blas_mismatch) that
/// names the kernel where they differ. A kernel that does not fit the processor computes wrong numbers without any
/// other sign.
void self_check();

}  // namespace cgfac::blas
