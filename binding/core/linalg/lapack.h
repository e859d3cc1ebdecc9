#pragma once

#include <cstddef>
#include <span>

#include "core/base/matrix_view.h"

/// Symmetric N × N problems by LAPACK, in place, on the calling thread. Matrices are row-major without gaps, unless
/// said otherwise; only the lower triangle is read. Each throws Cancelled some milliseconds after the flag of its
/// thread is set, with what it works in left in any state; a Cholesky factor or its inverse is finished before.
///
/// Source of the methods: E. Anderson et al., "LAPACK Users' Guide", third edition, 1999, §2.4.4 (dsytrd, dorgtr,
/// dsyevd) and §2.4.1 (dpotrf, dpotri, dpotrs).
namespace cgfac::blas {

/// K = Q diag(values) Qᵀ, values ascending: on return ROW k of `k` is the k-th eigenvector, k = Qᵀ. `work` has
/// `eigen_work(N)` numbers. Throws Error(not_finite) where the iteration does not converge.
void eigen(MatrixView<double> k, std::span<double> values, std::span<double> work);
void eigen(MatrixView<float> k, std::span<float> values, std::span<float> work);
[[nodiscard]] std::size_t eigen_work(std::size_t n);

/// K = Hᵀ T H with T tridiagonal: on return `k` is the orthogonal H, `diagonal` and `off_diagonal` (N − 1 numbers and
/// one to spare) are T's. `work` has `tridiagonal_work(N)` numbers.
void tridiagonalise(MatrixView<double> k, std::span<double> diagonal, std::span<double> off_diagonal,
                    std::span<double> work);
[[nodiscard]] std::size_t tridiagonal_work(std::size_t n);

/// The first half of `tridiagonalise`: T, and in `k` and `tau` (N numbers) the reflectors whose product is H. `work`
/// has `reflector_work(N)` numbers.
void reduce(MatrixView<double> k, std::span<double> diagonal, std::span<double> off_diagonal, std::span<double> tau,
            std::span<double> work);
/// The second half of `tridiagonalise`: `k` becomes H. `work` has `reflector_work(N)` numbers.
void form_reflectors(MatrixView<double> k, std::span<const double> tau, std::span<double> work);
[[nodiscard]] std::size_t reflector_work(std::size_t n);

/// T = Zᵀ diag(values) Z for a tridiagonal T: row k of `z`, which may have gaps, is the k-th eigenvector. The diagonal
/// becomes the values; the off-diagonal is scratch. `work` has `tridiagonal_eigen_work(N)` numbers. Throws
/// Error(not_finite) where the iteration does not converge.
void tridiagonal_eigen(std::span<double> diagonal, std::span<double> off_diagonal, MatrixView<double> z,
                       std::span<double> work);
[[nodiscard]] std::size_t tridiagonal_eigen_work(std::size_t n);

/// One step of divide and conquer: `values` and the block-diagonal `z` (both blocks' values ascending) belong to T
/// without its element rho at (cut − 1, cut), of which |rho| has been taken from the diagonal on both sides; on return
/// to T, in no order. T's norm is about 1, and cut is from 1 to N/2. `work` has `merge_work(N)` numbers. Throws
/// Error(not_finite) where the iteration does not converge.
///
/// Source: J. Cuppen, "A divide and conquer method for the symmetric tridiagonal eigenproblem", 1981; LAPACK's dlaed1.
void merge_eigen(std::span<double> values, MatrixView<double> z, double rho, std::size_t cut, std::span<double> work);
[[nodiscard]] std::size_t merge_work(std::size_t n);

/// K ← the Cholesky factor L, K = L Lᵀ, in the lower triangle. False where K is not positive definite to rounding; its
/// numbers are finite, as OpenBLAS lets NaN pass.
[[nodiscard]] bool cholesky(MatrixView<double> k);
/// K ← (L Lᵀ)⁻¹, both triangles, from what `cholesky` left.
void cholesky_inverse(MatrixView<double> k);
/// x ← (L Lᵀ)⁻¹ x, from what `cholesky` left.
void cholesky_solve(MatrixView<const double> k, std::span<double> x);

}  // namespace cgfac::blas
