#pragma once

#include <cblas.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>

#include "core/base/error.h"
#include "core/base/matrix_view.h"

/// What a call of BLAS or LAPACK is given for a view. For the sources of this room alone: it includes a BLAS header.
namespace cgfac::blas {

/// Throws Error(shape_mismatch) where the contract, which its text states broken, does not hold.
inline void require(bool holds, std::string_view contract) {
  if (!holds) throw Error(ErrorCode::shape_mismatch, std::string("blas: ").append(contract));
}

/// A size as BLAS's integer. Throws Error(invalid_value) from 2³¹ on.
inline blasint narrow(std::size_t size) {
  if (size > static_cast<std::size_t>(std::numeric_limits<blasint>::max())) {
    throw expected(ErrorCode::invalid_value, "a size below 2^31", "a matrix dimension", std::to_string(size));
  }
  return static_cast<blasint>(size);
}

/// Whether BLAS, told of row-major storage, has to transpose what it reads.
template <typename T>
CBLAS_TRANSPOSE order_of(const MatrixView<T>& x) {
  return x.row_major() ? CblasNoTrans : CblasTrans;
}

/// The distance between the rows (or, transposed, the columns) in storage. A single row has none; BLAS wants its
/// length.
template <typename T>
blasint leading_dimension(const MatrixView<T>& x) {
  return narrow(x.row_major() ? std::max(x.row_stride, x.cols) : std::max(x.col_stride, x.rows));
}

}  // namespace cgfac::blas
