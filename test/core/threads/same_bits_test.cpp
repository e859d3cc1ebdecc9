#include <doctest/doctest.h>

#include <vector>

#include "core/layer/layer.h"
#include "core/threads/thread_pool.h"
#include "support/layers.h"

using namespace cgfac;
using namespace cgfac::test;

TEST_CASE("same_bits: concurrent solves give the bits of solves one after another") {
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

TEST_CASE("same_bits: every method gives the same bits with one, two and three threads") {
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
      if (method == Method::kfac) options.factor.history = FactorHistory::dense;
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
        Layer preconditioner(layer.shape, options);
        preconditioner.record_batch(layer.batch());
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
