#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <span>

#include "core/base/matrix_view.h"

namespace cgfac {

/// Scratch memory that grows and never shrinks: asking twice for the same size allocates once. Contents are not kept
/// when it grows, and are not initialised.
template <typename T>
class Buffer {
 public:
  /// Room for so many numbers.
  [[nodiscard]] std::span<T> span(std::size_t size) {
    if (size > capacity_) {
      data_.reset();
      capacity_ = 0;
      data_.reset(static_cast<T*>(::operator new(size * sizeof(T), alignment)));
      capacity_ = size;
    }
    return {data_.get(), size};
  }
  /// What an earlier call asked for, or the first part of it.
  [[nodiscard]] std::span<T> held(std::size_t size) const { return {data_.get(), size}; }
  [[nodiscard]] MatrixView<T> held_matrix(std::size_t rows, std::size_t cols) const {
    return {data_.get(), rows, cols};
  }
  /// Room for a matrix.
  [[nodiscard]] MatrixView<T> matrix(std::size_t rows, std::size_t cols) {
    return {span(rows * cols).data(), rows, cols};
  }
  [[nodiscard]] std::size_t bytes() const { return capacity_ * sizeof(T); }

 private:
  static constexpr std::align_val_t alignment{64};  // a cache line, and an AVX-512 register
  struct Free {
    void operator()(T* data) const { ::operator delete(data, alignment); }
  };
  std::unique_ptr<T, Free> data_;
  std::size_t capacity_ = 0;
};

}  // namespace cgfac
