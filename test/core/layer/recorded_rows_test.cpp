#include "core/layer/recorded_rows.h"

#include <doctest/doctest.h>

#include <limits>

#include "core/base/error.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

constexpr float not_a_number = std::numeric_limits<float>::quiet_NaN();

const RandomLayer six_by_four{
    .shape = {.in_features = 6, .out_features = 4, .bias = true}, .input_rows = 5, .output_rows = 3};

std::vector<float> stacked(const std::vector<float>& first, const std::vector<float>& second) {
  std::vector<float> result = first;
  result.insert(result.end(), second.begin(), second.end());
  return result;
}

std::vector<float> scaled(std::vector<float> numbers, float factor) {
  for (float& x : numbers) x *= factor;
  return numbers;
}

// A and G by the definition, from rows written out.
DenseMatrix factor_of(const std::vector<float>& numbers, std::size_t features, bool homogeneous, double scale) {
  return factor_matrix(
      {.rows = {numbers.data(), numbers.size() / features, features}, .homogeneous = homogeneous, .scale = scale});
}

void check_factors(const RecordedRows& rows, const DenseMatrix& a, const DenseMatrix& g) {
  const FisherBlock block = rows.block();
  CHECK(relative_error(factor_matrix(block.input).numbers, a.numbers) <= 1e-6);
  CHECK(relative_error(factor_matrix(block.output).numbers, g.numbers) <= 1e-6);
}

}  // namespace

TEST_CASE("recorded rows: A sums over a sample's rows, G is the mean over rows, of loss gradients or sampled ones") {
  const StepRows first(six_by_four, 1);
  const StepRows second(six_by_four, 2);
  RecordedRows rows(six_by_four.shape);
  CHECK(rows.empty());
  CHECK(rows.empirical());
  rows.append(first.inputs(), first.loss(), 5, 1);
  CHECK_FALSE(rows.empty());
  check_factors(rows, factor_of(first.batch.inputs, 6, true, 1.0 / 5), factor_of(first.loss_grads, 4, false, 1.0 / 5));
  // another use of the same weights: its samples were counted before
  rows.append(second.inputs(), second.loss(), 0, 1);
  CHECK(rows.input_rows() == 10);
  const std::vector<float> inputs = stacked(first.batch.inputs, second.batch.inputs);
  const std::vector<float> loss = stacked(first.loss_grads, second.loss_grads);
  check_factors(rows, factor_of(inputs, 6, true, 1.0 / 5), factor_of(loss, 4, false, 1.0 / 10));
  rows.append_fisher(first.sampled(), 1);
  CHECK_FALSE(rows.empirical());
  check_factors(rows, factor_of(inputs, 6, true, 1.0 / 5), factor_of(first.batch.output_grads, 4, false, 1.0 / 3));
  rows.append_fisher(second.sampled(), 1);
  const std::vector<float> sampled = stacked(first.batch.output_grads, second.batch.output_grads);
  check_factors(rows, factor_of(inputs, 6, true, 1.0 / 5), factor_of(sampled, 4, false, 1.0 / 6));
}

TEST_CASE("recorded rows: factors make gradients those of a sample's own loss, also where batches differ in them") {
  const StepRows first(six_by_four, 1);
  const StepRows second(six_by_four, 2);
  RecordedRows rows(six_by_four.shape);
  rows.append(first.inputs(), first.loss(), 5, 4);
  rows.append(second.inputs(), second.loss(), 5, 10);
  rows.append_fisher(first.sampled(), 3);
  rows.append_fisher(second.sampled(), 0.5);
  const std::vector<float> inputs = stacked(first.batch.inputs, second.batch.inputs);
  const std::vector<float> loss = stacked(scaled(first.loss_grads, 4), scaled(second.loss_grads, 10));
  const std::vector<float> sampled =
      stacked(scaled(first.batch.output_grads, 3), scaled(second.batch.output_grads, 0.5F));
  check_factors(rows, factor_of(inputs, 6, true, 1.0 / 10), factor_of(sampled, 4, false, 1.0 / 6));

  // the own gradient, factor · lossGradsᵀ [a 1]/samples
  const Gradient own = rows.gradient();
  CHECK(own.same_batch());
  Gradient expected;
  expected.loss_grads = {loss.data(), 10, 4};
  expected.scale = 1.0 / 10;
  CHECK(relative_error(dense_gradient(rows.block(), own), dense_gradient(rows.block(), expected)) <= 1e-6);
}

