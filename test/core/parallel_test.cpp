#include "core/parallel.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <numeric>

#include "layers.h"

using namespace cgfac;
using namespace cgfac::test;

TEST_CASE("parallel: the pool runs every task, and its end waits for them") {
  std::atomic<int> done = 0;
  {
    ThreadPool pool(3);
    CHECK(pool.size() == 3);
    for (int i = 0; i < 100; ++i) pool.submit([&done] { ++done; });
  }
  CHECK(done == 100);
}

TEST_CASE("parallel: tasks of a strand keep their order and never overlap") {
  std::vector<int> order;  // unguarded on purpose: ThreadSanitizer sees any overlap
  std::promise<void> end;
  ThreadPool pool(4);
  const auto strand = std::make_shared<Strand>(pool);
  for (int i = 0; i < 200; ++i) strand->submit([&order, i] { order.push_back(i); });
  strand->submit([&end] { end.set_value(); });
  end.get_future().wait();
  std::vector<int> expected(200);
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(order == expected);
}

TEST_CASE("parallel: two strands do not wait for each other") {
  ThreadPool pool(2);
  const auto first = std::make_shared<Strand>(pool);
  const auto second = std::make_shared<Strand>(pool);
  std::promise<void> from_second;
  std::promise<void> end;
  first->submit([&] {
    from_second.get_future().wait();  // would never come if `second` queued behind `first`
    end.set_value();
  });
  second->submit([&] { from_second.set_value(); });
  end.get_future().wait();
  CHECK(true);
}

TEST_CASE("parallel: a workspace is handed out to one task at a time and comes back") {
  WorkspacePool<int> pool;
  auto first = pool.take();
  auto second = pool.take();
  CHECK(first.get() != second.get());
  const int* const address = first.get();
  pool.give(std::move(first));
  CHECK(pool.take().get() == address);
}

TEST_CASE("parallel: CGFAC_NUM_THREADS sets the number of pool threads") {
  const auto with = [](const char* value) {
    setenv("CGFAC_NUM_THREADS", value, 1);
    const std::size_t threads = ThreadPool::default_threads();
    unsetenv("CGFAC_NUM_THREADS");
    return threads;
  };
  CHECK(with("3") == 3);
  const std::size_t cores = ThreadPool::default_threads();
  CHECK(cores >= 1);
  CHECK(with("0") == cores);
  CHECK(with("two") == cores);
}

TEST_CASE("parallel: concurrent solves give the bits of solves one after another") {
  const auto layers = awkward_layers();
  const CgFacOptions options{.cg = {.max_iterations = 6, .tolerance = 0}};
  std::vector<std::vector<float>> expected(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) (void)solve(layers[i], 0.1, options, expected[i]);
  std::vector<std::vector<float>> results(layers.size() * 4);
  {
    ThreadPool pool(4);
    for (std::size_t i = 0; i < results.size(); ++i) {
      pool.submit([&, i] { (void)solve(layers[i % layers.size()], 0.1, options, results[i]); });
    }
  }
  for (std::size_t i = 0; i < results.size(); ++i) CHECK(results[i] == expected[i % layers.size()]);
}
