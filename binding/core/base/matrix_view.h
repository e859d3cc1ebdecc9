#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

namespace cgfac {

/// A matrix that somebody else owns: element (i, j) is data[i·row_stride + j·col_stride], and one of the two strides
/// is 1.
///
/// A row-major array has col_stride 1; its transpose is the same array with the strides exchanged, so a kernel stored
/// inFeatures × outFeatures is seen as outFeatures × inFeatures without a copy.
template <typename T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0;
  std::size_t cols = 0;
  std::size_t row_stride = 0;
  std::size_t col_stride = 1;

  MatrixView() = default;
  /// A row-major rows × cols matrix without gaps.
  MatrixView(T* elements, std::size_t row_count, std::size_t col_count)
      : MatrixView(elements, row_count, col_count, col_count, 1) {}
  MatrixView(T* elements, std::size_t row_count, std::size_t col_count, std::size_t row_step, std::size_t col_step)
      : data(elements), rows(row_count), cols(col_count), row_stride(row_step), col_stride(col_step) {}
  /// A view to write through is a view to read through.
  template <typename U>
    requires(std::is_const_v<T> && std::same_as<U, std::remove_const_t<T>>)
  MatrixView(const MatrixView<U>& other)  // NOLINT(google-explicit-constructor)
      : MatrixView(other.data, other.rows, other.cols, other.row_stride, other.col_stride) {}

  [[nodiscard]] T& operator()(std::size_t i, std::size_t j) const { return data[(i * row_stride) + (j * col_stride)]; }
  [[nodiscard]] std::size_t size() const { return rows * cols; }
  [[nodiscard]] bool row_major() const { return col_stride == 1; }
  [[nodiscard]] MatrixView transposed() const { return {data, cols, rows, col_stride, row_stride}; }
  /// Columns first, …, first + count − 1.
  [[nodiscard]] MatrixView columns(std::size_t first, std::size_t count) const {
    return {data + (first * col_stride), rows, count, row_stride, col_stride};
  }
  /// Rows first, …, first + count − 1.
  [[nodiscard]] MatrixView rows_from(std::size_t first, std::size_t count) const {
    return {data + (first * row_stride), count, cols, row_stride, col_stride};
  }
  /// The elements in storage order; only for a matrix without gaps.
  [[nodiscard]] std::span<T> elements() const { return {data, size()}; }
};

/// A vector of weight space: a kernel (outFeatures × inFeatures, in either layout, without gaps) and, for a layer with
/// a bias, its outFeatures bias entries, which are the last column of the m × n gradient v of the mathematics.
template <typename T>
struct WeightView {
  MatrixView<T> kernel;
  std::span<T> bias;

  WeightView() = default;
  WeightView(MatrixView<T> kernel_view, std::span<T> bias_view) : kernel(kernel_view), bias(bias_view) {}
  template <typename U>
    requires(std::is_const_v<T> && std::same_as<U, std::remove_const_t<T>>)
  WeightView(const WeightView<U>& other)  // NOLINT(google-explicit-constructor)
      : kernel(other.kernel), bias(other.bias) {}
};

}  // namespace cgfac
