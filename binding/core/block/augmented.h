#pragma once

#include <cstddef>

#include "core/base/matrix_view.h"
#include "core/block/side.h"

/// Products with [R l], a side's rows with their last coordinates l, which may be ones that are stored nowhere: what
/// the passes over weights are made of. On the calling thread.
namespace cgfac {

/// A matrix whose last column may lie elsewhere: a vector of weight space, or a half product that holds both.
template <typename T>
struct Augmented {
  MatrixView<T> body;
  MatrixView<T> last;  // rows × 1, or empty without a bias

  [[nodiscard]] bool has_last() const { return last.data != nullptr; }
  /// Columns of the body, without the last one.
  [[nodiscard]] Augmented columns(std::size_t first, std::size_t count) const {
    return {body.columns(first, count), MatrixView<T>()};
  }
  /// Rows of the body and of the last column.
  [[nodiscard]] Augmented rows(std::size_t first, std::size_t count) const {
    return {body.rows_from(first, count), has_last() ? last.rows_from(first, count) : MatrixView<T>()};
  }
};

/// The m × n matrix that a vector of weight space stands for.
template <typename T>
[[nodiscard]] Augmented<T> augmented(const WeightView<T>& v) {
  return {v.kernel, v.bias.empty() ? MatrixView<T>() : MatrixView<T>(v.bias.data(), v.bias.size(), 1)};
}
/// A matrix of the input side's dimension, cut before the homogeneous coordinate.
template <typename T>
[[nodiscard]] Augmented<T> augmented(const MatrixView<T>& matrix, const Side& input) {
  const std::size_t in_features = input.features();
  return {matrix.columns(0, in_features), input.homogeneous ? matrix.columns(in_features, 1) : MatrixView<T>()};
}

/// out ← β out + α X Y
void multiply_left(float alpha, MatrixView<const float> x, const Augmented<const float>& y, float beta,
                   const Augmented<float>& out);
/// out ← out + α x lᵀ
void add_last(float alpha, const MatrixView<const float>& x, const Side& input, const MatrixView<float>& out);
/// out ← α X [R l]ᵀ = α (X_body Rᵀ + X_last lᵀ)
void multiply_rows_transposed(float alpha, const Augmented<const float>& x, const Side& input, MatrixView<float> out);
/// out ← β out + α X l
void multiply_last(float alpha, const MatrixView<const float>& x, const Side& input, float beta,
                   const MatrixView<float>& out);
/// out ← β out + α X [R l]
void multiply_rows(float alpha, MatrixView<const float> x, const Side& input, float beta, const Augmented<float>& out);
/// out ← β out + σ v, along the storage of out
void combine(float sigma, MatrixView<const float> v, float beta, MatrixView<float> out);

}  // namespace cgfac
