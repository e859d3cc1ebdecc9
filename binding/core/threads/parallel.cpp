#include "core/threads/parallel.h"

#include <algorithm>

namespace cgfac {

void parallel_for(std::size_t count, const IndexedBody& body) {
  if (count == 1) {
    body(0);
    return;
  }
  ThreadPool::shared().parallel_for(count, body);
}

void parallel_for(std::size_t count, double flops, const IndexedBody& body) {
  constexpr double worth_waking = 5e5;
  if (flops < worth_waking) {
    for (std::size_t index = 0; index < count; ++index) body(index);
    return;
  }
  parallel_for(count, body);
}

Split Split::columns(std::size_t size, double flops) {
  constexpr double worth_two_threads = 4e6;
  if (flops < worth_two_threads || size < 128) return {size, 1};
  if (size < 512) return {size, 2};
  // multiples of four, so that neither two nor four threads wait for one
  return {size, std::clamp<std::size_t>((size + 512) / 1024 * 4, 4, most_columns)};
}

Split Split::rows(std::size_t rows, std::size_t cols) {
  return {rows, std::clamp<std::size_t>(std::min(rows * cols / 4096, rows / 16), 1, most_row_blocks)};
}

}  // namespace cgfac
