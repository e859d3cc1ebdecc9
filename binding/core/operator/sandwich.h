#pragma once

#include <cstddef>
#include <span>

#include "core/base/matrix_view.h"

/// Products with a symmetric matrix on either side, L X R, in float64: the whole work of an iteration in Gram space.
namespace cgfac {

/// A symmetric matrix in one of three forms; what the other forms need is empty.
struct SymmetricMatrix {
  enum class Form { identity, dense, tridiagonal } form = Form::identity;
  MatrixView<double> dense{};
  std::span<double> diagonal{};
  std::span<double> off_diagonal{};
};

/// Numbers of scratch, `rows`, that the products of a q × p matrix need.
[[nodiscard]] std::size_t sandwich_numbers(std::size_t q, std::size_t p);
/// Where a call into BLAS costs more than the product, so that plain loops do it.
[[nodiscard]] bool is_small(std::size_t q, std::size_t p);

/// out ← L X R, split over the pool threads; X and out must differ unless both L and R are identities. A dense factor
/// costs 2·q·p flops times its size, a tridiagonal one five for each element.
void sandwich(const SymmetricMatrix& left, const MatrixView<double>& x, const SymmetricMatrix& right,
              const MatrixView<double>& out, std::span<double> rows);

/// Rows first, …, last − 1 of L X R on the calling thread, where neither matrix is dense; `block` counts the blocks of
/// a pass that run at the same time.
void sandwich_rows(const SymmetricMatrix& left, const MatrixView<double>& x, const SymmetricMatrix& right,
                   const MatrixView<double>& out, std::size_t first, std::size_t last, std::size_t block,
                   std::span<double> rows);

}  // namespace cgfac