TEST_CASE("recorded rows: a batch of its own, with gradients of the summed loss or of its mean") {
  for (const LossReduction reduction : {LossReduction::sum, LossReduction::mean}) {
    RandomLayer data = six_by_four;
    data.shape.loss_reduction = reduction;
    const RecordedRows rows(data.shape, data.batch());
    CHECK(rows.input_rows() == 5);
    CHECK_FALSE(rows.empirical());
    const double factor = reduction == LossReduction::mean ? 5 : 1;
    const DenseMatrix a = factor_of(data.inputs, 6, true, 1.0 / 5);
    const DenseMatrix g = factor_of(data.output_grads, 4, false, factor * factor / 3);
    check_factors(rows, a, g);
    CHECK(rows.traces().input == doctest::Approx(trace_of(a)).epsilon(1e-6));
    CHECK(rows.traces().output == doctest::Approx(trace_of(g)).epsilon(1e-6));
    CHECK(rows.bytes() >= (5 * 6 + 3 * 4) * sizeof(float));
    data.output_grads[4] = not_a_number;
    CHECK_THROWS_WITH_AS(RecordedRows(data.shape, data.batch()),
                         "Expected finite numbers for outputGrads but received NaN at index 4", Error);
  }
}

TEST_CASE("recorded rows: traces are those of the rows that are there now") {
  const auto check_traces = [](const RecordedRows& rows) {
    CHECK(rows.traces().input == doctest::Approx(trace_of(factor_matrix(rows.block().input))).epsilon(1e-6));
    CHECK(rows.traces().output == doctest::Approx(trace_of(factor_matrix(rows.block().output))).epsilon(1e-6));
  };
  const StepRows first(six_by_four, 1);
  const StepRows second(six_by_four, 2);
  RecordedRows rows(six_by_four.shape);
  rows.append(first.inputs(), first.loss(), 5, 2);
  rows.require_finite();
  check_traces(rows);
  rows.append_fisher(second.sampled(), 3);
  CHECK(rows.traces().input == 0);  // unknown until they are asked for
  rows.require_finite();
  check_traces(rows);
  rows.append(second.inputs(), second.loss(), 5, 2);
  CHECK(rows.traces().input == 0);
  rows.require_finite();
  check_traces(rows);
  rows.clear();
  CHECK(rows.empty());
  CHECK(rows.empirical());
  CHECK(rows.traces().input == 0);
  rows.append(second.inputs(), second.loss(), 5, 1);  // with another factor than before
  rows.require_finite();
  check_traces(rows);
  check_factors(rows, factor_of(second.batch.inputs, 6, true, 1.0 / 5),
                factor_of(second.loss_grads, 4, false, 1.0 / 5));
}

TEST_CASE("recorded rows: what is not finite is named, and squares beyond float32 as well") {
  const auto message = [](const std::vector<float>& inputs, const std::vector<float>& loss,
                          const std::vector<float>& sampled, double factor) -> std::string {
    RecordedRows rows(six_by_four.shape);
    rows.append({inputs.data(), 5, 6}, {loss.data(), 5, 4}, 5, factor);
    rows.append_fisher({sampled.data(), 3, 4}, factor);
    try {
      rows.require_finite();
    } catch (const Error& error) {
      CHECK(error.code() == ErrorCode::not_finite);
      return error.what();
    }
    return "";
  };
  const auto with = [](std::vector<float> numbers, std::size_t index, float number) {
    numbers[index] = number;
    return numbers;
  };
  const StepRows rows(six_by_four, 1);
  const std::vector<float>& inputs = rows.batch.inputs;
  const std::vector<float>& loss = rows.loss_grads;
  const std::vector<float>& sampled = rows.batch.output_grads;
  CHECK(message(inputs, loss, sampled, 1).empty());
  CHECK(message(with(inputs, 7, not_a_number), loss, sampled, 1) ==
        "Expected finite numbers for inputs but received NaN at index 7");
  CHECK(message(inputs, with(loss, 2, not_a_number), sampled, 1) ==
        "Expected finite numbers for lossGrads but received NaN at index 2");
  CHECK(message(inputs, loss, with(sampled, 3, -std::numeric_limits<float>::infinity()), 1) ==
        "Expected finite numbers for outputGrads but received -Infinity at index 3");
  CHECK(message(with(inputs, 0, 2e19F), loss, sampled, 1) ==
        "Expected squares within the range of float32 for inputs but received an overflow");
  CHECK(message(inputs, with(loss, 0, 2e17F), sampled, 1).empty());
  CHECK(message(inputs, with(loss, 0, 2e17F), sampled, 1000) ==
        "Expected squares within the range of float32 for lossGrads but received an overflow");
}
