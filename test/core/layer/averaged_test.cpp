// Every method over factors that are averages, against a float64 solution with float64 averages.
#include <doctest/doctest.h>

#include <cmath>

#include "core/layer/layer.h"
#include "support/solutions.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

constexpr double decay = 0.8;

struct AveragedVariant {
  Method method;
  FactorHistory history;
  double bound;  // times the condition (λ + max E)/λ
};

// Averages are rounded to float32, 16·2⁻²⁴ each (factor_test.cpp); to that comes what the golden cases allow a
// solution.
const std::vector<AveragedVariant> averaged_variants{
    {Method::exact, FactorHistory::panel, 36 * unit_roundoff},
    {Method::exact, FactorHistory::dense, 36 * unit_roundoff},
    {Method::automatic, FactorHistory::panel, 36 * unit_roundoff},
    {Method::automatic, FactorHistory::dense, 36 * unit_roundoff},
    {Method::cg, FactorHistory::panel, 0x1p-11},
    {Method::cg, FactorHistory::dense, 0x1p-11},
    {Method::kfac, FactorHistory::dense, 72 * unit_roundoff},
};

std::vector<RandomLayer> averaged_layers() {
  struct Sizes {
    std::size_t m, n, input_rows, output_rows;
  };
  std::vector<RandomLayer> result;
  for (const Sizes& sizes : {Sizes{3, 4, 1, 1}, Sizes{13, 29, 5, 5}, Sizes{31, 11, 7, 3}, Sizes{53, 60, 40, 20}}) {
    for (const bool bias : {false, true}) {
      for (const KernelLayout layout : {KernelLayout::out_in, KernelLayout::in_out}) {
        result.push_back({.shape = {.in_features = sizes.n, .out_features = sizes.m, .bias = bias, .layout = layout},
                          .input_rows = sizes.input_rows,
                          .output_rows = sizes.output_rows});
      }
    }
  }
  return result;
}

void for_each_layer(auto&& check) {
  for (const RandomLayer& layer : averaged_layers()) {
    CAPTURE(layer.name());
    for (const AveragedVariant& variant : averaged_variants) {
      CAPTURE(static_cast<int>(variant.method));
      CAPTURE(static_cast<int>(variant.history));
      check(layer, variant);
    }
  }
}

// Averages of three batches in float64, and λ = 0.3 · their mean eigenvalue.
struct Averaged {
  RandomLayer layer;
  FisherBlock block = layer.block();
  std::vector<StepRows> batches{StepRows(layer, 10), StepRows(layer, 20), StepRows(layer, 30)};
  DenseFactors factors = averages();
  double damping = 0.3 * mean_eigenvalue(factors.a) * mean_eigenvalue(factors.g);
  DenseSolver solver{.block = block, .input = jacobi(factors.a), .output = jacobi(factors.g)};

  [[nodiscard]] DenseFactors averages() const {
    DenseAverage a{.decay = decay};
    DenseAverage g{.decay = decay};
    for (const StepRows& batch : batches) {
      a.add(factor_matrix(batch.batch.block().input));
      g.add(factor_matrix(batch.batch.block().output));
    }
    return {.a = a.mean(), .g = g.mean()};
  }
  // A rank large enough that nothing is cut off, and no side that is dense for being small.
  [[nodiscard]] LayerOptions options(const AveragedVariant& variant) const {
    LayerOptions result{.damping = {.value = damping}, .method = variant.method};
    result.factor = {
        .history = variant.history, .decay = decay, .rank = 1000, .panel_rows = 1000, .dense_dimension = 0};
    result.cg_fac.cg = {.max_iterations = 400, .tolerance = 0};
    return result;
  }
  void check(const AveragedVariant& variant, const LayerSummary& summary, const std::vector<double>& v,
             const std::vector<float>& x) const {
    CHECK(summary.damping == doctest::Approx(damping).epsilon(1e-5));  // rounding cuts off something of a panel
    const double bound = variant.bound * solver.condition(damping);
    const std::vector<double> expected = solver.solve(damping, v);
    CHECK(relative_error(x, expected) <= bound);
    const double scale = norm(v) * norm(expected);
    CHECK(std::abs(summary.products.vx - dot(v, expected)) <= 4 * bound * scale);
    const double xfx = dot(expected, factors.multiply(block, {}, expected));
    CHECK(std::abs(summary.products.xfx - xfx) <= 4 * bound * scale);
  }
};

}  // namespace

TEST_CASE("averaged: steps of every method over averages are those of float64") {
  for_each_layer([](const RandomLayer& layer, const AveragedVariant& variant) {
    const Averaged averaged{.layer = layer};
    Layer network(layer.shape, averaged.options(variant));
    for (const StepRows& batch : averaged.batches) {
      batch.record_sampled(network);
      network.refresh();
      CHECK(network.prepare(std::nullopt, {}).curved);
      network.settle();  // with it the warm start
    }
    const StepRows unseen(layer, 1000);
    unseen.record(network);
    const LayerStep own = network.prepare(std::nullopt, {});
    averaged.check(variant, own.summary, unseen.gradient(), written(network));
    CHECK(own.vx == own.summary.products.vx);
    CHECK(own.bound >= norm(written(network)) * (1 - 1e-6));
    const LayerStep given = network.prepare(averaged.block.view(std::span<const float>(layer.v)), {});
    averaged.check(variant, given.summary, widened(layer.v), written(network));
  });
}

