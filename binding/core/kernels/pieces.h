#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

#include "core/base/buffer.h"
#include "core/base/matrix_view.h"
#include "core/threads/parallel.h"
#include "core/threads/workspace_pool.h"

/// What kernels that cut their work into pieces share.
namespace cgfac {

/// Pieces of a kernel's work: at most so many, where it is worth more than one thread.
inline constexpr std::size_t most_pieces = 16;
/// Flops from which work is cut into pieces.
inline constexpr double worth_pieces = 4e6;

/// Where a piece of a range begins; piece `pieces` begins at its end.
[[nodiscard]] inline std::size_t cut(std::size_t size, std::size_t piece, std::size_t pieces) {
  return size * piece / pieces;
}

/// Scratch memory of the process, which one holder has at a time. It grows and never shrinks.
class Scratch {
 public:
  Scratch() : numbers_(pool().take()) {}
  ~Scratch() { pool().give(std::move(numbers_)); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// Room for so many numbers.
  [[nodiscard]] std::span<float> span(std::size_t size) { return numbers_->span(size); }
  /// Room for a matrix.
  [[nodiscard]] MatrixView<float> matrix(std::size_t rows, std::size_t cols) { return numbers_->matrix(rows, cols); }

 private:
  using Pool = WorkspacePool<Buffer<float>>;
  // never destroyed: a task may run while the process exits
  static Pool& pool() {
    static Pool& shared = *std::make_unique<Pool>().release();
    return shared;
  }
  std::unique_ptr<Buffer<float>> numbers_;
};

/// total ← total + the sums of each part in turn, which lie one after the other and are as long as the total.
inline void add_up(std::span<const float> parts, std::span<float> total) {
  if (parts.empty()) return;
  const Split split = Split::rows(1 + (parts.size() / 64), 64);
  parallel_for(split.blocks(), [&](std::size_t block) {
    const std::size_t begin = cut(total.size(), block, split.blocks());
    const std::size_t end = cut(total.size(), block + 1, split.blocks());
    for (std::span<const float> rest = parts; !rest.empty(); rest = rest.subspan(total.size())) {
      for (std::size_t at = begin; at < end; ++at) total[at] += rest[at];
    }
  });
}

}  // namespace cgfac
