#pragma once

#include <cstddef>
#include <span>

#include "core/base/error.h"
#include "core/base/matrix_view.h"

namespace cgfac {

/// Scratch memory cut into matrices, one after another. A second Carver over `rest()` gives memory that is free again
/// when its matrices are no longer read.
class Carver {
 public:
  explicit Carver(std::span<double> memory) : rest_(memory) {}
  /// A row-major matrix in float64. Each of these throws Error(shape_mismatch) where less is left.
  [[nodiscard]] MatrixView<double> doubles(std::size_t rows, std::size_t cols) {
    return {numbers(rows * cols).data(), rows, cols};
  }
  /// A row-major matrix in float32, in a whole number of float64's places.
  [[nodiscard]] MatrixView<float> floats(std::size_t rows, std::size_t cols) {
    const std::size_t count = ((rows * cols) + 1) / 2;
    return {reinterpret_cast<float*>(numbers(count).data()), rows, cols};  // NOLINT(*-reinterpret-cast): scratch
  }
  /// So many numbers in float64.
  [[nodiscard]] std::span<double> numbers(std::size_t count) {
    if (count > rest_.size())
      throw Error(ErrorCode::shape_mismatch, "Expected room in a workspace but received too little");
    const std::span<double> result = rest_.first(count);
    rest_ = rest_.subspan(count);
    return result;
  }
  /// What has not been cut yet.
  [[nodiscard]] std::span<double> rest() const { return rest_; }

 private:
  std::span<double> rest_;
};

/// Scratch of float64 numbers as float32 ones.
[[nodiscard]] inline std::span<float> as_floats(std::span<double> numbers) {
  return {reinterpret_cast<float*>(numbers.data()), 2 * numbers.size()};  // NOLINT(*-reinterpret-cast): scratch
}

}  // namespace cgfac