TEST_CASE("averaged: a single layer's batches enter the averages, those that are borrowed as well") {
  for_each_layer([](const RandomLayer& layer, const AveragedVariant& variant) {
    const Averaged averaged{.layer = layer};
    Layer single(layer.shape, averaged.options(variant));
    std::vector<float> x(layer.size());
    const WeightView<float> out = averaged.block.view(std::span(x));
    const auto given = averaged.block.view(std::span<const float>(layer.v));
    LayerSummary summary;
    for (std::size_t i = 0; i < 2; ++i) {
      single.record_batch(averaged.batches[i].batch.batch());
      summary = single.precondition(single.batch(), given, out, nullptr, nullptr);
    }
    // x ← x/2 − 2 of the natural gradient, by which the third batch enters
    std::vector<float> updated = layer.v;
    const StepRows& last = averaged.batches[2];
    summary = single.natural_gradient(last.batch.batch(), last.loss(),
                                      {.out = averaged.block.view(std::span(updated)), .factor = -2, .keep = 0.5},
                                      nullptr, nullptr);
    const double bound = variant.bound * averaged.solver.condition(averaged.damping);
    const auto own = averaged.solver.solve(averaged.damping, last.gradient());
    std::vector<double> expected(own.size());
    for (std::size_t i = 0; i < own.size(); ++i) expected[i] = (0.5 * static_cast<double>(layer.v[i])) - (2 * own[i]);
    CHECK(norm(difference(updated, expected)) <= (bound * 2 * norm(own)) + (unit_roundoff * norm(layer.v)));
    summary = single.precondition(single.batch(), given, out, nullptr, nullptr);  // a batch that it knows
    averaged.check(variant, summary, widened(layer.v), x);
  });
}

TEST_CASE("averaged: factored damping of a single layer, exact and by eigenvectors") {
  for_each_layer([](const RandomLayer& layer, const AveragedVariant& variant) {
    if (variant.method == Method::cg) return;
    const Averaged averaged{.layer = layer};
    LayerOptions options = averaged.options(variant);
    options.damping_mode = DampingMode::factored;
    Layer single(layer.shape, options);
    std::vector<float> x(layer.size());
    const auto check = [&](const LayerSummary& summary, const std::vector<double>& v, double factor) {
      const FactoredDamping gamma = summary.factored.value();
      CHECK(gamma.input * gamma.output == doctest::Approx(averaged.damping).epsilon(1e-5));
      CHECK(gamma.input / gamma.output ==
            doctest::Approx(mean_eigenvalue(averaged.factors.a) / mean_eigenvalue(averaged.factors.g)).epsilon(1e-5));
      std::vector<double> wide_x = widened(x);
      for (double& element : wide_x) element /= factor;
      CHECK(relative_error(averaged.factors.multiply(averaged.block, gamma, wide_x), v) <= 2e-4);
      CHECK(summary.products.vx == doctest::Approx(dot(v, wide_x)).epsilon(1e-3));
    };
    for (const StepRows& batch : averaged.batches) {
      single.record_batch(batch.batch.batch());
      const LayerSummary summary =
          single.precondition(single.batch(), averaged.block.view(std::span<const float>(layer.v)),
                              averaged.block.view(std::span(x)), nullptr, nullptr);
      if (&batch == &averaged.batches[2]) check(summary, widened(layer.v), 1);
    }
    // the borrowed batch enters as well: one more average of the last
    Layer borrowed(layer.shape, options);
    LayerSummary summary;
    for (const StepRows& batch : averaged.batches) {
      summary = borrowed.natural_gradient(batch.batch.batch(), batch.loss(),
                                          {.out = averaged.block.view(std::span(x)), .factor = -3, .keep = 0}, nullptr,
                                          nullptr);
    }
    check(summary, averaged.batches[2].gradient(), -3);
  });
}

