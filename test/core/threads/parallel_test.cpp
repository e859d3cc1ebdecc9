#include "core/threads/parallel.h"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>
#include <vector>

using namespace cgfac;

TEST_CASE("parallel: the pool of the process runs every index once, also a single one") {
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{50}}) {
    std::vector<std::atomic<int>> runs(count);
    parallel_for(count, [&](std::size_t i) { ++runs[i]; });
    for (const auto& run : runs) CHECK(run == 1);
  }
}

TEST_CASE("parallel: what is not worth waking a thread stays on the calling one, in order") {
  const auto caller = std::this_thread::get_id();
  std::vector<std::size_t> order;
  parallel_for(20, 1e3, [&](std::size_t i) {
    CHECK(std::this_thread::get_id() == caller);
    order.push_back(i);
  });
  REQUIRE(order.size() == 20);
  for (std::size_t i = 0; i < order.size(); ++i) CHECK(order[i] == i);
}

TEST_CASE("parallel: a split covers its range once, by blocks that the range and the work alone decide") {
  struct Cut {
    std::size_t size;
    double flops;
    std::size_t blocks;
  };
  for (const Cut& cut : {Cut{1, 1e9, 1}, Cut{127, 1e9, 1}, Cut{128, 1e9, 2}, Cut{511, 1e9, 2}, Cut{512, 1e9, 4},
                         Cut{4096, 1e9, 16}, Cut{100'000, 1e12, Split::most_columns}, Cut{4096, 1e6, 1}}) {
    CAPTURE(cut.size);
    const Split split = Split::columns(cut.size, cut.flops);
    CHECK(split.blocks() == cut.blocks);
    std::size_t next = 0;
    for (std::size_t block = 0; block < split.blocks(); ++block) {
      CHECK(split.first(block) == next);
      CHECK(split.count(block) > 0);
      next += split.count(block);
    }
    CHECK(next == cut.size);
  }
  CHECK(Split::rows(64, 64).blocks() == 1);
  CHECK(Split::rows(64, 128).blocks() == 2);
  CHECK(Split::rows(4096, 4096).blocks() == Split::most_row_blocks);
}

TEST_CASE("parallel: a product of i × j and j × k has two flops for each of its multiplications") {
  CHECK(product_flops(3, 5, 7) == 210);
}
