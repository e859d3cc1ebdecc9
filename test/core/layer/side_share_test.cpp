// Rows that several ranks recorded make the factors, and the directions, of a layer that recorded them all.
#include "core/layer/side_share.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "core/base/error.h"
#include "core/layer/layer.h"
#include "support/kinds.h"
#include "support/steps.h"

using namespace cgfac;
using namespace cgfac::test;

namespace {

LayerOptions options_of(FactorHistory history) {
  LayerOptions options{
      .damping = {.value = 0.5, .relative = true}, .damping_mode = DampingMode::factored, .method = Method::exact};
  options.factor = {.history = history, .decay = 0.9, .rank = 6, .panel_rows = 5, .dense_dimension = 4};
  return options;
}

// The rows of all ranks behind each other.
void record_all(Layer& layer, std::span<const KindRows> ranks) {
  layer.clear();
  std::size_t first = 0;
  for (const KindRows& rows : ranks) {
    layer.record(rows.inputs_view(), rows.loss_view(), rows.samples, 1, {.first = first, .count = rows.samples});
    layer.record_fisher(rows.fisher_view(), 1, true, rows.sampled);
    first += rows.samples;
  }
}

// What a draw over all ranks finds on each of them.
std::vector<SideShare> shares_of(std::span<Layer> ranks, LayerSide side, ShareForm form, std::size_t most,
                                 std::uint64_t stream) {
  DrawRange range{.most = most, .stream = stream};
  const auto count_of = [&](const Layer& layer) {
    const ShareCounts counts = layer.share_counts();
    return side == LayerSide::input ? counts.input_rows : counts.output_rows;
  };
  for (const Layer& layer : ranks) range.all += count_of(layer);
  std::vector<SideShare> shares;
  for (Layer& layer : ranks) {
    shares.push_back(layer.side_share(side, form, range));
    range.first += count_of(layer);
  }
  return shares;
}

// The rows that the factors of a layer by itself are made of.
std::size_t most_rows(const LayerShape& shape) {
  const bool draws = shape.max_rows > 0 && shape.weight_sharing == WeightSharing::expand;
  return draws ? shape.max_rows : std::size_t{1} << 30U;
}

std::vector<float> numbers_of(const FactorState& state) {
  std::vector<float> numbers = state.average;
  numbers.insert(numbers.end(), state.rows.begin(), state.rows.end());
  return numbers;
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  REQUIRE(a.size() == b.size());
  double largest = 0;
  double scale = 1e-30;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    scale = std::max(scale, std::abs(static_cast<double>(b[i])));
  }
  return largest / scale;
}

// A step of three ranks whose shares the first of them takes in, beside one of a layer that has all rows.
void check_shared(const KindCase& kind, FactorHistory history, ShareForm form) {
  CAPTURE(static_cast<int>(history));
  CAPTURE(static_cast<int>(form));
  Layer whole(kind.shape, options_of(history));
  std::vector<Layer> ranks;
  for (int rank = 0; rank < 3; ++rank) ranks.emplace_back(kind.shape, options_of(history));
  for (const std::uint64_t step : {0U, 1U}) {
    std::vector<KindRows> rows;
    for (std::uint64_t rank = 0; rank < 3; ++rank) {
      KindCase own = kind;
      own.samples = own.sampled = 1 + (2 * rank);
      rows.push_back(own.rows(100 + (10 * step) + (3 * rank)));
      rows.back().record(ranks[rank]);
    }
    record_all(whole, rows);
    whole.refresh();
    const std::size_t most = most_rows(kind.shape);
    ranks[0].take_shares(shares_of(ranks, LayerSide::input, form, most, step),
                         shares_of(ranks, LayerSide::output, form, most, step));
    ranks[0].refresh();
    const LayerState expected = whole.state();
    const LayerState found = ranks[0].state();
    // sums of products by rank before those of all: float32 rounds them in another order
    CHECK(largest_difference(numbers_of(found.input), numbers_of(expected.input)) <= 4e-6);
    CHECK(largest_difference(numbers_of(found.output), numbers_of(expected.output)) <= 4e-6);
    CHECK(found.input.trace == doctest::Approx(expected.input.trace).epsilon(1e-6));
    CHECK(found.output.trace == doctest::Approx(expected.output.trace).epsilon(1e-6));
    whole.settle();
    ranks[0].settle();
  }
}

}  // namespace

