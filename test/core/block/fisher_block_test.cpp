#include "core/block/fisher_block.h"

#include <doctest/doctest.h>

#include <limits>

#include "core/base/error.h"
#include "core/solver/cg_fac.h"
#include "support/layers.h"

using namespace cgfac;
using namespace cgfac::test;

TEST_CASE("fisher block: apply equals the dense operator on awkward shapes") {
  for (const RandomLayer& layer : awkward_layers()) {
    CAPTURE(layer.name());
    const FisherBlock block = layer.block();
    std::vector<float> out(layer.size());
    FisherOperator::Workspace workspace;
    apply_fisher(block, {.value = 0.3}, block.view(std::span<const float>(layer.v)), block.view(std::span<float>(out)),
                 workspace);
    const auto expected = dense_apply(block, 0.3, std::span<const float>(layer.v));
    CHECK(relative_error(out, expected) <= 2e-6);  // a few 2⁻²⁴, as in golden_test.cpp

    auto in_place = layer.v;
    apply_fisher(block, {.value = 0.3}, block.view(std::span<const float>(in_place)),
                 block.view(std::span<float>(in_place)), workspace);
    CHECK(relative_error(in_place, expected) <= 2e-6);
  }
}

TEST_CASE("fisher block: expand is the adjoint of project in every form") {
  using enum FactorForm;
  for (const RandomLayer& layer : awkward_layers()) {
    CAPTURE(layer.name());
    const FisherBlock block = layer.block();
    const BlockTraces sums = traces(block);
    for (const BlockForms& forms : {BlockForms{panel, panel}, BlockForms{panel, covariance},
                                    BlockForms{covariance, panel}, BlockForms{covariance, covariance}}) {
      const std::size_t q = projected_size(block.output, forms.output);
      const std::size_t p = projected_size(block.input, forms.input);
      std::vector<float> u(q * p);
      std::vector<float> scratch(pass_scratch(block, forms, 0));
      project(block, forms, block.view(std::span<const float>(layer.v)), {u.data(), q, p}, scratch);
      const auto c = random_numbers<float>(q * p, 7);
      std::vector<float> expanded(layer.size());
      expand(block, forms, sums, 0, {}, {c.data(), q, p}, norm(c), {.out = block.view(std::span<float>(expanded))},
             scratch);
      // ⟨C, P_gᵀ v P_a⟩ = ⟨P_g C P_aᵀ, v⟩ up to the rounding of the products, relative to their factors
      const double scale = norm(c) * norm(layer.v) * std::sqrt((1 + sums.input) * (1 + sums.output));
      CHECK(std::abs(test::dot(c, u) - test::dot(expanded, layer.v)) <= 1e-6 * scale);

      // keep·out + factor·(s·v + P_g C P_aᵀ), also where out is v
      auto kept = random_numbers<float>(layer.size(), 8);
      std::vector<double> expected(layer.size());
      for (std::size_t i = 0; i < expected.size(); ++i) {
        expected[i] = (0.5 * static_cast<double>(kept[i])) -
                      (3 * ((2 * static_cast<double>(layer.v[i])) + static_cast<double>(expanded[i])));
      }
      const Gradient given{.v = block.view(std::span<const float>(layer.v))};
      expand(block, forms, sums, 2, given, {c.data(), q, p}, norm(c),
             {.out = block.view(std::span<float>(kept)), .factor = -3, .keep = 0.5}, scratch);
      CHECK(relative_error(kept, expected) <= 1e-6);
      auto in_place = layer.v;
      for (std::size_t i = 0; i < expected.size(); ++i)
        expected[i] = (2 * static_cast<double>(layer.v[i])) + static_cast<double>(expanded[i]);
      expand(block, forms, sums, 2, {.v = block.view(std::span<const float>(in_place))}, {c.data(), q, p}, norm(c),
             {.out = block.view(std::span<float>(in_place))}, scratch);
      CHECK(relative_error(in_place, expected) <= 1e-6);
    }
  }
}

TEST_CASE("fisher block: the reduction 'mean' multiplies the output gradients by B") {
  const RandomLayer layer{.shape = {.in_features = 4, .out_features = 3}, .input_rows = 8, .output_rows = 8};
  auto divided = layer.output_grads;
  for (float& g : divided) g /= 8.0F;  // exact: a power of two
  LayerShape mean_shape = layer.shape;
  mean_shape.loss_reduction = LossReduction::mean;
  Batch batch = layer.batch();
  batch.output_grads.data = divided.data();
  const FisherBlock mean = fisher_block(mean_shape, batch);
  CHECK(traces(mean).output == doctest::Approx(traces(layer.block()).output).epsilon(1e-12));
}

TEST_CASE("fisher block: relative damping is a multiple of the mean eigenvalue") {
  const RandomLayer layer{
      .shape = {.in_features = 4, .out_features = 3, .bias = true}, .input_rows = 5, .output_rows = 5};
  const FisherBlock block = layer.block();
  // tr F = Σ over unit vectors e of e′Fe
  double trace_f = 0;
  for (std::size_t i = 0; i < layer.size(); ++i) {
    std::vector<float> unit(layer.size());
    unit[i] = 1;
    trace_f += dense_apply(block, 0, std::span<const float>(unit))[i];
  }
  const double mean_eigenvalue = trace_f / static_cast<double>(layer.size());
  CHECK(absolute_damping(block, traces(block), {.value = 0.5, .relative = true}) ==
        doctest::Approx(0.5 * mean_eigenvalue).epsilon(1e-6));
}

namespace {

std::string message_of(auto&& call) {
  try {
    call();
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::not_finite);
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("fisher block: NaN and infinity are named, and nothing is written") {
  for (const FactorForm form : {FactorForm::panel, FactorForm::covariance}) {
    const std::size_t rows = form == FactorForm::panel ? 3 : 40;
    RandomLayer layer{
        .shape = {.in_features = 6, .out_features = 5, .bias = true}, .input_rows = rows, .output_rows = rows};
    std::vector<float> out(layer.size(), 7.0F);
    double damping = 1;
    const auto apply = [&] {
      const FisherBlock block = layer.block();
      FisherOperator::Workspace workspace;
      apply_fisher(block, {.value = damping}, block.view(std::span<const float>(layer.v)),
                   block.view(std::span<float>(out)), workspace);
    };
    const auto with = [&](float& element, float value) {
      const float kept = element;
      element = value;
      const std::string message = message_of(apply);
      element = kept;
      return message;
    };
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    constexpr float infinity = std::numeric_limits<float>::infinity();
    CHECK(with(layer.inputs[4], nan) == "Expected finite numbers for inputs but received NaN at index 4");
    CHECK(with(layer.output_grads[2], -infinity) ==
          "Expected finite numbers for outputGrads but received -Infinity at index 2");
    CHECK(with(layer.v[9], nan) == "Expected finite numbers for v.kernel but received NaN at index 9");
    CHECK(with(layer.v[31], infinity) == "Expected finite numbers for v.bias but received Infinity at index 1");
    damping = 100;
    CHECK(with(layer.v[3], 3e38F) ==
          "Expected products within the range of float32 for inputs, outputGrads and v but received an overflow");
    CHECK(std::ranges::count(out, 7.0F) == static_cast<std::ptrdiff_t>(out.size()));
  }
}
