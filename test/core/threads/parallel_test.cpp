#include "core/threads/parallel.h"

#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <future>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "support/layers.h"

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

TEST_CASE("parallel: parallel_for runs every index once, also nested and from tasks") {
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

TEST_CASE("parallel: an exception of a piece comes out of parallel_for, after the other pieces ended") {
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

TEST_CASE("parallel: the number of threads can grow and shrink while tasks run") {
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

TEST_CASE("parallel: every method gives the same bits with one, two and three threads") {
  // shapes on both sides of every split: several blocks of columns, of rows, and N × N passes in blocks
  struct Sizes {
    std::size_t m, n, rows, output_rows;
  };
  for (const Sizes& sizes : {Sizes{150, 520, 130, 130}, Sizes{520, 150, 140, 100}, Sizes{130, 140, 300, 300}}) {
    const RandomLayer layer{.shape = {.in_features = sizes.n, .out_features = sizes.m, .bias = true},
                            .input_rows = sizes.rows,
                            .output_rows = sizes.output_rows};
    CAPTURE(layer.name());
    const FisherBlock block = layer.block();
    const auto loss_grads = random_numbers<float>(sizes.rows * sizes.m, 8);
    std::vector<LayerOptions> variants;
    for (const Method method : {Method::cg, Method::exact, Method::kfac}) {
      LayerOptions options{.damping = {.value = 0.1, .relative = true}};
      options.method = method;
      variants.push_back(options);
      options.damping_mode = DampingMode::factored;
      if (method != Method::cg) variants.push_back(options);
    }
    variants[0].cg_fac.cg = {.max_iterations = 8, .tolerance = 0};
    LayerOptions weight = variants[0];
    weight.cg_fac.space = Space::weight;
    variants.push_back(weight);
    for (const LayerOptions& options : variants) {
      const auto solve_with = [&](std::size_t threads) {
        ThreadPool::shared().resize(threads);
        LayerPreconditioner preconditioner(layer.shape, options);
        preconditioner.record(layer.batch());
        std::vector<float> x(2 * layer.size());
        const std::span<float> both(x);
        (void)preconditioner.precondition(preconditioner.batch(), block.view(std::span<const float>(layer.v)),
                                          block.view(both.first(layer.size())), nullptr, nullptr);
        (void)preconditioner.natural_gradient(layer.batch(), {loss_grads.data(), sizes.rows, sizes.m},
                                              {.out = block.view(both.subspan(layer.size()))}, nullptr, nullptr);
        return x;
      };
      const auto one = solve_with(1);
      const auto two = solve_with(2);
      const auto three = solve_with(3);
      ThreadPool::shared().resize(ThreadPool::default_threads());
      CHECK(one == two);
      CHECK(one == three);
    }
  }
}