TEST_CASE("side share: rows of all ranks make the factors of one layer that has them all") {
  for (const KindCase& kind : kind_cases()) {
    CAPTURE(kind.name);
    for (const FactorHistory history : histories) check_shared(kind, history, ShareForm::rows);
  }
  const KindCase dense{.name = "dense", .shape = {.in_features = 9, .out_features = 6, .bias = true}};
  for (const FactorHistory history : histories) check_shared(dense, history, ShareForm::rows);
}

TEST_CASE("side share: halves of the ranks' own factors make those of one layer that has all rows") {
  for (const KindCase& kind : kind_cases()) {
    CAPTURE(kind.name);
    check_shared(kind, FactorHistory::dense, ShareForm::factor);
  }
  check_shared({.name = "dense", .shape = {.in_features = 9, .out_features = 6, .bias = true}}, FactorHistory::dense,
               ShareForm::factor);
}

TEST_CASE("side share: what does not fit is refused, and changes nothing") {
  const KindCase dense{.name = "dense", .shape = {.in_features = 9, .out_features = 6, .bias = true}};
  Layer layer(dense.shape, options_of(FactorHistory::panel));
  dense.rows(1).record(layer);
  const DrawRange all{.first = 0, .all = 5, .most = 5};
  SideShare input = layer.side_share(LayerSide::input, ShareForm::rows, all);
  const SideShare output = layer.side_share(LayerSide::output, ShareForm::rows, all);
  const auto take = [&] { layer.take_shares(std::span(&input, 1), std::span(&output, 1)); };
  const auto refused = [&](SideShare share) {
    std::swap(share, input);
    CHECK_THROWS_AS(take(), Error);
    std::swap(share, input);
  };
  SideShare longer = input;
  longer.numbers.push_back(1);
  refused(longer);
  SideShare none = input;
  none.drawn = none.count = 0;
  none.numbers.clear();
  refused(none);
  // a panel is made of rows
  refused(layer.side_share(LayerSide::input, ShareForm::factor, all));
  take();
  layer.refresh();
  CHECK(layer.started());
}

TEST_CASE("recorded share: what other ranks recorded, behind one's own, is what one layer recorded") {
  for (const KindCase& kind : kind_cases()) {
    CAPTURE(kind.name);
    Layer whole(kind.shape, options_of(FactorHistory::dense));
    Layer owner(kind.shape, options_of(FactorHistory::dense));
    Layer other(kind.shape, options_of(FactorHistory::dense));
    const std::vector<KindRows> rows{kind.rows(1), kind.rows(7)};
    record_all(whole, rows);
    rows[0].record(owner);
    rows[1].record(other);
    owner.record(other.recorded_share());
    whole.refresh();
    owner.refresh();
    CHECK(same_bits(owner.state(), whole.state()));
    CHECK(direction(owner) == direction(whole));
    CHECK(owner.sampled_products().u == whole.sampled_products().u);
  }
}

TEST_CASE("direction: another rank writes what its owner does") {
  for (const std::size_t samples : {2U, 40U}) {  // rows, and x itself
    KindCase kind{.name = "dense", .shape = {.in_features = 30, .out_features = 20, .bias = true}};
    kind.samples = kind.sampled = samples;
    Layer owner(kind.shape, options_of(FactorHistory::dense));
    Layer other(kind.shape, options_of(FactorHistory::dense));
    kind.rows(1).record(owner);
    kind.rows(9).record(other);
    owner.refresh();
    const LayerStep step = owner.prepare(std::nullopt, {});
    CHECK(step.by_rows == (samples == 2));
    const PreparedDirection prepared = owner.direction();
    other.take_direction(prepared);
    CHECK(written(other) == written(owner));
    CHECK(other.direction_norm() == owner.direction_norm());
    PreparedDirection longer = prepared;
    longer.numbers.push_back(0);
    CHECK_THROWS_AS(other.take_direction(longer), Error);
  }
  Layer none({.in_features = 3, .out_features = 2}, options_of(FactorHistory::dense));
  CHECK_THROWS_AS((void)none.direction(), Error);
}