TEST_CASE("averaged: a step tells traces, largest eigenvalues and effective ranks as far as its method knows them") {
  const RandomLayer layer{
      .shape = {.in_features = 29, .out_features = 13, .bias = true}, .input_rows = 5, .output_rows = 5};
  const Averaged averaged{.layer = layer};
  const auto rank = [](const Spectra& spectra, double gamma) {
    double sum = 0;
    for (const double value : spectra.values) sum += std::max(value, 0.0) / (std::max(value, 0.0) + gamma);
    return sum;
  };
  double rank_of_f = 0;  // Σ E/(E + λ)
  for (const double value : averaged.solver.output.values) {
    if (value > 0) rank_of_f += rank(averaged.solver.input, averaged.damping / value);
  }
  for (const AveragedVariant& variant : averaged_variants) {
    CAPTURE(static_cast<int>(variant.method));
    CAPTURE(static_cast<int>(variant.history));
    for (const DampingMode mode : {DampingMode::tikhonov, DampingMode::factored}) {
      if (mode == DampingMode::factored && variant.method == Method::cg) continue;
      LayerOptions options = averaged.options(variant);
      options.damping_mode = mode;
      Layer network(layer.shape, options);
      for (const StepRows& batch : averaged.batches) {
        batch.record_sampled(network);
        network.refresh();
      }
      const LayerStep step = network.prepare(std::nullopt, {});
      CHECK(step.traces.input == doctest::Approx(trace_of(averaged.factors.a)).epsilon(1e-6));
      CHECK(step.traces.output == doctest::Approx(trace_of(averaged.factors.g)).epsilon(1e-6));
      for (const auto& [largest, expected] : {std::pair(step.largest.input, averaged.solver.input.largest()),
                                              std::pair(step.largest.output, averaged.solver.output.largest())}) {
        CHECK(largest <= expected * (1 + 1e-5));  // from below, by a few steps of the power method
        CHECK(largest >= 0.5 * expected);
      }
      if (mode == DampingMode::factored) {
        const FactoredDamping gamma = step.summary.factored.value();
        CHECK(step.effective_ranks.input == doctest::Approx(rank(averaged.solver.input, gamma.input)).epsilon(1e-4));
        CHECK(step.effective_ranks.output == doctest::Approx(rank(averaged.solver.output, gamma.output)).epsilon(1e-4));
        CHECK(std::isnan(step.effective_rank));
      } else {
        CHECK(std::isnan(step.effective_ranks.input));
        if (step.summary.method == Method::cg) {
          CHECK(std::isnan(step.effective_rank));
        } else {
          CHECK(step.effective_rank == doctest::Approx(rank_of_f).epsilon(1e-4));
        }
      }
    }
  }
}

namespace {

// PᵀP of a panel, as a state has it.
DenseMatrix panel_factor(const FactorState& state) {
  const std::size_t d = state.dimension;
  const DenseMatrix rows{.rows = state.rows.size() / d, .cols = d, .numbers = widened(state.rows)};
  return rows.transposed() * rows;
}

}  // namespace

TEST_CASE("averaged: a panel that cuts off is solved for as it is, with the mean of what it lost in the damping") {
  for_each_layer([](const RandomLayer& layer, const AveragedVariant& variant) {
    if (variant.history != FactorHistory::panel) return;
    const Averaged averaged{.layer = layer};
    const FisherBlock& block = averaged.block;
    for (const DampingMode mode : {DampingMode::tikhonov, DampingMode::factored}) {
      if (mode == DampingMode::factored && variant.method == Method::cg) continue;
      LayerOptions options = averaged.options(variant);
      options.damping_mode = mode;
      options.factor.rank = 4;
      options.factor.panel_rows = 3;
      Layer network(layer.shape, options);
      for (const StepRows& batch : averaged.batches) {
        batch.record_sampled(network);
        network.refresh();
      }
      const LayerState state = network.state();
      const DenseFactors kept{.a = panel_factor(state.input), .g = panel_factor(state.output)};
      const double m = static_cast<double>(kept.g.rows);
      const double n = static_cast<double>(kept.a.rows);
      const LayerStep step = network.prepare(block.view(std::span<const float>(layer.v)), {});
      const std::vector<double> x = widened(written(network));
      CHECK(state.input.trace == doctest::Approx(trace_of(averaged.factors.a)).epsilon(1e-6));
      if (mode == DampingMode::tikhonov) {
        const double lost = (state.input.trace * state.output.trace) - (trace_of(kept.a) * trace_of(kept.g));
        const double lambda = averaged.damping + (lost / (m * n));
        CHECK(step.summary.damping == doctest::Approx(lambda).epsilon(1e-5));
        const DenseSolver solver{.block = block, .input = jacobi(kept.a), .output = jacobi(kept.g)};
        CHECK(relative_error(x, solver.solve(lambda, widened(layer.v))) <= variant.bound * solver.condition(lambda));
      } else {
        const double ratio = std::sqrt(state.input.trace / n / (state.output.trace / m));  // π of the whole traces
        const FactoredDamping gamma = step.summary.factored.value();
        CHECK(gamma.input ==
              doctest::Approx((ratio * std::sqrt(averaged.damping)) + ((state.input.trace - trace_of(kept.a)) / n))
                  .epsilon(1e-5));
        CHECK(gamma.output ==
              doctest::Approx((std::sqrt(averaged.damping) / ratio) + ((state.output.trace - trace_of(kept.g)) / m))
                  .epsilon(1e-5));
        CHECK(relative_error(kept.multiply(block, gamma, x), layer.v) <= 2e-4);
      }
    }
  });
}
