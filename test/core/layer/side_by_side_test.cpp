#include "core/layer/side_by_side.h"

#include <doctest/doctest.h>

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <string>

#include "core/threads/thread_pool.h"

using namespace cgfac;

TEST_CASE("side by side: layers with the most work begin first, those of the same work in their order") {
  const std::size_t threads = ThreadPool::shared().size();
  ThreadPool::shared().resize(1);
  const std::vector<double> costs{2, 5, 1, 5, 3};
  std::mutex mutex;
  std::vector<std::size_t> order;
  side_by_side(costs, [&](std::size_t i) {
    const std::lock_guard lock(mutex);
    order.push_back(i);
  });
  ThreadPool::shared().resize(threads);
  CHECK(order == std::vector<std::size_t>{1, 3, 4, 0, 2});
}

TEST_CASE("side by side: every layer ends before the first error of the list is thrown") {
  const std::vector<double> costs{1, 2, 3, 4, 5, 6};
  std::atomic<int> ended = 0;
  const auto body = [&](std::size_t i) {
    ++ended;
    if (i == 2 || i == 4) throw std::runtime_error("layer " + std::to_string(i));
  };
  CHECK_THROWS_WITH_AS(side_by_side(costs, body), "layer 2", std::runtime_error);
  CHECK(ended == 6);
  side_by_side({}, body);  // of no layers
  CHECK(ended == 6);
}
