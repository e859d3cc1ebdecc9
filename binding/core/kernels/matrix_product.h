#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/matrix_view.h"

/// Products of dense layers, with bias and activation: C_p ← φ(A_i B_j + bias), (i, j) = pairs[p], float32.
///
/// A_i is m × k, B_j k × n, C_p m × n; the C_p lie one after the other, row-major, and share no memory with what is
/// read. φ works on each number. 2·m·n·k flops a product.
///
/// A product is cut into blocks of columns, or of rows where m ≥ n, so that the operand that every block packs again is
/// the smaller one. Blocks depend on the shape alone: results have the same bits with any number of threads. Bias and φ
/// pass over a block while it is in the cache. Allocates nothing.
namespace cgfac {

/// The function φ that works on each number.
enum class Activation {
  linear,      ///< x
  relu,        ///< max(x, 0)
  relu6,       ///< min(max(x, 0), 6)
  prelu,       ///< x, or αx where x < 0, with an α for each place
  leaky_relu,  ///< x, or αx where x < 0
  sigmoid,     ///< 1/(1 + e⁻ˣ)
  elu,         ///< x, or eˣ − 1 where x < 0
};

/// Matrices of one shape, `step` numbers from the start of one to that of the next.
struct MatrixBatch {
  MatrixView<const float> first;
  std::size_t step = 0;

  /// The matrix of an index.
  [[nodiscard]] MatrixView<const float> at(std::size_t index) const {
    MatrixView<const float> view = first;
    view.data += index * step;
    return view;
  }
};

/// Numbers for each place (p, i, j) of the results: data[p·batch_step + i·row_step + j·col_step], where a step of 0
/// repeats them.
struct Broadcast {
  const float* data = nullptr;  ///< none where it is null
  std::size_t batch_step = 0;
  std::size_t row_step = 0;
  std::size_t col_step = 0;
};

/// A_i and B_j of a result.
struct MatrixPair {
  std::uint32_t a = 0;
  std::uint32_t b = 0;
};

/// What is done to a product: out ← φ(A B + bias).
struct Epilogue {
  Broadcast bias{};
  Activation activation = Activation::linear;
  float slope = 0;     ///< α of leaky_relu
  Broadcast slopes{};  ///< α of prelu
};

/// A block of a result: which result, and where in it the block begins.
struct Place {
  std::size_t pair = 0;
  std::size_t row = 0;
  std::size_t col = 0;
};

/// C ← bias, for the block that begins at a place; there is a bias.
void fill_bias(const Broadcast& bias, const Place& place, MatrixView<float> c);

/// C ← φ(C), for the block that begins at a place; NaN stays NaN.
void activate(const Epilogue& epilogue, const Place& place, MatrixView<float> c);

/// `out` has pairs.size() · m · n numbers; the indices of the pairs are in range. Throws Error(shape_mismatch) for
/// shapes that do not fit.
void matrix_products(const MatrixBatch& a, const MatrixBatch& b, std::span<const MatrixPair> pairs,
                     const Epilogue& epilogue, std::span<float> out);

}  // namespace cgfac
