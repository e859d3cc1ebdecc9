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
      memory_.reset();
      capacity_ = 0;
      memory_.reset(static_cast<std::byte*>(::operator new((size * sizeof(T)) + alignment)));
      capacity_ = size;
    }
    return {data(), size};
  }
  /// What an earlier call asked for, or the first part of it.
  [[nodiscard]] std::span<T> held(std::size_t size) const { return {data(), size}; }
  [[nodiscard]] MatrixView<T> held_matrix(std::size_t rows, std::size_t cols) const { return {data(), rows, cols}; }
  /// Room for a matrix.
  [[nodiscard]] MatrixView<T> matrix(std::size_t rows, std::size_t cols) {
    return {span(rows * cols).data(), rows, cols};
  }
  [[nodiscard]] std::size_t bytes() const { return capacity_ * sizeof(T); }

 private:
  static constexpr std::size_t alignment = 64;  // a cache line, and an AVX-512 register
  struct Free {
    void operator()(std::byte* memory) const { ::operator delete(memory); }
  };
  // Aligned here, not by the allocator: glibc looks for more than it takes then, so that no hole of the same size, as a
  // layer leaves that is dropped, ever serves, and memory grows to several times of what is held.
  [[nodiscard]] T* data() const {
    void* first = memory_.get();
    std::size_t space = (capacity_ * sizeof(T)) + alignment;
    return first == nullptr ? nullptr : static_cast<T*>(std::align(alignment, capacity_ * sizeof(T), first, space));
  }
  std::unique_ptr<std::byte, Free> memory_;
  std::size_t capacity_ = 0;
};

}  // namespace cgfac
