#include "core/threads/thread_pool.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace cgfac;

TEST_CASE("thread_pool: the pool runs every task, and its end waits for them") {
  std::atomic<int> done = 0;
  {
    ThreadPool pool(3);
    CHECK(pool.size() == 3);
    for (int i = 0; i < 100; ++i) pool.submit([&done] { ++done; });
  }
  CHECK(done == 100);
}

TEST_CASE("thread_pool: parallel_for runs every index once, also nested and from tasks") {
  ThreadPool pool(3);
  for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{50}}) {
    std::vector<std::atomic<int>> runs(count);
    pool.parallel_for(count, [&](std::size_t i) { ++runs[i]; });
    for (const auto& run : runs) CHECK(run == 1);
  }
  std::atomic<int> inner = 0;
  std::promise<void> end;
  pool.submit([&] {
    pool.parallel_for(8, [&](std::size_t) { pool.parallel_for(8, [&](std::size_t) { ++inner; }); });
    end.set_value();
  });
  end.get_future().wait();
  CHECK(inner == 64);
}

TEST_CASE("thread_pool: an exception of a piece comes out of parallel_for, after the other pieces ended") {
  ThreadPool pool(2);
  std::atomic<int> ended = 0;
  CHECK_THROWS_WITH_AS(pool.parallel_for(20,
                                         [&](std::size_t i) {
                                           if (i == 3) throw std::runtime_error("piece 3");
                                           ++ended;
                                         }),
                       "piece 3", std::runtime_error);
  CHECK(ended == 19);
}

TEST_CASE("thread_pool: the number of threads can grow and shrink while tasks run") {
  ThreadPool pool(2);
  std::atomic<int> done = 0;
  std::promise<void> end;
  for (int i = 0; i < 200; ++i) {
    if (i % 10 == 0) pool.resize(1 + static_cast<std::size_t>(i / 10) % 5);
    pool.submit([&] {
      pool.parallel_for(4, [](std::size_t) {});
      if (++done == 200) end.set_value();
    });
  }
  end.get_future().wait();
  pool.resize(1);
  CHECK(pool.size() == 1);
  const auto caller = std::this_thread::get_id();
  pool.parallel_for(10, [&](std::size_t) { CHECK(std::this_thread::get_id() == caller); });
}
