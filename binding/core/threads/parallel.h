#pragma once

#include <cstddef>

#include "core/threads/thread_pool.h"

/// Work cut into pieces, run by the pool of the process.
namespace cgfac {

/// ThreadPool::shared().parallel_for; a single index runs without touching the pool.
void parallel_for(std::size_t count, const IndexedBody& body);

/// ThreadPool::shared().parallel_for for pieces of about `flops` in all: where that is less than waking a thread costs,
/// the calling thread runs them alone.
void parallel_for(std::size_t count, double flops, const IndexedBody& body);

/// Flops of a product of i × j and j × k.
[[nodiscard]] inline double product_flops(std::size_t i, std::size_t j, std::size_t k) {
  return 2 * static_cast<double>(i) * static_cast<double>(j) * static_cast<double>(k);
}

/// How a range is cut for `parallel_for`: by its size and its work alone, never by the number of threads, so that
/// results have the same bits whatever runs them.
class Split {
 public:
  /// Blocks of about 256, a multiple of four of them and at most `most_columns`; two for a range of 128 to 511; one
  /// where the work, in flops, is not worth two threads.
  static Split columns(std::size_t size, double flops);
  /// Blocks of rows of an element-wise pass over rows × cols numbers: one below 8192 numbers, at most
  /// `most_row_blocks`.
  static Split rows(std::size_t rows, std::size_t cols);

  static constexpr std::size_t most_columns = 16;
  static constexpr std::size_t most_row_blocks = 8;

  [[nodiscard]] std::size_t blocks() const { return blocks_; }
  [[nodiscard]] std::size_t first(std::size_t block) const { return size_ * block / blocks_; }
  [[nodiscard]] std::size_t count(std::size_t block) const { return first(block + 1) - first(block); }

 private:
  Split(std::size_t size, std::size_t blocks) : size_(size), blocks_(blocks) {}
  std::size_t size_;
  std::size_t blocks_;
};

}  // namespace cgfac
