#pragma once

#include <cstddef>
#include <span>

#include "core/base/arena.h"
#include "core/base/matrix_view.h"

namespace cgfac {

/// One symmetric matrix diagonalised and another made tridiagonal: K_e = H_eᵀ Zᵀ diag(values) Z H_e and K_t = H_tᵀ T
/// H_t, H_e and H_t in the places of the matrices. The work of both is the same, and split over two threads.
struct MixedBases {
  MatrixView<double> z;        ///< rows: eigenvectors of K_e's tridiagonal matrix
  std::span<double> values;    ///< of K_e, in no order
  std::span<double> diagonal;  ///< of T
  std::span<double> off_diagonal;
  std::size_t clamped = 0;  ///< values that rounding made negative, taken as 0
};

/// Numbers of scratch that the bases, e × e and t × t, take and need on the way.
[[nodiscard]] std::size_t mixed_bases_numbers(std::size_t e, std::size_t t);

/// Decomposes both in place. K_e's tridiagonal matrix is torn in two halves, which are decomposed side by side and
/// merged. Both have at least two rows.
///
/// Source: J. Cuppen, "A divide and conquer method for the symmetric tridiagonal eigenproblem", 1981.
[[nodiscard]] MixedBases mixed_bases(MatrixView<double> diagonalised, MatrixView<double> reduced, Carver& carver);

/// Whether λ stands above what float32 rounding makes of an eigenvalue 0 of K_e ⊗ K_t, so that T needs no clamping.
[[nodiscard]] bool well_damped(const MixedBases& bases, double damping);

/// Diagonalises T as well, whose eigenvalues it clamps and puts in the place of the diagonal; returns its eigenvectors
/// in float32, in rows.
[[nodiscard]] MatrixView<float> diagonalise_rest(MixedBases& bases, Carver& carver);

/// to ← from without its smallest numbers: eigenvectors of a tridiagonal matrix fall off so fast that float32 would
/// have denormal numbers, on which products crawl.
void narrow_vectors(MatrixView<const double> from, MatrixView<float> to);

}  // namespace cgfac
